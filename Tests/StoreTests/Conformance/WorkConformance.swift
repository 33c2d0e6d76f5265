// What every job store must do for the daemon: claims, completions, releases, lives.

import Foundation
import Glibc
import Runtime
import StoreContract
import Testing

@testable import Sampling

@Suite
struct WorkConformance {
    @Test(arguments: StoreKind.allCases)
    func claimsComeOldestBatchFirstInOrderAndOnce(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let first = try store.enqueue(3)
        let second = try store.enqueue(3)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let claimed = try store.claimNext(4, incarnation: life, at: 20)
        #expect(claimed.map(\.ticket.batch) == [first, first, first, second])
        #expect(claimed.map(\.line) == [1, 2, 3, 1])
        #expect(claimed.map(\.customID) == ["c1", "c2", "c3", "c1"])
        #expect(claimed[1].body == NewJob.sample(2).body && claimed[1].endpoint == "/v1/completions")
        #expect(claimed.allSatisfy { $0.ticket.attempt == 1 && $0.crashes == 0 && $0.created == 1 })
        #expect(try store.claimNext(9, incarnation: life, at: 21).map(\.line) == [2, 3])
        #expect(try store.claimNext(9, incarnation: life, at: 22).isEmpty)
        let summary = try store.batch(first)
        #expect(summary.counts.running == 3 && summary.counts.pending == 0 && summary.started == 20)
        #expect(try store.systemStatus().runningJobs == 6)
    }

    @Test(arguments: StoreKind.allCases)
    func jobsOfABatchAreClaimedInOrderOfRankAndThenOfInput(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let draft = try store.beginBatch(NewBatch(name: "ranks"), at: 0)
        let ranks: [Int64] = [10, 20, 10, 15, 20, 10]
        _ = try draft.append(
            ranks.enumerated().map { index, rank in
                var job = NewJob.sample(Int64(index + 1))
                job.claimRank = rank
                return job
            })
        let batch = try draft.commit(at: 1)
        let life = try store.openIncarnation(lease: store.acquireLease()).incarnation
        let claimed = try store.claim(4, of: batch, incarnation: life, at: 20)
        #expect(claimed.map(\.line) == [1, 3, 6, 4])
        // What comes back takes its old place.
        _ = try store.release([claimed[1].ticket], incarnation: life, because: .stopping, at: 21)
        let rest = try store.claim(9, of: batch, incarnation: life, at: 22)
        #expect(rest.map(\.line) == [3, 2, 5])
        let again = [claimed[0], claimed[2], claimed[3]] + rest
        _ = try store.finish(again.map { .failure($0) }, incarnation: life, at: 30)
        let retry = try store.retry(batch, at: 31)
        #expect(try store.claim(9, of: retry, incarnation: life, at: 32).map(\.line) == [1, 3, 6, 4, 2, 5])
    }

