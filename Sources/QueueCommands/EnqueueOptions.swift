// The options of `run` and `enqueue`.

package import ArgumentParser
package import Intake
package import QueuePlaces
import Runtime
package import Settings
package import StoreContract
import Terminal

package struct EnqueueOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp("Prompt files (JSONL, also packed by gzip or zstd); - is standard input.", valueName: "file")
    )
    package var files: [String]

    @Flag(help: "Store the valid lines; the others become failed jobs.")
    package var skipInvalid = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Stop reading after this many errors; with --skip-invalid, print no more than these.", valueName: "n"))
    package var maxErrors = 100

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "A name for the batch, which no other may have; for one file. Without it, batches are called by their files.",
            valueName: "name"))
    package var name: String?

    @Flag(
        help: """
            If there is a batch with the --name already, print its id and store nothing, so that a cron job can be repeated.
            """)
    package var ifNotExists = false

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            """
            Run on one model what lines ask of another, e.g. gpt-4o-mini=smollm2-135m-instruct, or *=NAME for whatever \
            they name; results keep the lines' names. Can be repeated.
            """,
            valueName: "from=to"))
    package var mapModel: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("-1000 to 1000; batches of higher priority run first.", valueName: "n"))
    package var priority: Int64 = 0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Prompts that have not begun by then expire, e.g. \"2026-11-26 06:00\" or 06:00.", valueName: "time"))
    package var deadline: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The same as a length of time from now, e.g. 24h, 90m, 2d.", valueName: "time"))
    package var window: String?

    package init() {}

    package func validate() throws {
        try OptionText.check(paths: files)
        try OptionText.check(["--name": name, "--deadline": deadline, "--window": window])
        for entry in mapModel { try OptionText.check(["--map-model": entry]) }
        if let name {
            guard files.count == 1 else { throw ValidationError("--name \(name): only one file can have it") }
            guard BatchID(name) == nil else {
                throw ValidationError("--name \(name): that is an id of a batch; choose a name with letters")
            }
            guard EnqueueOrder.isFit(name: name) else {
                throw ValidationError("--name: expected 1 to 256 bytes without control characters")
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
        let now = TimeSource.system.now
        do throws(InvalidDeadline) {
            if let deadline { return try Deadline.parse(time: deadline, now: now) }
            return try window.map { (window) throws(InvalidDeadline) in try Deadline.parse(window: window, now: now) }
        } catch {
            throw ValidationError("\(deadline == nil ? "--window" : "--deadline"): \(error)")
        }
    }

    /// What is wanted of the enqueue.
    ///
    /// - Parameter model: the model that was asked for beside the files.
    private func order(model: String?) throws -> EnqueueOrder {
        var order = EnqueueOrder(files: files)
        order.skipsInvalid = skipInvalid
        order.maxErrors = maxErrors
        order.name = name
        order.ifNotExists = ifNotExists
        order.modelMap = mapModel
        order.model = model
        order.priority = BatchPriority(rawValue: priority) ?? .normal
        order.deadlineMS = try deadlineInstant()?.rawValue
        return order
    }

    /// Throws if the model cannot be run.
    package typealias ModelCheck = Enqueuer.ModelCheck

    /// Stores all files or none; reports every error of every file.
    ///
    /// - Parameter lines: the lines that are stored; nil: all.
    package func enqueue(
        into store: any JobStore, _ configuration: Configuration, _ shared: SharedOptions, lines: LineSet? = nil,
        check: @escaping ModelCheck = { _ in }
    ) throws -> [EnqueuedFile] {
        var options = try Enqueuer.Options(
            order(model: shared.requestedModel(configuration)), defaultModel: configuration.model)
        options.check = check
        options.lines = lines
        options.engine = configuration.engine
        _ = try store.sweepOrphanedDrafts()
        let enqueuer = Enqueuer(store: store, catalogue: configuration.catalogue, options: options)
        return try told(try enqueuer.enqueue(paths: files, report: tell), store)
    }

    /// The same in a queue behind a server. `model` is what was asked for beside the files.
    package func enqueue(at server: QueueServer, model: String?) throws -> [EnqueuedFile] {
        try told(try server.enqueue(try order(model: model), report: tell), server.jobs())
    }

    private func tell(_ error: any Error) {
        StandardError.print(EnqueueError.isOfLine(error) ? "\(error)" : "ttbatch: \(error)")
    }

    /// Tells what should be known of files that are stored.
    private func told(_ reports: [EnqueueReport], _ store: any JobReading) throws -> [EnqueuedFile] {
        for (file, report) in zip(files, reports) {
            if report.existed, let name {
                let status = try store.batch(report.batch).status.rawValue.replacing("_", with: " ")
                StandardError.print("\(name) is \(report.batch) already (\(status)); nothing was stored")
            }
            if report.blankLines > 0 {
                StandardError.print("\(file): skipped \(report.blankLines) blank lines")
            }
            if report.streamedJobs > 0 {
                StandardError.print(
                    "\(file): warning: \(report.streamedJobs) lines ask for stream, which has no effect in a batch")
            }
            if report.jobsWithUnreadCalls > 0 {
                StandardError.print(
                    "\(file): warning: \(report.jobsWithUnreadCalls) lines offer tools, and how the model writes calls of them "
                        + "is not known: calls stay text. Set tool_calls for the model in the configuration")
            }
            if report.rejected > 0 {
                StandardError.print("\(file): \(report.rejected) invalid lines were recorded as failed jobs")
            }
        }
        return reports.map { EnqueuedFile(batch: $0.batch, existed: $0.existed) }
    }
}

/// A file that is in the store as a batch.
package struct EnqueuedFile {
    /// Its batch.
    package let batch: BatchID
    /// Whether a batch of that name existed already.
    package let existed: Bool
}
