// What every job store must do with what the daemon says of jobs in flight.

import Runtime
import StoreContract
import Testing

@Suite struct ProgressConformance {
    private func progress(_ batch: BatchID, tokens: Int64, at now: Milliseconds = 30) -> BatchProgress {
        BatchProgress(
            batch: batch, updated: now, unfinishedTokens: tokens,
            pace: .init(tokensPerSecond: 12.5, tokenMS: 80, tokenMSGrowth: 0.25), running: 2, runningTokens: 7,
            runningLimit: 40)
    }

    @Test(arguments: StoreKind.allCases)
    func isReadUntilItIsReplaced(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (first, second) = (try store.enqueue(3), try store.enqueue(3))
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        #expect(try store.batch(first).progress == nil)
        try store.record([progress(first, tokens: 7), progress(second, tokens: 9)], incarnation: life)
        #expect(try store.batch(first).progress == progress(first, tokens: 7))
        #expect(
            try store.batches(before: nil, limit: 9, includingDrafts: false).map { $0.progress?.unfinishedTokens } == [
                9, 7,
            ])
        var later = progress(second, tokens: 11, at: 40)
        later.pace = nil
        try store.record([later], incarnation: life)
        #expect(try store.batch(first).progress == nil)
        #expect(try store.batch(second).progress == later)
        try store.record([], incarnation: life)
        #expect(try store.batch(second).progress == nil)
    }

    /// What is said now and then must fit the counters, which change in between.
    @Test(arguments: StoreKind.allCases)
    func tokensOfJobsThatHaveEndedSinceCountOnce(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(3)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claim(3, of: batch, incarnation: life, at: 20)
        try store.record([progress(batch, tokens: 7)], incarnation: life)
        #expect(try store.batch(batch).generatedTokens == 7)
        // Five tokens each; two of them came after the last word.
        _ = try store.finish([.success(jobs[0])], incarnation: life, at: 31)
        #expect(try store.batch(batch).generatedTokens == 7)
        _ = try store.finish([.success(jobs[1])], incarnation: life, at: 32)
        #expect(try store.batch(batch).generatedTokens == 10)
        try store.record([progress(batch, tokens: 3)], incarnation: life)
        #expect(try store.batch(batch).generatedTokens == 13)
        _ = try store.finish([.success(jobs[2])], incarnation: life, at: 33)
        #expect(try store.batch(batch).generatedTokens == 15)
        #expect(try store.batch(batch).progress == nil, "it has ended")
    }

    @Test(arguments: StoreKind.allCases)
    func endsWithTheDaemonsLife(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(1)
        let lease = try store.acquireLease()
        let first = try store.openIncarnation(lease: lease).incarnation
        try store.record([progress(batch, tokens: 7)], incarnation: first)
        // It died.
        let second = try store.openIncarnation(lease: lease).incarnation
        #expect(try store.batch(batch).progress == nil)
        try store.record([progress(batch, tokens: 8)], incarnation: second)
        try store.closeIncarnation(second, at: 50)
        #expect(try store.batch(batch).progress == nil)
    }

    @Test func whatIsStillToComeIsJudgedByWhatHasBeenSeen() {
        func expected(succeeded: Int64, ended: Int, unfinished: Int64, running: Int64, limit: Int64, pending: Int64)
            -> Double?
        {
            BatchSummary(
                id: BatchID(rawValue: 1), name: "", uniqueName: nil, endpoint: nil, model: nil, status: .inProgress,
                priority: .normal, deadline: nil, paused: nil, modelTrouble: nil, retryOf: nil, created: 0, started: 0,
                finished: nil,
                counts: JobCounts(
                    total: succeeded + running + pending, rejected: 0, pending: pending, running: running,
                    succeeded: succeeded, failed: 0, cancelled: 0, expired: 0),
                usage: TokenUsage(completionTokens: ended), timedJobs: 0,
                timings: JobTimings(queuedMS: 0, prefillMS: 0, decodeMS: 0, totalMS: 0),
                progress: BatchProgress(
                    batch: BatchID(rawValue: 1), updated: 0, unfinishedTokens: unfinished, pace: nil,
                    running: running, runningTokens: unfinished, runningLimit: limit)
            ).expectation?.tokens
        }
        // Nothing has ended: each may become as long as it is allowed to.
        #expect(
            expected(succeeded: 0, ended: 0, unfinished: 160, running: 16, limit: 6400, pending: 44)
                == Double(60 * 400 - 160))
        // One short text says little while fifteen others go on: 310 tokens were seen, and one end.
        #expect(
            expected(succeeded: 1, ended: 10, unfinished: 300, running: 15, limit: 15_000, pending: 4)
                == Double(19 * 310))
        // Texts of ten tokens, whatever is allowed.
        #expect(expected(succeeded: 100, ended: 950, unfinished: 50, running: 10, limit: 40_000, pending: 90) == 1000)
        // Nothing runs and nothing has ended: there is no estimate.
        #expect(expected(succeeded: 0, ended: 0, unfinished: 0, running: 0, limit: 0, pending: 90) == nil)
    }
}
