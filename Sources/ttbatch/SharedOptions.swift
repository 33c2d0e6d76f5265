// Options that every verb has, and what they lead to: the configuration and the store.

import ArgumentParser
import BatchDaemon
import Foundation
import JobStore
import ModelFiles
import PromptFiles

struct SharedOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: ArgumentHelp("The job database.", valueName: "path"))
    var db: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("The configuration file (YAML).", valueName: "file"))
    var config: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The model: a name from `ttbatch models`, or a GGUF file.", valueName: "name|path"))
    var model: String?

    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Set a key of the configuration, e.g. engine.max_num_seqs=8.", valueName: "key=value"))
    var settings: [String] = []

    func validate() throws {
        try OptionText.check(["--db": db, "--config": config, "--model": model])
        for setting in settings { try OptionText.check(["--set": setting]) }
    }

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

    /// A store that must be there already, for writing.
    func storeForExisting() throws -> SQLiteJobStore {
        _ = try storeForReading()
        return try storeForWriting(configuration())
    }

    private func warned(_ store: SQLiteJobStore) -> SQLiteJobStore {
        for warning in store.warnings { StandardError.print("ttbatch: warning: \(warning)") }
        return store
    }
}

/// What a person calls a batch: its id, or the unique name that it was given.
struct BatchReference: ExpressibleByArgument {
    let text: String

    init(argument: String) { text = argument }

    /// The batch that is meant. An id counts before a name of the same form.
    ///
    /// - Throws: `JobStoreError.batchNotFound`, or a failure where no batch has the name.
    func id(in store: SQLiteJobStore) throws -> BatchID {
        let id = BatchID(text)
        if let id, (try? store.batch(id)) != nil { return id }
        if let named = try store.batch(named: text) { return named }
        // With its own words, for example for a database that cannot be read.
        if let id { return try store.batch(id).id }
        throw Failure(.notFound, "there is no batch \"\(text)\"; give an id or a unique name from `ttbatch list`")
    }
}

struct BatchArgument: ParsableArguments {
    @Argument(help: "A batch: its id, e.g. batch_17 or 17, or its unique name.")
    var batch: BatchReference

    /// The batch that is meant; it exists.
    func id(in store: SQLiteJobStore) throws -> BatchID { try batch.id(in: store) }
}

struct EnqueueOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp("Prompt files (JSONL, also packed by gzip or zstd); - is standard input.", valueName: "file")
    )
    var files: [String]

    @Flag(help: "Store the valid lines; the others become failed jobs.")
    var skipInvalid = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Stop reading after this many errors; with --skip-invalid, print no more than these.", valueName: "n"))
    var maxErrors = 100

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "A name for the batch, which no other may have; for one file. Without it, batches are called by their files.",
            valueName: "name"))
    var name: String?

    @Flag(
        help: """
            If there is a batch with the --name already, print its id and store nothing, so that a cron job can be repeated.
            """)
    var ifNotExists = false

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            """
            Run on one model what lines ask of another, e.g. gpt-4o-mini=smollm2-135m-instruct, or *=NAME for whatever \
            they name; results keep the lines' names. Can be repeated.
            """,
            valueName: "from=to"))
    var mapModel: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("-1000 to 1000; batches of higher priority run first.", valueName: "n"))
    var priority: Int64 = 0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Prompts that have not begun by then expire, e.g. \"2026-11-26 06:00\" or 06:00.", valueName: "time"))
    var deadline: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The same as a length of time from now, e.g. 24h, 90m, 2d.", valueName: "time"))
    var window: String?

    func validate() throws {
        try OptionText.check(["--name": name, "--deadline": deadline, "--window": window])
        for entry in mapModel { try OptionText.check(["--map-model": entry]) }
        if let name {
            guard !name.isEmpty, name.utf8.count <= 256, !name.unicodeScalars.contains(where: { $0.value < 32 }) else {
                throw ValidationError("--name: expected 1 to 256 bytes without control characters")
            }
            guard files.count == 1 else { throw ValidationError("--name \(name): only one file can have it") }
            guard BatchID(name) == nil else {
                throw ValidationError("--name \(name): that is an id of a batch; choose a name with letters")
            }
        }
        if ifNotExists, name == nil { throw ValidationError("--if-not-exists needs a --name to look for") }
        guard BatchPriority(rawValue: priority) != nil else {
            throw ValidationError("--priority \(priority): expected -1000 to 1000")
        }
        _ = try modelMap()
        if deadline != nil, window != nil { throw ValidationError("--deadline and --window say the same; give one") }
        _ = try deadlineInstant()
        guard maxErrors >= 1 else { throw ValidationError("--max-errors \(maxErrors): expected at least 1") }
        guard files.filter({ $0 == "-" }).count <= 1 else { throw ValidationError("- can be given once only") }
    }

    private func modelMap() throws -> ModelMap {
        do throws(InvalidModelMap) { return try ModelMap(parsing: mapModel) } catch {
            throw ValidationError("--map-model \(error)")
        }
    }

    private func deadlineInstant() throws -> Milliseconds? {
        let now = DaemonClock.system.now
        do throws(InvalidDeadline) {
            if let deadline { return try Deadline.parse(time: deadline, now: now) }
            return try window.map { (window) throws(InvalidDeadline) in try Deadline.parse(window: window, now: now) }
        } catch {
            throw ValidationError("\(deadline == nil ? "--window" : "--deadline"): \(error)")
        }
    }

    /// Stores all files or none; every error of every file is told.
    func enqueue(
        into store: SQLiteJobStore, _ configuration: Configuration, _ shared: SharedOptions,
        check: @escaping (ModelConfig) throws -> Void = { _ in }
    ) throws -> [EnqueueReport] {
        var options = Enqueuer.Options(defaultModel: configuration.model)
        options.skipsInvalid = skipInvalid
        options.maxErrors = maxErrors
        options.requestedModel = shared.requestedModel(configuration)
        options.modelMap = try modelMap()
        options.name = name
        options.ifNotExists = ifNotExists
        options.priority = BatchPriority(rawValue: priority) ?? .normal
        options.deadline = try deadlineInstant()
        options.check = check
        options.engine = configuration.engine
        _ = try store.sweepOrphanedDrafts()
        let enqueuer = Enqueuer(store: store, catalogue: configuration.catalogue, options: options)
        let reports = try enqueuer.enqueue(paths: files) { error in
            StandardError.print(error is LineError ? "\(error)" : "ttbatch: \(error)")
        }
        for (file, report) in zip(files, reports) {
            if report.existed, let name {
                let status = try store.batch(report.batch).status.rawValue.replacing("_", with: " ")
                StandardError.print("\(name) is \(report.batch) already (\(status)); nothing was stored")
            }
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
