// Options that every verb has, and what they lead to: the configuration and the store.

import ArgumentParser
import BatchDaemon
import Foundation
import JobStore
import PromptFiles

struct SharedOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The job database.", valueName: "path"))
    var db: String?

    @Option(help: ArgumentHelp("The configuration file (YAML).", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("The model: a name from `ttbatch models`, or a GGUF file.", valueName: "name|path"))
    var model: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Set a key of the configuration, e.g. engine.max_num_seqs=8.", valueName: "key=value"))
    var settings: [String] = []

    /// The configuration of flags, environment, file and defaults.
    func configuration() throws -> Configuration {
        var flags: [(key: String, value: String, flag: String)] = []
        for setting in settings {
            guard let equals = setting.firstIndex(of: "="), equals > setting.startIndex else {
                throw ValidationError("--set \(setting): expected key=value, e.g. engine.max_num_seqs=8")
            }
            let key = String(setting[..<equals])
            flags.append((key, String(setting[setting.index(after: equals)...]), "--set \(key)"))
        }
        // A flag of its own wins over --set.
        if let db { flags.append(("db", db, "--db")) }
        if let model { flags.append(("model", model, "--model")) }
        return try Configuration(
            ConfigurationSources(file: config, flags: flags, environment: ProcessInfo.processInfo.environment))
    }

    /// The model that was asked for outright, by flag or environment.
    func requestedModel(_ configuration: Configuration) -> String? {
        let isAsked =
            model != nil || settings.contains { $0.hasPrefix("model=") }
            || ProcessInfo.processInfo.environment["TTBATCH_MODEL"] != nil
        return isAsked ? configuration.model : nil
    }

    /// The store, opened for reading only.
    func storeForReading() throws -> SQLiteJobStore {
        warned(try SQLiteJobStore(readingFrom: try configuration().databasePath))
    }

    /// The store, created or upgraded where needed.
    func storeForWriting(_ configuration: Configuration) throws -> SQLiteJobStore {
        warned(try SQLiteJobStore(path: configuration.databasePath, at: DaemonClock.system.now))
    }

    private func warned(_ store: SQLiteJobStore) -> SQLiteJobStore {
        for warning in store.warnings { StandardError.print("ttbatch: warning: \(warning)") }
        return store
    }
}

struct BatchArgument: ParsableArguments {
    @Argument(help: "A batch, e.g. batch_17 or 17.")
    var batch: String

    /// The parsed id.
    func id() throws -> BatchID {
        guard let id = BatchID(batch) else {
            throw ValidationError("\"\(batch)\" is not a batch; expected e.g. batch_17 (see `ttbatch list`)")
        }
        return id
    }
}

struct EnqueueOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Prompt files (JSONL); - is standard input.", valueName: "file"))
    var files: [String]

    @Flag(help: "Store the valid lines; the others become failed jobs.")
    var skipInvalid = false

    @Option(
        help: ArgumentHelp(
            "Stop reading after this many errors; with --skip-invalid, print no more than these.", valueName: "n"))
    var maxErrors = 100

    func validate() throws {
        guard maxErrors >= 1 else { throw ValidationError("--max-errors \(maxErrors): expected at least 1") }
        guard files.filter({ $0 == "-" }).count <= 1 else { throw ValidationError("- can be given once only") }
    }

    /// Stores all files or none; every error of every file is told.
    func enqueue(
        into store: SQLiteJobStore, _ configuration: Configuration, _ shared: SharedOptions
    ) throws -> [EnqueueReport] {
        var options = Enqueuer.Options(defaultModel: configuration.model)
        options.skipsInvalid = skipInvalid
        options.maxErrors = maxErrors
        options.requestedModel = shared.requestedModel(configuration)
        _ = try store.sweepOrphanedDrafts()
        let enqueuer = Enqueuer(store: store, catalogue: configuration.catalogue, options: options)
        let reports = try enqueuer.enqueue(paths: files) { StandardError.print($0.description) }
        for (file, report) in zip(files, reports) {
            if report.blankLines > 0 {
                StandardError.print("\(file): skipped \(report.blankLines) blank lines")
            }
            if report.rejected > 0 {
                StandardError.print("\(file): \(report.rejected) invalid lines were recorded as failed jobs")
            }
        }
        return reports
    }
}
