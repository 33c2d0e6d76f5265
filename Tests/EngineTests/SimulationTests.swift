// Thousands of seeded random schedules against what each request generates alone.

import Foundation
import Platform
import Testing

@testable import Engine

@Suite struct SimulationTests {
    /// Schedules to try; the environment may ask for more, for a soak.
    private static let count = UInt64(ProcessInfo.processInfo.environment["TTBATCH_TEST_SCHEDULES"] ?? "") ?? 2000

    @Test(arguments: 0..<4 as Range<UInt64>, Simulation.Groups.allCases)
    func everyRequestEndsOnceWithTheTokensItGetsAlone(part: UInt64, groups: Simulation.Groups) throws {
        for seed in stride(from: part, to: Self.count, by: groups == .all ? 4 : 8) {
            var simulation = Simulation(seed: seed, groups: groups)
            do {
                try simulation.run()
            } catch {
                Issue.record(error, "seed \(seed), \(groups)")
            }
        }
    }

    @Test func theSameCallsGiveTheSameSteps() throws {
        for seed in 0..<80 as Range<UInt64> {
            let groups = Simulation.Groups.allCases[Int(seed % 4)]
            var first = Simulation(seed: seed, groups: groups)
            var second = Simulation(seed: seed, groups: groups)
            try first.run()
            try second.run()
            #expect(first.executors.map(\.steps) == second.executors.map(\.steps))
        }
    }

    @Test(arguments: Simulation.Groups.allCases)
    func theSchedulesReachWhatTheyAreFor(groups: Simulation.Groups) throws {
        var preemptions = 0
        var overtakings = 0
        var faults = 0
        var stops = 0
        var cachedTokens = 0
        var badOutputs = 0
        var sharedBehindWindows = 0
        var forks = 0
        for seed in 0..<100 as Range<UInt64> {
            var simulation = Simulation(seed: seed, groups: groups)
            try simulation.run()
            preemptions += simulation.preemptions
            overtakings += simulation.overtakings
            faults += simulation.executors.count - 1
            stops += simulation.stops
            cachedTokens += simulation.cachedTokens
            badOutputs += simulation.badOutputs
            for row in simulation.executors.flatMap(\.prefills).compactMap(\.self).joined() {
                forks += row.forks.count
                if row.blocks.contains(where: { $0.first == KVCacheShape.noBlock }) { sharedBehindWindows += 1 }
            }
        }
        #expect(preemptions > 100 && overtakings > 100 && faults > 20 && stops > 100)
        #expect(cachedTokens > (groups == .all ? 500 : 100) && badOutputs > 20)
        #expect((sharedBehindWindows > 0) == (groups != .all))
        #expect(forks > 50)
    }
}
