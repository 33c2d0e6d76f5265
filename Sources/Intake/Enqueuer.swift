// Enqueues a prompt file as a batch: all lines are validated, and the file is stored as a whole or not at all.

public import ModelFiles
public import OpenAIFormats
public import Platform
public import PromptFiles
public import Runtime
public import StoreContract

/// What an enqueue did with a file.
public struct EnqueueReport: Sendable, Codable, Hashable {
    /// The stored batch.
    public var batch: BatchID
    /// Whether a batch of that name existed already; then nothing was stored.
    public var existed = false
    /// Jobs that will run.
    public var jobs: Int
    /// Lines that were stored as failed jobs.
    public var rejected: Int
    /// Blank lines, which are skipped.
    public var blankLines: Int
    /// Jobs that ask for a stream, which has no effect in a batch.
    public var streamedJobs = 0
    /// Jobs that offer tools to a model whose calls cannot be read.
    public var jobsWithUnreadCalls = 0

    /// The report where a batch of the name existed already.
    public static func existing(_ batch: BatchID) -> EnqueueReport {
        EnqueueReport(batch: batch, existed: true, jobs: 0, rejected: 0, blankLines: 0)
    }
}

/// Why a file was not stored, other than errors of reading it and of the store.
public enum EnqueueError: Error, CustomStringConvertible {
    /// Lines are invalid; each was reported. `stoppedEarly` is true if the rest of the file was not read.
    case invalidLines(file: String, errors: Int, stoppedEarly: Bool)
    /// Invalid lines may be skipped, but the file has no valid ones.
    case nothingValid(file: String, errors: Int)
    /// All of the first `lines` lines have the same error, so it is an error of the file.
    case sameMistake(LineError, lines: Int)
    /// The file has no lines.
    case empty(file: String)
    /// None of its lines is to be stored.
    case noLineWanted(file: String)
    /// The first valid line names a model that does not exist.
    case unknownModel(LineError)
    /// A name is mapped to a model that does not exist.
    case unknownTarget(from: String, ModelLookupError)

    /// One line for people.
    public var description: String {
        switch self {
        case .invalidLines(let file, let errors, let stoppedEarly):
            "\(file): \(errors) error\(errors == 1 ? "" : "s")"
                + (stoppedEarly ? ", the rest of the file was not read (see --max-errors)" : "")
                + "; nothing was stored. Mend the lines, or store the others with --skip-invalid"
        case .nothingValid(let file, let errors):
            "\(file): \(errors) errors, and no line is valid; nothing was stored"
        case .sameMistake(let error, let lines):
            "\(error); so are all of the first \(lines) lines. Nothing was stored"
        case .empty(let file):
            "\(file): there is no prompt in it; nothing was stored"
        case .noLineWanted(let file):
            "\(file): none of its prompts is to run"
        case .unknownModel(let error):
            "\(error)"
        case .unknownTarget(let from, let error):
            "--map-model \(from): \(error)"
        }
    }
}

extension EnqueueError {
    /// The kind of an error of `Enqueuer.enqueue` that the user can correct.
    public enum Fault: String, Sendable, Codable {
        /// A file, model or batch that was named does not exist.
        case notFound
        /// The input cannot be run.
        case input
    }

    /// Whether `error` is of one line, and so begins with its file and line as compilers' messages do.
    public static func isOfLine(_ error: any Error) -> Bool {
        (error as? ToldError)?.isOfLine ?? (error is LineError)
    }

    /// What is wrong with a request, if `error` is of its line.
    public static func problem(of error: any Error) -> RequestProblem? { (error as? LineError)?.problem }

    /// The kind of `error`; nil if it is a fault of the store or the system.
    public static func fault(of error: any Error) -> Fault? {
        switch error {
        case let told as ToldError: told.fault
        case EnqueueError.unknownTarget: .notFound
        case is EnqueueError, PromptFileError.damaged, PromptFileError.otherKind: .input
        case is PromptFileError, is ModelLookupError: .notFound
        default: nil
        }
    }
}

