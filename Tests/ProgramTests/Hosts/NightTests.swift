// Nights of four hosts, a server that restarts, and networks that fail: nothing that was acknowledged is lost, nothing is there twice.
//
// A failing night prints what happened and how to repeat it; the processes' own times are not repeated. More: etc/chaos.

import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Nights of several hosts", .serialized, .enabled(if: PostgresServer.programs != nil))
struct NightTests {
    private static let runsInNight = 10

    @Test func nothingIsLostOrDoubled() throws {
        let environment = ProcessInfo.processInfo.environment
        func number(_ name: String) -> UInt64? { environment[name].flatMap { UInt64($0) } }
        let runs = Int(number("TTBATCH_CHAOS_RUNS") ?? 200)
        let firstSeed = number("TTBATCH_CHAOS_SEED") ?? .random(in: 0..<1_000_000_000)
        let nights = max(1, (runs + Self.runsInNight - 1) / Self.runsInNight)
        // Most of the time of a night is spent in waiting.
        let lanes = min(nights, Int(number("TTBATCH_CHAOS_LANES") ?? 4))
        let expected = try NightJobs.expected()
        let failures = Mutex<[String]>([])
        let sums = Mutex([0, 0, 0])
        let next = Atomic<Int>(0)
        let ends = (0..<lanes).map { _ in
            onThread {
                do {
                    // Its restarts are for the nights of this lane only.
                    let server = try PostgresServer()
                    while failures.withLock(\.isEmpty) {
                        let night = next.wrappingAdd(1, ordering: .relaxed).oldValue
                        guard night < nights else { return }
                        let (failure, figures) = try Self.night(
                            firstSeed + UInt64(night), min(runs, Self.runsInNight), server, expected)
                        if let failure { failures.withLock { $0.append(failure) } }
                        if !figures.isEmpty { sums.withLock { $0 = zip($0, figures).map(+) } }
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
        }
        for end in ends { end.wait() }
        for failure in failures.withLock({ $0 }) { Issue.record("\(failure)") }
        let (results, repeated, lives) = sums.withLock { ($0[0], $0[1], $0[2]) }
        let told = "\(results) results, \(repeated) of them repeated, \(lives) lives of daemons"
        print("\(nights) nights, seeds \(firstSeed)...: \(told)")
    }

    /// One night: what went wrong in it, and its figures.
    private static func night(
        _ seed: UInt64, _ runs: Int, _ server: PostgresServer, _ expected: [String: NightJobs.End]
    ) throws -> (failure: String?, figures: [Int]) {
        let night = try Night(seed: seed, on: server, expected)
        var words = "TTBATCH_CHAOS_SEED=\(seed) TTBATCH_CHAOS_RUNS=\(runs) swift test --filter NightTests\n"
        do {
            for _ in 0..<runs where try !night.run() { return (words + night.report, []) }
            return (nil, try night.figures())
        } catch {
            words += "\(error)\n"
            return (words + night.report, [])
        }
    }
}
