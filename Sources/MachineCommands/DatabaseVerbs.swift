// `ttbatch db …`: maintenance and measurement of the database file.

package import ArgumentParser
import QueueCommands

package struct DatabaseVerbs: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "db", abstract: "Look after the job database: check, backup, copy, vacuum, prune, bench.",
        subcommands: [
            DatabaseCheck.self, DatabaseBackup.self, DatabaseCopy.self, DatabaseVacuum.self, DatabasePrune.self,
            DatabaseBench.self,
        ])

    package init() {}
}
