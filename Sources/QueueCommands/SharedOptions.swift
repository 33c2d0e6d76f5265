// The options of all commands, and the configuration and store that they lead to.

package import ArgumentParser
import Foundation
package import QueuePlaces
import Runtime
package import Settings
package import StoreContract
import Terminal

package struct SharedOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The job database: a file, or postgres://USER@HOST/DATABASE, which several hosts share.",
            valueName: "path|url"))
    package var db: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The queue of a daemon elsewhere: http://HOST:PORT, https://HOST or unix:/PATH; instead of --db. Its key is "
                + "taken from TTBATCH_API_KEY, or from the file that TTBATCH_API_KEY_FILE names.",
            valueName: "url"))
    package var server: String?

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
        if db != nil, server != nil { throw ValidationError("--db and --server exclude each other; give one") }
        try OptionText.check(["--db": db, "--server": server, "--config": config, "--model": model])
        for setting in settings { try OptionText.check(["--set": setting]) }
    }

    /// The configuration from options, environment, file and defaults.
    package func configuration() throws -> Configuration {
        if let server { throw Self.hasNoServer("--server \(server)") }
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

    // MARK: - A queue here or elsewhere

    /// The server that options or the environment name; nil: the queue is a database of this machine.
    package func queueServer() throws -> QueueServer? {
        guard let address = try serverAddress() else { return nil }
        if config != nil || !settings.isEmpty {
            throw Failure(.usage, "--config and --set have no effect with \(address), which has settings of its own")
        }
        return try QueueServer(address, environment: ProcessInfo.processInfo.environment)
    }

    /// What names the server: an option, or the environment if no option names a database.
    private func serverAddress() throws(Failure) -> String? {
        if let server { return server }
        let environment = ProcessInfo.processInfo.environment
        let hasDatabase = db != nil || settings.contains { $0.hasPrefix("db=") }
        guard !hasDatabase, let address = environment["TTBATCH_SERVER"], !address.isEmpty else { return nil }
        if environment["TTBATCH_DB"] != nil {
            throw Failure(.usage, "TTBATCH_SERVER and TTBATCH_DB are both set: unset one, or give --server or --db")
        }
        return address
    }

    /// The queue, for reading.
    ///
    /// - Parameter isPatient: whether a server that does not answer is waited for.
    package func queueForReading(isPatient: Bool = false) throws -> any JobReading {
        guard let server = try queueServer() else { return try storeForReading() }
        return server.jobs(patience: isPatient ? 300 : 0) { StandardError.print("ttbatch: \($0)") }
    }

    /// The queue, which must exist, for reading and for what users do with batches.
    package func queueForActing() throws -> any JobReading & BatchControl {
        guard let server = try queueServer() else { return try storeForExisting() }
        return server.jobs()
    }

    private static func hasNoServer(_ option: String) -> Failure {
        Failure(.usage, "\(option): this verb works on a database of this machine; run it there, or give --db")
    }

    private func checkIsHere() throws(Failure) {
        if let address = try serverAddress() {
            throw Self.hasNoServer(server == nil ? "TTBATCH_SERVER=\(address)" : "--server \(address)")
        }
    }

    // MARK: - A database

    /// The store, read-only.
    package func storeForReading() throws -> any JobStore { try databaseForReading() }

    /// The store; created or migrated if necessary.
    package func storeForWriting(_ configuration: Configuration) throws -> any JobStore {
        try databaseForWriting(configuration)
    }

    /// The store for a daemon: a server that is away is waited for.
    package func storeForDaemon(_ configuration: Configuration) throws -> any JobStore {
        try waiting(configuration) { try storeForWriting(configuration) }
    }

    /// Opens what a daemon needs. A server that is away, or held up by another program, is waited for.
    private func waiting<Store>(_ configuration: Configuration, _ open: () throws -> Store) throws -> Store {
        var said: JobStoreError?
        while true {
            do {
                return try open()
            } catch let error as JobStoreError {
                guard case .postgres = configuration.database, error.isTemporary else { throw error }
                if error != said { StandardError.print("ttbatch: \(error); the daemon waits for it") }
                said = error
                sleep(1)
            }
        }
    }

    /// A store for writing, which must exist.
    package func storeForExisting() throws -> any JobStore {
        _ = try storeForReading()
        return try storeForWriting(configuration())
    }

    /// The store with its upkeep, read-only.
    package func databaseForReading() throws -> any JobStore & DatabaseUpkeep {
        try checkIsHere()
        return warned(try QueueDatabase.reading(try configuration()))
    }

    /// The store with its upkeep; created or migrated if necessary.
    package func databaseForWriting(_ configuration: Configuration) throws -> any JobStore & DatabaseUpkeep {
        try checkIsHere()
        return warned(try QueueDatabase.writing(configuration))
    }

    /// A store of its own for the server of this process, on a database that is open already.
    package func storeForServer(_ configuration: Configuration) throws -> any ServedStore {
        try waiting(configuration) { try QueueDatabase.writing(configuration) }
    }

    /// A new database that no configuration names.
    package static func newStore(at path: String) throws -> any JobStore & DatabaseUpkeep {
        try QueueDatabase.writing(path)
    }

    private func warned(_ store: any JobStore & DatabaseUpkeep) -> any JobStore & DatabaseUpkeep {
        for warning in store.warnings { StandardError.print("ttbatch: warning: \(warning)") }
        return store
    }
}
