// One batch: all that is known of it, and what can be done with it.

import ResultExport
import Runtime
import StoreContract

struct BatchSection: Sendable, Hashable {
    struct Fact: Sendable, Hashable {
        let name: String
        let value: String
        var time: ShownTime?
        var link: String?
    }

    let facts: BatchFacts
    let lines: [Fact]
    /// Why its model could not be used; nil if it could.
    let trouble: String?
    let mayRetry: Bool
    let retriedAs: String?
    /// `3 failed and 2 expired jobs`.
    let retryWords: String?

    init(
        _ description: BatchDescription, retriedAs: BatchID?, view: PageView, token: String, now: Milliseconds
    ) {
        let batch = description.batch
        let counts = batch.counts
        facts = BatchFacts(description, view: view, token: token, now: now)
        var lines: [Fact] = []
        func add(_ name: String, _ value: String?) { if let value { lines.append(Fact(name: name, value: value)) } }
        func add(_ name: String, _ time: Milliseconds?) {
            guard let time else { return }
            lines.append(Fact(name: name, value: "", time: ShownTime(time, now: now)))
        }
        if batch.uniqueName != nil { add("File", PageWords.name(batch.name)) }
        add("Model", batch.shownModel.map(PageWords.name) ?? "any")
        add("Requests", batch.endpoint ?? "of several kinds")
        if let original = batch.retryOf {
            lines.append(Fact(name: "Runs again", value: original.description, link: original.description))
        }
        add("Priority", batch.priority == .normal ? nil : "\(batch.priority.rawValue)")
        add("Created", batch.created)
        add("Started", batch.started)
        add("Ended", batch.finished)
        add("Paused since", batch.status.isTerminal ? nil : batch.paused)
        add("Deadline", batch.deadline)
        add("Elapsed", description.elapsedMS.map(PageWords.duration))
        add(
            "Jobs",
            [
                (counts.succeeded, "succeeded"), (counts.failed, "failed"), (counts.cancelled, "cancelled"),
                (counts.expired, "expired"), (description.running, "running"),
                (max(0, description.waiting), "waiting"),
            ].filter { $0.0 > 0 }.map { "\(PageWords.count($0.0)) \($0.1)" }.joined(separator: ", "))
        if counts.rejected > 0 { add("Invalid lines", PageWords.count(counts.rejected)) }
        if let again = description.anotherAttempt {
            add(
                "Tried again",
                "\(PageWords.count(again.jobs, "job")), from \(ShownTime(again.next, now: now).text)")
        }
        let cached = batch.usage.cachedTokens > 0 ? ", \(PageWords.count(Int64(batch.usage.cachedTokens))) shared" : ""
        add("Prompt tokens", "\(PageWords.count(Int64(batch.usage.promptTokens)))\(cached)")
        add("Generated tokens", PageWords.count(description.generatedTokens))
        add("Speed", description.tokensPerSecond.map { "\(PageWords.rate($0)) tokens/s" })
        if batch.timedJobs > 0 {
            func mean(_ sum: Int64) -> String { PageWords.duration(sum / batch.timedJobs) }
            add(
                "Mean of a job",
                "queued \(mean(batch.timings.queuedMS)), prefill \(mean(batch.timings.prefillMS)), "
                    + "decode \(mean(batch.timings.decodeMS))")
        }
        self.lines = lines
        trouble = batch.status.isTerminal ? nil : batch.modelTrouble.map { PageWords.message($0.reason) }
        self.retriedAs = retriedAs?.description
        let runnable = counts.failed - counts.rejected
        mayRetry = view.mayAct && batch.status.isTerminal && runnable + counts.expired > 0
        let words = [(runnable, "failed"), (counts.expired, "expired")].filter { $0.0 > 0 }
            .map { "\(PageWords.count($0.0)) \($0.1)" }
        retryWords = mayRetry ? words.joined(separator: " and ") : nil
    }
}
