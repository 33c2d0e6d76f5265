// Thousands of seeded random schedules against what each request generates alone.

import Foundation
import Platform
import Testing

@testable import Engine

@Suite struct SimulationTests {
    /// Schedules to try; the environment may ask for more, for a soak.
    private static let count = UInt64(ProcessInfo.processInfo.environment["TTBATCH_TEST_SCHEDULES"] ?? "") ?? 2000

    @Test(arguments: 0..<8 as Range<UInt64>)
    func everyRequestEndsOnceWithTheTokensItGetsAlone(part: UInt64) throws {
        for seed in stride(from: part, to: Self.count, by: 8) {
            var simulation = Simulation(seed: seed)
            do {
                try simulation.run()
            } catch {
                Issue.record(error, "seed \(seed)")
            }
        }
    }

    @Test func theSameCallsGiveTheSameSteps() throws {
        for seed in 0..<50 as Range<UInt64> {
            var first = Simulation(seed: seed)
            var second = Simulation(seed: seed)
            try first.run()
            try second.run()
            #expect(first.executors.map(\.steps) == second.executors.map(\.steps))
        }
    }

    @Test func theSchedulesReachWhatTheyAreFor() throws {
        var preemptions = 0
        var overtakings = 0
        var faults = 0
        var stops = 0
        var cachedTokens = 0
        var badOutputs = 0
        for seed in 0..<100 as Range<UInt64> {
            var simulation = Simulation(seed: seed)
            try simulation.run()
            preemptions += simulation.preemptions
            overtakings += simulation.overtakings
            faults += simulation.executors.count - 1
            stops += simulation.stops
            cachedTokens += simulation.cachedTokens
            badOutputs += simulation.badOutputs
        }
        #expect(preemptions > 100 && overtakings > 100 && faults > 20 && stops > 100)
        #expect(cachedTokens > 500 && badOutputs > 20)
    }
}
