// The counters agree with what was done.

import Platform
import Testing

@testable import Engine

@Suite struct EngineStatisticsTests {
    @Test func countStepsRowsTokensAndBlocks() throws {
        let fixture = EngineFixture(.small(slots: 4, blocks: 10))
        _ = try fixture.add(5, maxTokens: 3)
        _ = try fixture.add(3, maxTokens: 2)
        _ = try fixture.step()
        var statistics = fixture.engine.statistics
        #expect(statistics.running == 2 && statistics.waiting == 0)
        #expect(statistics.kvBlocksUsed == 3 && statistics.kvBlocksTotal == 10)
        #expect(statistics.occupancy == 0)
        _ = try fixture.drain()
        statistics = fixture.engine.statistics
        #expect(statistics.prefillSteps == 1 && statistics.decodeSteps == 2)
        #expect(statistics.prefilledTokens == 8 && statistics.recomputedTokens == 0)
        #expect(statistics.decodedRows == 3 && statistics.generatedTokens == 5)
        #expect(statistics.occupancy == 3.0 / 8)
        #expect(statistics.kvBlocksUsed == 0)
    }
}
