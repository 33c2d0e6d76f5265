// The options of all commands, and the configuration and store that they lead to.

package import ArgumentParser
import Foundation
import Runtime
import SQLiteStore
package import Settings
package import StoreContract
import Terminal

package struct SharedOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: ArgumentHelp("The job database.", valueName: "path"))
    package var db: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("The configuration file (YAML).", valueName: "file"))
    package var config: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The model: a name from `ttbatch models`, or a GGUF file.", valueName: "name|path"))
    package var model: String?

    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Set a key of the configuration, e.g. engine.max_num_seqs=8.", valueName: "key=value"))
    package var settings: [String] = []

    package init() {}

    package func validate() throws {
        try OptionText.check(["--db": db, "--config": config, "--model": model])
        for setting in settings { try OptionText.check(["--set": setting]) }
    }

    /// The configuration from options, environment, file and defaults.
    package func configuration() throws -> Configuration {
        var flags: [(key: String, value: String, flag: String)] = []
        for setting in settings {
            guard let equals = setting.firstIndex(of: "="), equals > setting.startIndex else {
                throw ValidationError("--set \(setting): expected key=value, e.g. engine.max_num_seqs=8")
            }
            let key = String(setting[..<equals])
            flags.append((key, String(setting[setting.index(after: equals)...]), "--set \(key)"))
        }
        // The specific option takes precedence over --set.
        if let db { flags.append(("db", db, "--db")) }
        if let model { flags.append(("model", model, "--model")) }
        return try Configuration(
            ConfigurationSources(file: config, flags: flags, environment: ProcessInfo.processInfo.environment))
    }

    /// The model that was requested explicitly, by option or environment.
    package func requestedModel(_ configuration: Configuration) -> String? {
        let isAsked =
            model != nil || settings.contains { $0.hasPrefix("model=") }
            || ProcessInfo.processInfo.environment["TTBATCH_MODEL"] != nil
        return isAsked ? configuration.model : nil
    }

    /// The store, read-only.
    package func storeForReading() throws -> any JobStore { try databaseForReading() }

    /// The store; created or migrated if necessary.
    package func storeForWriting(_ configuration: Configuration) throws -> any JobStore {
        try databaseForWriting(configuration)
    }

    /// A store for the server of a daemon.
    package func storeForServer(_ configuration: Configuration) throws -> any ServedStore {
        try SQLiteJobStore(path: configuration.databasePath, at: TimeSource.system.now)
    }

    /// A store for writing, which must exist.
    package func storeForExisting() throws -> any JobStore {
        _ = try storeForReading()
        return try storeForWriting(configuration())
    }

    /// The store as a database file, read-only.
    package func databaseForReading() throws -> any JobStore & DatabaseUpkeep {
        warned(try SQLiteJobStore(readingFrom: try configuration().databasePath))
    }

    /// The store as a database file; created or migrated if necessary.
    package func databaseForWriting(_ configuration: Configuration) throws -> any JobStore & DatabaseUpkeep {
        warned(try SQLiteJobStore(path: configuration.databasePath, at: TimeSource.system.now))
    }

    /// A new database for measurements.
    package static func openForBenchmark(_ path: String) throws -> any JobStore & DatabaseUpkeep {
        try SQLiteJobStore(path: path, at: TimeSource.system.now)
    }

    private func warned(_ store: SQLiteJobStore) -> SQLiteJobStore {
        for warning in store.warnings { StandardError.print("ttbatch: warning: \(warning)") }
        return store
    }
}
