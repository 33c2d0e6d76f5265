// `ttbatch db …`: maintenance of the database file.

package import ArgumentParser
import JSONText
import Runtime
import StoreContract
import Terminal

/// `ttbatch db check`
package struct DatabaseCheck: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Read the whole database and report what is wrong with it.",
        discussion: """
            SQLite's own checks of the file and its references; whether the counters of every batch are what its jobs add \
            up to, and every job has the result that it should have; the write-ahead log, the filesystem, file modes. \
            Exit code 1 if anything is wrong.
            """)

    @Flag(help: "One JSON object.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let store = try shared.databaseForReading()
        let check = try store.check()
        if json {
            StandardOutput.print(object(check, store))
        } else {
            for line in definitionLines(facts(check, store)) { StandardOutput.print(line) }
        }
        guard check.problems.isEmpty else {
            throw Failure(
                .operationalError,
                "\(store.location): \(check.problems.count) problems; keep a copy of the file before anything else is tried"
            )
        }
    }

    private func facts(_ check: StoreCheck, _ store: any JobStore) -> [(String, String)] {
        let guarding = check.needsCheckpointGuard ? " (can lose commits in a checkpoint; ttbatch guards its own)" : ""
        var facts = [
            (
                "database",
                "\(store.location), \(Quantity.bytes(check.databaseBytes)), \(Quantity.bytes(check.freeBytes)) free"
            ),
            ("write-ahead log", Quantity.bytes(check.walBytes)),
            ("filesystem", check.filesystem),
            ("schema", "\(check.schemaVersion)"),
            (check.engine, check.engineVersion + guarding),
            ("rows", "\(check.batches) batches, \(check.jobs) jobs"),
        ]
        facts.removeAll { $0 == "filesystem" && $1.isEmpty }
        facts += check.remarks.map { ("remark", $0) }
        facts += check.problems.isEmpty ? [("verdict", "ok")] : check.problems.map { ("problem", $0) }
        return facts
    }

    private func object(_ check: StoreCheck, _ store: any JobStore) -> JSONValue {
        [
            "database": .string(store.location), "ok": .bool(check.problems.isEmpty),
            "problems": .array(check.problems.map { .string($0) }),
            "remarks": .array(check.remarks.map { .string($0) }),
            "database_bytes": .int(check.databaseBytes), "free_bytes": .int(check.freeBytes),
            "wal_bytes": .int(check.walBytes), "filesystem": .string(check.filesystem),
            "schema": .int(Int64(check.schemaVersion)),
            "sqlite": check.engine == "SQLite" ? .string(check.engineVersion) : .null,
            "postgresql": check.engine == "PostgreSQL" ? .string(check.engineVersion) : .null,
            "needs_checkpoint_guard": .bool(check.needsCheckpointGuard), "batches": .int(check.batches),
            "jobs": .int(check.jobs),
        ]
    }
}

/// `ttbatch db backup FILE`
package struct DatabaseBackup: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write a complete, checked copy of the database to a file.",
        discussion: """
            A daemon and others may go on meanwhile. The file is there as a whole or not at all. To go back to it, stop the \
            daemon, move the database with its -wal and -shm files away, and put the copy in its place. (cp of a database \
            in use is no backup: the latest results are in the write-ahead log.)
            """)

    @Argument(help: ArgumentHelp("Where to; must not exist.", valueName: "file"))
    package var file: String

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func validate() throws { try OptionText.check(paths: [file]) }

    package func run() throws {
        try shared.databaseForReading().backup(to: file)
    }
}

/// `ttbatch db vacuum`
package struct DatabaseVacuum: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "vacuum", abstract: "Give the room of deleted batches back to the disk.",
        discussion: """
            Rewrites the whole file: no daemon may run, and meanwhile twice its size is needed beside it. Free room is used \
            again without this, so it is worth it only after much was pruned.
            """)

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let configuration = try shared.configuration()
        _ = try shared.databaseForReading()
        let report = try shared.databaseForWriting(configuration).vacuum()
        StandardError.print("from \(Quantity.bytes(report.bytesBefore)) to \(Quantity.bytes(report.bytesAfter))")
    }
}

/// `ttbatch db prune`
package struct DatabasePrune: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Delete batches that ended long ago, with their results.",
        discussion: """
            Whole batches, and metrics as old. What has not ended is never deleted, however old it is. The daemon may run.
            """)

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Only what ended longer ago than this, e.g. 30d, 12h or 90m.", valueName: "age"))
    package var olderThan: Age

    @Flag(help: "Only print what would be deleted.")
    package var dryRun = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let configuration = try shared.configuration()
        let limit = Milliseconds(rawValue: TimeSource.system.now.rawValue - olderThan.milliseconds)
        _ = try shared.databaseForReading()
        let store = try shared.databaseForWriting(configuration)
        if dryRun {
            for batch in try store.prunable(finishedBefore: limit) {
                StandardOutput.print("\(batch.id) \(batch.counts.total)")
            }
            return
        }
        let report = try store.prune(finishedBefore: limit)
        StandardError.print(
            "deleted \(report.batches.count) batches with \(report.jobs) jobs, and \(report.metrics) rows of metrics")
    }
}

/// A duration on the command line: `30d`, `12h`, `90m`, `45s`.
package struct Age: ExpressibleByArgument {
    package let milliseconds: Int64

    package init?(argument: String) {
        let units: [Character: Int64] = ["d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000]
        guard let unit = argument.last.flatMap({ units[$0] }), let count = Int64(argument.dropLast()), count >= 0
        else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: unit)
        // More than ten thousand years is a typo.
        guard !overflow, product < 315_576_000_000_000 else { return nil }
        milliseconds = product
    }
}
