// What every job store must do with metrics.

import Runtime
import StoreContract
import Testing

@Suite struct MetricsConformance {
    @Test(arguments: StoreKind.allCases)
    func intervalsAreReadByLifePeriodAndBatch(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(1)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let other = try store.openIncarnation(lease: lease).incarnation
        for (index, owner) in [life, life, other].enumerated() {
            let start = Milliseconds(rawValue: Int64(index) * 1000)
            let end = Milliseconds(rawValue: start.rawValue + 1000)
            var interval = MetricsInterval(incarnation: owner, start: start, end: end)
            interval.generatedTokens = 100
            interval.cachedTokens = Int64(index + 1)
            interval.decodeSteps = 10
            interval.decodeRows = 40
            interval.slots = 8
            interval.kvBlocksMean = Double(index)
            interval.kvBlocksMax = Int64(index)
            try store.record(interval)
        }
        #expect(try store.metrics(.incarnation(life), limit: 9).map(\.start) == [0, 1000])
        #expect(try store.metrics(.period(from: 1000, to: 2000), limit: 9).map(\.kvBlocksMean) == [1])
        let jobs = try store.claimNext(1, incarnation: other, at: 1500)
        #expect(try store.metrics(.batch(batch), limit: 9).map(\.start) == [1000, 2000])
        _ = try store.finish([.success(jobs[0])], incarnation: other, at: 1900)
        #expect(try store.metrics(.batch(batch), limit: 9).map(\.start) == [1000])
        let summary = try store.metricsSummary(.period(from: 0, to: 9999))
        #expect(summary.intervals == 3 && summary.generatedTokensPerSecond == 100 && summary.occupancy == 0.5)
        #expect(summary.cachedTokens == 6)
        #expect(try store.metrics(.incarnation(life), limit: 9).map(\.cachedTokens) == [1, 2])
        #expect(summary.kvBlocksMean == 1 && summary.kvBlocksMax == 2)
        #expect(try store.metricsSummary(.period(from: 50_000, to: 60_000)).occupancy == nil)
        #expect(try store.systemStatus().latestMetrics?.incarnation == other)
    }

    @Test(arguments: StoreKind.allCases)
    func theQueueInNumbersIsWhatIsStored(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        #expect(try store.queueState().jobs.values.allSatisfy { $0 == 0 })
        #expect(try store.queueState().oldestPending.isEmpty)
        let first = try store.enqueue(5, NewBatch(name: "first"), at: 100)
        let second = try store.enqueue(2, NewBatch(name: "second"), at: 200)
        let draft = try store.beginBatch(NewBatch(name: "draft"), at: 250)
        _ = try draft.append([.sample(1)])
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claim(4, of: first, incarnation: life, at: 300)
        _ = try store.finish([.success(jobs[0])], incarnation: life, at: 400)
        _ = try store.release(
            [jobs[1].ticket], incarnation: life,
            because: .badOutput(maxBadOutputs: 9, backoff: Backoff(firstMS: 1000, longestMS: 1000), because: "x"),
            at: 500)
        var state = try store.queueState()
        #expect(state.batches[.inProgress] == 2 && state.batches[.validating] == 1)
        #expect(state.jobs[.pending] == 4 && state.jobs[.running] == 2 && state.jobs[.succeeded] == 1)
        #expect(state.delayedJobs == 1 && state.oldestPending == [.normal: 100] && state.paused == nil)
        // A paused batch waits for its owner.
        try store.pause(first, at: 600)
        #expect(try store.queueState().oldestPending == [.normal: 200])
        _ = try store.cancel(second, at: 700)
        try store.pause(nil, at: 800)
        state = try store.queueState()
        #expect(state.batches[.cancelled] == 1 && state.jobs[.cancelled] == 2 && state.jobs[.pending] == 2)
        #expect(state.oldestPending.isEmpty && state.paused == 800)
    }

    @Test(arguments: StoreKind.allCases)
    func historyIsSummedInParts(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        for start: Int64 in [900, 1000, 1200, 1300, 1999, 2000] {
            var interval = MetricsInterval(
                incarnation: life, start: Milliseconds(rawValue: start), end: Milliseconds(rawValue: start + 100))
            interval.generatedTokens = start
            interval.queueDepth = start == 1200 ? 9 : 1
            try store.record(interval)
        }
        let parts = try store.metricsHistory(from: 1000, to: 2000, parts: 4)
        #expect(parts.map(\.index) == [0, 1, 3])
        #expect(parts.map(\.summary.generatedTokens) == [2200, 1300, 1999] && parts.map(\.queueDepth) == [9, 1, 1])
        #expect(parts[0].summary == (try store.metricsSummary(.period(from: 1000, to: 1250))))
        #expect(try store.metricsHistory(from: 5000, to: 6000, parts: 4).isEmpty)
        #expect(try store.metricsHistory(from: 2000, to: 1000, parts: 4).isEmpty)
        #expect(try store.metricsHistory(from: 1000, to: 2000, parts: 0).isEmpty)
    }
}
