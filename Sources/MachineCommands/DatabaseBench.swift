// `ttbatch db bench`: measures the speed of the queue on this disk.

package import ArgumentParser
import Benchmarks
import Foundation
import JSONText
import QueueCommands
import Settings
import Terminal

package struct DatabaseBench: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure the queue on this disk, with a database of its own.",
        discussion: """
            Stores, claims, ends and exports jobs that nothing computes, durably as always. The database is made beside the \
            configured one and deleted.
            """)

    @Option(parsing: .unconditional, help: ArgumentHelp("Jobs to work.", valueName: "n"))
    package var jobs = 100_000

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Jobs that have ended before, and as many that wait meanwhile.", valueName: "n"))
    package var history = 0

    @Option(parsing: .unconditional, help: ArgumentHelp("Jobs claimed and ended together.", valueName: "n"))
    package var group = 64

    @Flag(help: "One JSON object.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func validate() throws {
        guard jobs >= 1, history >= 0, group >= 1 else { throw ValidationError("--jobs and --group: at least 1") }
    }

    package func run() throws {
        let configuration = try shared.configuration()
        let place =
            switch configuration.database {
            case .file(let path): URL(filePath: path).deletingLastPathComponent()
            case .postgres: URL(filePath: configuration.stateDirectory)
            }
        let folder = place.appending(path: "ttbatch-bench-\(getpid())")
        defer { try? FileManager.default.removeItem(at: folder) }
        var benchmark = QueueBenchmark(open: SharedOptions.newStore(at:))
        benchmark.jobs = jobs
        benchmark.history = history
        benchmark.group = group
        let measured = try benchmark.run(path: folder.appending(path: "jobs.db").path)
        if json {
            StandardOutput.print(object(measured))
        } else {
            for line in definitionLines(facts(measured)) { StandardOutput.print(line) }
        }
    }

    private func facts(_ measured: QueueMeasurement) -> [(String, String)] {
        let claim = { (percentile: Double) in String(format: "%.2f ms", measured.claimMS(percentile: percentile)) }
        return [
            ("stored", "\(Quantity.rate(measured.storedPerSecond)) jobs/s"),
            ("claim of \(group)", "median \(claim(50)), 99 % within \(claim(99)), longest \(claim(100))"),
            ("ended in groups of \(group)", "\(Quantity.rate(measured.finishedPerSecond)) jobs/s"),
            ("claimed and ended", "\(Quantity.rate(measured.workedPerSecond)) jobs/s"),
            ("exported", "\(Quantity.rate(measured.exportedPerSecond)) lines/s"),
            ("restart to first claim", String(format: "%.0f ms", measured.restartMS)),
            ("write-ahead log at most", Quantity.bytes(measured.walBytes)),
            ("database", Quantity.bytes(measured.databaseBytes)),
        ]
    }

    private func object(_ measured: QueueMeasurement) -> JSONValue {
        [
            "stored_per_second": .double(measured.storedPerSecond),
            "claim_ms_p50": .double(measured.claimMS(percentile: 50)),
            "claim_ms_p99": .double(measured.claimMS(percentile: 99)),
            "claim_ms_max": .double(measured.claimMS(percentile: 100)),
            "finished_per_second": .double(measured.finishedPerSecond),
            "worked_per_second": .double(measured.workedPerSecond),
            "exported_per_second": .double(measured.exportedPerSecond),
            "restart_ms": .double(measured.restartMS), "wal_bytes": .int(measured.walBytes),
            "database_bytes": .int(measured.databaseBytes),
        ]
    }
}