/// Stores prompt files as batches, in one pass with bounded memory.
public struct Enqueuer {
    /// Throws if the model cannot be run.
    public typealias ModelCheck = Platform.ModelCheck

    /// Options of an enqueue.
    public struct Options {
        /// Whether invalid lines are stored as failed jobs, and the others run.
        public var skipsInvalid = false
        /// Reading stops after this many errors. With `skipsInvalid` only that many are reported, and all are stored.
        public var maxErrors = 100
        /// The model requested by option or environment; lines must not name another one.
        public var requestedModel: String?
        /// Models that run instead of those that lines name.
        public var modelMap = ModelMap()
        /// The model for files that name none.
        public var defaultModel: String
        /// The batch's unique name; only for a single file.
        public var name: String?
        /// Whether an existing batch of that name is reported as success, and nothing is stored.
        public var ifNotExists = false
        /// The batches' priority.
        public var priority = BatchPriority.normal
        /// The engine that will run the files, as far as known: its `max_model_len` limits prompts.
        public var engine = EngineConfiguration()
        /// When jobs that have not been claimed expire.
        public var deadline: Milliseconds?
        /// Whose the batches are; nil: for whoever sees all.
        public var tenant: Tenant?

        /// The lines that are stored; nil: all. The others are checked too, unless invalid lines are skipped.
        public var lines: LineSet?

        /// Called for each file's model before anything of the file is stored. If it throws, the file is rejected.
        public var check: ModelCheck = { _ in }

        /// Makes options with the configured model.
        public init(defaultModel: String) { self.defaultModel = defaultModel }
    }

    private let store: any JobStore
    private let catalogue: ModelCatalogue
    private let options: Options
    let clock: TimeSource

    /// Makes an enqueuer for `store`; `catalogue` finds the models.
    public init(store: any JobStore, catalogue: ModelCatalogue, options: Options, clock: TimeSource = .system) {
        self.store = store
        self.catalogue = catalogue
        self.options = options
        self.clock = clock
    }

    /// Validates and stores files in one pass each (`-` is standard input). All of them are stored, or none.
    ///
    /// After an invalid file the others are still checked, so that one call reports every error.
    ///
    /// - Parameter report: called with every error of every line, and with the error of every file that was not stored
    ///   except the last.
    /// - Throws: the `EnqueueError`, `PromptFileError`, `ModelLookupError`, `ModelFileError` or `JobStoreError`
    ///   (`.nameTaken`) of the last file with an error.
    public func enqueue(paths: [String], report: @escaping (any Error) -> Void) throws -> [EnqueueReport] {
        try enqueue(paths.map { .file($0) }, report: report)
    }

    /// The same for sources of any kind.
    public func enqueue(_ sources: [PromptSource], report: @escaping (any Error) -> Void) throws -> [EnqueueReport] {
        precondition(options.name == nil || sources.count == 1, "a name is one batch's")
        if let name = options.name, let batch = try store.batch(named: name) {
            return [try existing(batch, name)]
        }
        var drafts: [(draft: any BatchDraft, report: EnqueueReport)] = []
        var failure: (any Error)?
        for source in sources {
            do { drafts.append(try fill(from: source, nil, report)) } catch {
                if let failure { report(failure) }
                failure = error
            }
        }
        if let failure {
            // If a draft cannot be deleted now, e.g. on a full disk, it has no owner later and is swept.
            for (draft, _) in drafts { try? draft.discard() }
            throw failure
        }
        return try drafts.map { draft, report in
            do throws(JobStoreError) {
                _ = try draft.commit(at: clock.now)
                return report
            } catch .nameTaken(let name, let batch) {
                // Another process has committed a batch of that name meanwhile.
                try? draft.discard()
                return try existing(batch, name)
            }
        }
    }

