// A hundred thousand seeded nights of one daemon or several, each with its own faults, kills, cancels and pauses.
//
// The simulation is a program of its own (Tests/QueueSimulation), built for release beside the program under test.

import Foundation
import TestSupport
import Testing

@Suite("the daemon's simulation")
struct QueueSimulationTests {
    /// The environment may ask for more, for a soak.
    private let count = ProcessInfo.processInfo.environment["TTBATCH_TEST_SCHEDULES"] ?? "100000"

    private func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let workspace = try Workspace()
        let program = Locations.program.deletingLastPathComponent().appending(path: "queue-simulation")
        let outcome = try RunningProgram(
            arguments, program: program.path, environment: ["SWIFT_BACKTRACE": "enable=no"], in: workspace.directory
        ).waitForEnd(atMost: .seconds(7200))
        return (outcome.status, outcome.output + outcome.errors)
    }

    /// A failure is reported with the command that repeats its schedule.
    @Test func everyScheduleKeepsWhatPeopleWereTold() throws {
        let (status, output) = try run(["--schedules", count])
        #expect(status == 0, "\(output)")
    }

    @Test func aSeedTellsTheSameNightEveryTime() throws {
        let first = try run(["--seed", "7"])
        #expect(first.status == 0 && first.output.contains("incarnation 1 begins"), "\(first.output)")
        #expect(try run(["--seed", "7"]) == first)
    }

    /// A store that does not keep one of its rules is found out.
    @Test(arguments: [
        "finishesWithoutLease", "releasesWithoutLease", "deadClaim", "unheardClaimsAreForgotten", "deadKeepTheirJobs",
        "firstDeathIsBlamed", "silentJudge",
    ])
    func aDefectIsFound(defect: String) throws {
        let (status, output) = try run(["--schedules", "2000", "--defect", defect])
        #expect(status == 1 && output.contains("again: queue-simulation --seed"), "\(output)")
    }
}
