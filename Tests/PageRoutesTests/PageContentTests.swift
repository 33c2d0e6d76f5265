// What a queue looks like on the page: who sees what, causes of failures, samples, and the night.

import HTTPExchange
import MemoryStore
import Runtime
import Serving
import StoreContract
import Testing

@testable import PageRoutes

/// A queue with a daemon, and what somebody sees of it.
private struct Queue {
    let store: MemoryJobStore
    let life: Incarnation
    let lease: any DaemonLease
    let reader: PageReader

    init(showsPrompts: Bool = false, at now: Milliseconds = 50_000_000) throws {
        store = MemoryJobStore(MemoryQueue())
        lease = try store.acquireLease()
        let daemon = NewIncarnation(pid: 1, host: "secret", version: "1", model: "/srv/secret/m.gguf", device: "cpu")
        life = try store.openIncarnation(daemon, lease: lease, maxCrashes: 3, at: now + -1000).incarnation
        let live = LiveModel(OnlineShareSettings(slots: 1, prefillTokens: 16, limit: 1))
        reader = PageReader(
            store: store, live: live, token: FormToken(), showsPrompts: showsPrompts, clock: TimeSource { now })
    }

    /// A batch whose jobs end as `outcomes` say.
    func batch(_ name: String, _ outcomes: [JobCompletion.Outcome], rejected: Int64 = 0) throws -> BatchID {
        let draft = try store.beginBatch(NewBatch(name: name), at: 1)
        let error = JobError(code: "invalid", message: "no prompt", status: 400)
        _ = try draft.append(
            outcomes.indices.map { index in
                NewJob(
                    line: Int64(index + 1), customID: "c\(index)", endpoint: "/v1/completions",
                    body: Array(#"{"prompt":"secret \#(index)"}"#.utf8))
            },
            rejected: (0..<rejected).map {
                RejectedLine(line: Int64(outcomes.count) + 1 + $0, customID: "r\($0)", error: error)
            })
        let batch = try draft.commit(at: 2)
        let jobs = try store.claim(outcomes.count, of: batch, incarnation: life, at: 3)
        for (number, (job, outcome)) in zip(jobs, outcomes).enumerated() {
            _ = try store.finish(
                [
                    JobCompletion(
                        ticket: job.ticket, outcome: outcome,
                        usage: TokenUsage(promptTokens: 1, completionTokens: number),
                        timings: JobTimings(queuedMS: 1, prefillMS: 2, decodeMS: 3, totalMS: 6))
                ], incarnation: life, at: Milliseconds(rawValue: Int64(10 + number)))
        }
        return batch
    }
}

extension JobCompletion.Outcome {
    fileprivate static func text(_ text: String) -> Self {
        .succeeded(Generation([Choice(text: text, finishReason: "stop")]))
    }
    fileprivate static func error(_ code: String, _ message: String) -> Self {
        .failed(JobError(code: code, message: message, status: 500))
    }
}

extension PageView {
    fileprivate static let everything = PageView(
        tenant: nil, mayAct: true, mayPauseQueue: true, batch: nil, before: nil, sample: 0)
}

@Suite struct PageContentTests {
    @Test func causesAreGroupedByCodeAndText() throws {
        let queue = try Queue()
        _ = try queue.batch(
            "/srv/a.jsonl", [.text("a"), .error("x", "row 12 of /srv/q/m"), .error("x", "row 7 of /srv/q/m")])
        let second = try queue.batch("b", [.error("x", "other"), .error("y", "why")], rejected: 2)
        let failures = try #require(try queue.reader.content(.everything, isWhole: false).failures)
        #expect(failures.causes.map(\.code) == ["x", "invalid", "y"])
        let cause = failures.causes[0]
        #expect(cause.jobs == "3 jobs" && cause.messages.map(\.text) == ["row N of m", "other"])
        #expect(cause.messages.map(\.count) == ["2", "1"])
        #expect(cause.retryable == ["batch_2", "batch_1"] && cause.mayRetry && cause.customIDs == ["c0", "c1", "c2"])
        // Lines that were never fit to run are not offered.
        #expect(!failures.causes[1].mayRetry && failures.causes[1].note?.contains("enqueue them anew") == true)
        // What was run again is not offered twice.
        let retried = try queue.store.retry(second, states: [.failed], errorCode: "y", at: 20)
        queue.reader.forgetQueue()
        let after = try #require(try queue.reader.content(.everything, isWhole: false).failures)
        #expect(after.causes[0].retryable == ["batch_1"] && after.causes[2].note == "They were run again already.")
        #expect(after.causes[2].shares.first?.retriedAs == retried.description)
    }

    /// A tenant sees neither others' batches nor the queue as a whole, and somebody who only looks has no buttons.
    @Test func nobodySeesMoreThanIsHis() throws {
        let queue = try Queue()
        let batch = try queue.batch("a", [.text("a"), .error("x", "m")])
        var view = PageView.everything
        view.mayAct = false
        let looking = try queue.reader.content(view, isWhole: true)
        #expect(looking.failures?.causes.first?.mayRetry == false && looking.batches?.rows.first?.mayAct == false)
        view.tenant = Tenant(rawValue: "t")
        let tenant = try queue.reader.content(view, isWhole: true)
        #expect(tenant.now == nil && tenant.night == nil && tenant.batches?.rows.isEmpty == true)
        #expect(tenant.failures?.isEmpty == true && !tenant.head.isPaused)
        view.batch = batch
        #expect(throws: JobStoreError.batchNotFound(batch)) { try queue.reader.content(view, isWhole: true) }
    }

    @Test func pagesOfBatchesFollowEachOther() throws {
        let queue = try Queue()
        for number in 0..<(BatchesSection.limit + 3) { _ = try queue.batch("b\(number)", [.text("a")]) }
        let first = try #require(try queue.reader.content(.everything, isWhole: false).batches)
        #expect(first.rows.count == BatchesSection.limit && first.next == "batch_4" && !first.isLaterPage)
        var view = PageView.everything
        view.before = BatchID(first.next!)
        let second = try #require(try queue.reader.content(view, isWhole: false).batches)
        #expect(second.rows.map(\.id) == ["batch_3", "batch_2", "batch_1"] && second.next == nil && second.isLaterPage)
    }

    @Test func samplesAreTheFirstTheLastTheLongestAndSomeOthers() throws {
        for showsPrompts in [false, true] {
            let queue = try Queue(showsPrompts: showsPrompts)
            let long = String(repeating: "x", count: 5000)
            let batch = try queue.batch("a", (0..<40).map { .text($0 == 39 ? long : "text \($0)") }, rejected: 2)
            var view = PageView.everything
            view.batch = batch
            let samples = try #require(try queue.reader.content(view, isWhole: true).samples)
            #expect(samples.results.first?.customID == "c0" && samples.results[1].customID == "c39")
            #expect(samples.results[1].isCut && samples.results[1].text.count == SamplesSection.characters)
            #expect(Set(samples.results.map(\.customID)).count == samples.results.count && samples.results.count > 3)
            #expect(samples.histograms.map(\.title) == ["Queued", "Prefill", "Decode"])
            #expect(samples.results[0].prompt == (showsPrompts ? "secret 0" : nil))
            view.sample = 1
            let others = try #require(try queue.reader.content(view, isWhole: true).samples)
            #expect(others.results.map(\.customID) != samples.results.map(\.customID))
            #expect(try queue.reader.content(view, isWhole: false).samples == nil)
        }
    }

    @Test func theNightHasItsStartsAndFailures() throws {
        let now: Milliseconds = 100_000_000
        let queue = try Queue(at: now)
        for hour in [Int64(1), 2, 11] {
            let start = now + -hour * 3_600_000
            var interval = MetricsInterval(incarnation: queue.life, start: start, end: start + 10_000)
            interval.generatedTokens = 100 * hour
            interval.kvBlocksTotal = 10
            interval.kvBlocksMean = 5
            interval.jobsFailed = hour == 2 ? 3 : 0
            try queue.store.record(interval)
        }
        let night = try #require(try queue.reader.content(.everything, isWhole: false).night)
        #expect(night.charts.map(\.pieces.count) == [3, 0, 3, 3])
        #expect(night.charts[0].latest == "10.0" && night.charts[2].latest == "50 %")
        #expect(night.starts.map(\.x) == ["239.9"] && night.restarts.first?.words == "incarnation 1 began")
        #expect(night.failures.map(\.x) == ["200"] && night.failures[0].words.hasSuffix("3 jobs failed"))
        #expect(night.hours.count == 3 && night.times.count == 5)
    }

    /// Batches that have not begun are counted like those that have.
    @Test func theQueueEndsWhenAllBatchesDo() throws {
        let queue = try Queue()
        let now: Milliseconds = 50_000_000
        var batches: [BatchSummary] = []
        for name in ["a", "b"] {
            let draft = try queue.store.beginBatch(NewBatch(name: name), at: 1)
            _ = try draft.append((1...10).map { NewJob(line: $0, customID: "\($0)", endpoint: "e", body: []) })
            batches.append(try queue.store.batch(try draft.commit(at: 2)))
        }
        let jobs = try queue.store.claim(1, of: batches[0].id, incarnation: queue.life, at: 3)
        #expect(jobs.count == 1)
        try queue.store.record(
            [
                BatchProgress(
                    batch: batches[0].id, updated: now, unfinishedTokens: 0,
                    pace: BatchProgress.Pace(tokensPerSecond: 10, tokenMS: 100, tokenMSGrowth: 0), running: 1,
                    runningTokens: 0, runningLimit: 100)
            ], incarnation: queue.life)
        let open = try queue.store.batches(before: nil, limit: 9, includingDrafts: false)
        let status = try queue.store.systemStatus()
        // Twenty jobs of 100 tokens, ten in a second.
        #expect(NowSection.restMS(status, open: open, now: now) == 200_000)
        #expect(NowSection.restMS(status, open: open, now: now + 60_000) == nil)
    }

    /// Every template can be read, and what people wrote is text in it.
    @Test func whatPeopleWriteIsText() throws {
        let queue = try Queue(showsPrompts: true)
        let evil = "<script>alert('1')</script>&amp;{{token}}"
        let batch = try queue.batch(evil, [.text(evil), .error(evil, evil)], rejected: 1)
        let templates = PageTemplates()
        var view = PageView.everything
        for id in [nil, batch] {
            view.batch = id
            let content = try queue.reader.content(view, isWhole: true)
            let html = templates.page(content, PageFrame(evil, events: evil, done: evil))
            #expect(!html.contains("<script>") && html.contains("{{token}}") && html.contains("&lt;script&gt;"))
            #expect(!html.contains("secret-host") && !html.contains("/srv/"))
            for part in templates.parts(content).values { #expect(!part.contains("<script>") && part.contains("<")) }
        }
        #expect(!templates.problem(.notFound(evil), PageFrame("")).contains("<script>"))
    }
}