    @Test(arguments: StoreKind.allCases)
    func theClaimableBatchHasAPendingJobAndHadTheFewestClaimed(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        #expect(try store.claimableBatch(among: nil) == nil)
        let first = try store.enqueue(2, model: "mine")
        let second = try store.enqueue(1)
        let third = try store.enqueue(1, model: "other")
        let draft = try store.beginBatch(NewBatch(name: "draft"), at: 1)
        _ = try draft.append([.sample(1)])

        #expect(try store.claimableBatch(among: nil)?.id == first)
        #expect(try store.claimableBatch(among: nil)?.model == "mine")
        let chosen = try store.claimableBatch(among: [third, second, draft.id])
        #expect(chosen?.id == second && chosen?.model == nil)
        #expect(try store.claimableBatch(among: [draft.id]) == nil, "drafts are not seen")
        #expect(try store.claimableBatch(among: []) == nil)

        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claim(2, of: first, incarnation: life, at: 20)
        #expect(try store.claimableBatch(among: nil)?.id == second, "the first has only running jobs")
        #expect(try store.claimableBatch(among: [first]) == nil)
        _ = try store.release([jobs[1].ticket], incarnation: life, because: .stopping, at: 21)
        #expect(try store.claimableBatch(among: nil)?.id == second, "the first has had two")
        #expect(try store.claimableBatch(among: [first])?.id == first)
        _ = try store.cancel(first, at: 22)
        _ = try store.cancel(second, at: 23)
        let last = try store.claimableBatch(among: nil)
        #expect(last?.id == third && last?.model == "other")
        let ended = try store.claim(1, of: third, incarnation: life, at: 24)
        _ = try store.finish([.success(ended[0])], incarnation: life, at: 25)
        #expect(try store.claimableBatch(among: nil) == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func claimsStayWithinTheirBatchAndOnlyOpenOnesGiveAny(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let first = try store.enqueue(1)
        let second = try store.enqueue(3)
        let draft = try store.beginBatch(NewBatch(name: "draft"), at: 1)
        _ = try draft.append([.sample(1)])
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        #expect(try store.claim(2, of: second, incarnation: life, at: 20).map(\.line) == [1, 2])
        #expect(try store.claim(9, of: first, incarnation: life, at: 20).map(\.ticket.batch) == [first])
        #expect(try store.claim(0, of: second, incarnation: life, at: 20).isEmpty)
        #expect(try store.claim(9, of: draft.id, incarnation: life, at: 20).isEmpty)
        _ = try store.cancel(second, at: 21)
        #expect(try store.claim(9, of: second, incarnation: life, at: 22).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func finishingWritesResultCountersAndTheEndOfTheBatch(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let other = try store.enqueue(2)
        let batch = try store.enqueue(3)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let others = try store.claim(2, of: other, incarnation: life, at: 20)
        let jobs = try store.claimNext(3, incarnation: life, at: 20)
        let ids = Generation([
            Choice(text: "nul \0 é", finishReason: "length", promptTokenIDs: [1], tokenIDs: [-1, .max])
        ])
        let stopped = Generation([Choice(text: "", finishReason: "stop", stopReason: .string("nul \0 é"))])
        let ended = Generation([Choice(text: "", finishReason: "stop", stopReason: .token(.max))])
        var third = JobCompletion.success(jobs[2])
        third.outcome = .succeeded(ids)
        let report = try store.finish([third, .failure(jobs[0])], incarnation: life, at: 30)
        #expect(report == FinishReport(finished: 2, stale: [], closedBatches: []))
        #expect(try store.batch(batch).status == .inProgress)
        let last = try store.finish([.success(jobs[1])], incarnation: life, at: 40)
        #expect(last.closedBatches == [batch])

        let summary = try store.batch(batch)
        #expect(summary.status == .completed && summary.finished == 40)
        #expect(summary.counts.succeeded == 2 && summary.counts.failed == 1)
        #expect(summary.usage == TokenUsage(promptTokens: 6, cachedTokens: 2, completionTokens: 10))
        #expect(summary.timedJobs == 2 && summary.timings.totalMS == 12)

        let byInput = try store.allResults(ResultQuery(batch: batch))
        #expect(byInput.map(\.line) == [1, 2, 3])
        let byCompletion = try store.allResults(ResultQuery(batch: batch, order: .completion))
        #expect(byCompletion.map(\.line) == [3, 1, 2])
        #expect(byCompletion.map(\.finishSequence) == [1, 2, 3])
        #expect(byCompletion[0].outcome == .succeeded(ids))
        let reasons = zip(others, [stopped, ended]).map { job, generation in
            JobCompletion(ticket: job.ticket, outcome: .succeeded(generation))
        }
        _ = try store.finish(reasons, incarnation: life, at: 50)
        let stops = try store.allResults(ResultQuery(batch: other)).map(\.outcome)
        #expect(stops == [.succeeded(stopped), .succeeded(ended)])
        #expect(byCompletion[2].timings == JobCompletion.success(jobs[1]).timings)
        #expect(try store.allResults(ResultQuery(batch: batch, states: [.failed])).map(\.line) == [1])
        let recent = try store.recentCompletions(of: batch, limit: 100)
        #expect(recent == RecentCompletions(jobs: 2, from: 30, to: 40))
        #expect(recent?.jobsPerSecond == 200)
    }

    /// Several texts, and all that may be told of them.
    @Test(arguments: StoreKind.allCases)
    func choicesAndLogprobsComeBackAsTheyWere(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(2)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claimNext(2, incarnation: life, at: 20)
        let position = ScoredPosition(
            own: ScoredToken(token: 7, bytes: [0xE2, 0x82], logprob: -0.25),
            top: [
                ScoredToken(token: .max, bytes: [], logprob: -.infinity),
                ScoredToken(token: 0, bytes: Array(repeating: 65, count: 300), logprob: 0),
            ], requested: [ScoredToken(token: 3, bytes: [0], logprob: -1e-30)], rank: 12)
        let first = ScoredPosition(own: ScoredToken(token: 1, bytes: [9], logprob: nil))
        let generation = Generation([
            Choice(text: "a", finishReason: "stop", logprobs: [first, position], promptLogprobs: [position]),
            Choice(text: "", finishReason: "length", tokenIDs: [], logprobs: []),
            Choice(
                text: "", reasoning: "nul \0 é", toolCalls: #"[{"name":"f","arguments":"{}"}]"#, unread: "because",
                finishReason: "tool_calls"),
            Choice(text: "nul \0", finishReason: "stop", stopReason: .token(5), promptTokenIDs: [1], tokenIDs: [2]),
        ])
        let single = Generation([Choice(text: "b", reasoning: "", toolCalls: "[]", finishReason: "stop")])
        let completions = zip(jobs, [generation, single]).map { job, generation in
            JobCompletion(ticket: job.ticket, outcome: .succeeded(generation))
        }
        #expect(try store.finish(completions, incarnation: life, at: 30).finished == 2)
        let results = try store.allResults(ResultQuery(batch: batch)).map(\.outcome)
        #expect(results == [.succeeded(generation), .succeeded(single)])
    }