    private func existing(_ batch: BatchID, _ name: String) throws(JobStoreError) -> EnqueueReport {
        guard options.ifNotExists else { throw .nameTaken(name, by: batch) }
        return .existing(batch)
    }

    /// Makes a complete draft of the file, not committed yet.
    ///
    /// - Parameter submitted: the submitted batch that the draft fills; nil: it makes one of its own.
    func fill(
        from source: PromptSource, _ submitted: BatchSummary?, _ report: @escaping (any Error) -> Void
    ) throws -> (draft: any BatchDraft, report: EnqueueReport) {
        var reading = PromptFileReader.Options()
        reading.maxErrors = options.skipsInvalid ? nil : options.maxErrors
        let reader = try source.open(reading)
        let head = try linesUpToFirstValid(reader)
        guard let first = head.last else { throw EnqueueError.empty(file: reader.name) }
        if let error = Self.sameMistake(head) { throw EnqueueError.sameMistake(error, lines: head.count) }
        let model = try BatchModel(first, in: reader.name, options, catalogue, now: clock.now)
        var batch = NewBatch(
            name: reader.name, model: model.name, modelName: model.shownName, uniqueName: options.name,
            priority: submitted?.priority ?? options.priority, deadline: submitted?.deadline ?? options.deadline,
            tenant: options.tenant)
        batch.submitted = submitted?.id
        let draft = try store.beginBatch(batch, at: clock.now)
        var filling = DraftFilling(
            draft: draft, file: reader.name, model: model, endpoint: submitted?.submission?.endpoint,
            skipsInvalid: options.skipsInvalid, maxReported: options.maxErrors, lines: options.lines, report: report)
        do {
            for line in head { try filling.take(line) }
            while !filling.hasEnoughErrors, let line = try reader.next() { try filling.take(line) }
            try filling.finish()
            guard filling.errors == 0 || options.skipsInvalid else {
                throw EnqueueError.invalidLines(
                    file: reader.name, errors: filling.errors,
                    stoppedEarly: filling.hasEnoughErrors || reader.summary.stoppedAtMaxErrors)
            }
            if filling.jobs + filling.rejected == 0, filling.hasLeftOut {
                throw EnqueueError.noLineWanted(file: reader.name)
            }
            // All that is left of a file may be lines that cannot run.
            guard filling.jobs > 0 || filling.hasLeftOut else {
                throw EnqueueError.nothingValid(file: reader.name, errors: filling.errors)
            }
        } catch {
            filling.abandon()
            try? draft.discard()
            throw error
        }
        let summary = EnqueueReport(
            batch: draft.id, jobs: filling.jobs, rejected: filling.rejected, blankLines: reader.summary.blankLines,
            streamedJobs: filling.streamedJobs, jobsWithUnreadCalls: filling.jobsWithUnreadCalls)
        return (draft, summary)
    }

    /// The error of the first line, if all of many lines are no JSON for the same reason.
    private static func sameMistake(_ lines: [PromptFileLine]) -> LineError? {
        guard lines.count >= 10, case .invalid(let first) = lines[0] else { return nil }
        let problem = first.errors[0].problem
        guard problem.code == .invalidJSON || problem.code == .invalidUTF8 else { return nil }
        let isSame = lines.allSatisfy { line in
            guard case .invalid(let line) = line else { return false }
            let other = line.errors[0].problem
            return (other.code, other.complaint) == (problem.code, problem.complaint)
        }
        return isSame ? first.errors[0] : nil
    }

    /// The first valid line and the lines before it: only a valid line shows the model of the file. If a file starts
    /// with very many invalid lines, the search stops after some.
    private func linesUpToFirstValid(_ reader: PromptFileReader) throws(PromptFileError) -> [PromptFileLine] {
        var lines: [PromptFileLine] = []
        while lines.count < 1000, let line = try reader.next() {
            lines.append(line)
            if case .valid = line { break }
        }
        return lines
    }
}
