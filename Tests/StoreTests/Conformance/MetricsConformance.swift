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
}