    @Test(arguments: StoreKind.allCases)
    func lateCompletionsAreDropped(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(2)
        let lease = try store.acquireLease()
        let first = try store.openIncarnation(lease: lease).incarnation
        let old = try store.claimNext(2, incarnation: first, at: 20)
        #expect(try store.release([old[0].ticket], incarnation: first, because: .stopping, at: 21).requeued == 1)
        let again = try store.claimNext(1, incarnation: first, at: 22)
        #expect(again[0].ticket.job == old[0].ticket.job && again[0].ticket.attempt == 2 && again[0].crashes == 0)
        // An earlier attempt of this life, then a second completion, then another life.
        #expect(try store.finish([.success(old[0])], incarnation: first, at: 23).stale == [old[0].ticket])
        #expect(try store.finish([.success(again[0])], incarnation: first, at: 24).finished == 1)
        // It may be said again, by whoever did not hear that it was done.
        let repeated = try store.finish([.success(again[0])], incarnation: first, at: 24)
        #expect(repeated == FinishReport(finished: 1, stale: [], closedBatches: []))
        #expect(try store.finish([.failure(again[0])], incarnation: first, at: 25).stale == [again[0].ticket])
        let second = try store.openIncarnation(lease: lease).incarnation
        #expect(try store.finish([.success(old[1])], incarnation: first, at: 26).stale == [old[1].ticket])
        #expect(try store.finish([.success(old[1])], incarnation: second, at: 27).stale == [old[1].ticket])
        let counts = try store.batch(batch).counts
        #expect(counts.succeeded == 1 && counts.failed == 0 && counts.pending == 1)
    }

    @Test(arguments: StoreKind.allCases)
    func aNewLifePutsBackWhatTheDeadLeftUntilTheyCrashTooOften(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(2)
        let lease = try store.acquireLease()
        // The first death is not counted against any job.
        for (life, crashes) in [0, 0, 1].enumerated() {
            let opened = try store.openIncarnation(lease: lease, maxCrashes: 3)
            #expect(opened.orphans.requeued == (life == 0 ? 0 : 2))
            let jobs = try store.claimNext(9, incarnation: opened.incarnation, at: 20)
            #expect(jobs.map(\.crashes) == [crashes, crashes])
        }
        let fourth = try store.openIncarnation(lease: lease, maxCrashes: 3)
        let jobs = try store.claimNext(1, incarnation: fourth.incarnation, at: 30)
        #expect(jobs[0].ticket.attempt == 4)
        let fifth = try store.openIncarnation(lease: lease, maxCrashes: 3, at: 40)
        #expect(fifth.orphans == ReleaseReport(requeued: 0, failed: 1, closedBatches: []))
        let failed = try store.allResults(ResultQuery(batch: batch))
        guard case .failed(let error) = try #require(failed.first).outcome else { throw Unexpected() }
        #expect(error.code == JobError.crashedDaemonRepeatedly)
        #expect(failed.count == 1 && failed[0].attempt == 4)
        #expect(try store.batch(batch).counts.pending == 1)
    }

    @Test(arguments: StoreKind.allCases)
    func aLifeThatEndsInGoodOrderPutsItsJobsBackWithoutBlame(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        _ = try store.enqueue(2)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        _ = try store.claimNext(2, incarnation: life, at: 20)
        try store.closeIncarnation(life, at: 30)
        #expect(try store.incarnations(limit: 1).first?.stopped == 30)
        let next = try store.openIncarnation(lease: lease)
        #expect(next.orphans.requeued == 0)
        #expect(try store.claimNext(9, incarnation: next.incarnation, at: 40).map(\.crashes) == [0, 0])
    }

    @Test(arguments: StoreKind.allCases)
    func oneDaemonOwnsTheQueue(kind: StoreKind) throws {
        let fixture = try kind.make()
        #expect(try fixture.store.systemStatus().daemon == .absent)
        let lease = try fixture.store.acquireLease()
        #expect(try fixture.store.systemStatus().daemon == .running(pid: getpid()))
        #expect {
            _ = try fixture.store.acquireLease()
        } throws: { error in
            guard case .daemonRunning(_, pid: getpid(), let since?) = error as? JobStoreError else { return false }
            return abs(Double(since.rawValue) / 1000 - Date().timeIntervalSince1970) < 60
        }
        lease.release()
        #expect(try fixture.store.systemStatus().daemon == .absent)
        _ = try fixture.store.acquireLease()
    }
}
