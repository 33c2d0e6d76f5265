// kill -9 at every failpoint, and the oracle after each: nothing that was acknowledged is lost, nothing is there twice.
//
// A failing run prints how to repeat it. More runs: TTBATCH_KILL_RUNS=5000 (see etc/soak).

import Foundation
import Testing

@Suite("kill -9 at failpoints", .serialized)
struct KillTests {
    /// Every failpoint that a deed comes by, the first time it does.
    @Test func atEachFailpoint() throws {
        let reproduction = "swift test --filter KillTests/atEachFailpoint"
        let shared = try History(seed: 1, reproduction: reproduction)
        let map = try FailpointMap.survey()
        // Whoever adds a deed or takes failpoints away looks here.
        #expect(map.places.count > 40, "\(map.places.count) places")
        for place in map.places {
            // Only a new database is migrated.
            let isNew = place.name.hasPrefix("migrate")
            let history = isNew ? try History(seed: 1, reproduction: reproduction) : shared
            try history.prepare(place.deed)
            let isKilled = try history.perform(place.deed, killedAt: place.name, hit: 1)
            // How far work has come when it is stopped is a matter of time.
            #expect(isKilled || place.deed == .stopAtWork, "\(place.deed) does not come by \(place.name)")
            if isNew { try history.end() }
        }
        try shared.end()
    }

    /// Random deeds, each killed at a random failpoint, on databases that have been killed at before.
    @Test func atRandomFailpoints() throws {
        let environment = ProcessInfo.processInfo.environment
        let runs = Int(environment["TTBATCH_KILL_RUNS"] ?? "") ?? 200
        let firstSeed = UInt64(environment["TTBATCH_KILL_SEED"] ?? "") ?? .random(in: 0..<1_000_000_000)
        let killsInHistory = 20
        let map = try FailpointMap.survey()
        var kills = 0
        for number in 0..<max(1, runs / killsInHistory) {
            let seed = firstSeed + UInt64(number)
            let history = try History(
                seed: seed,
                reproduction:
                    "TTBATCH_KILL_SEED=\(seed) TTBATCH_KILL_RUNS=\(killsInHistory) swift test --filter KillTests")
            var killsHere = 0
            while killsHere < min(killsInHistory, runs) {
                let place = history.choose(map.places)
                try history.prepare(place.deed)
                let hit = history.choose(Array(1...place.hits))
                if try history.perform(place.deed, killedAt: place.name, hit: hit) { killsHere += 1 }
            }
            try history.end()
            kills += killsHere
        }
        print("killed \(kills) times, seeds \(firstSeed)...")
    }
}

/// A failpoint that a deed comes by.
struct Place {
    let deed: Deed
    let name: String
    /// How often it comes by.
    let hits: Int
}

/// The failpoints of each deed, from a run without kills.
struct FailpointMap {
    let places: [Place]

    static func survey() throws -> FailpointMap {
        var places: [Place] = []
        for deed in Deed.allCases {
            let history = try History(seed: 0, reproduction: "")
            try history.prepare(deed)
            var hits: [String: Int] = [:]
            for name in try history.trace(deed) { hits[name, default: 0] += 1 }
            places += hits.sorted { $0.key < $1.key }.map { Place(deed: deed, name: $0.key, hits: $0.value) }
        }
        return FailpointMap(places: places)
    }
}
