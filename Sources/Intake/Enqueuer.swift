// From a prompt file to a stored batch: everything is validated, and stored as a whole or not at all.

public import ModelFiles
import OpenAIFormats
public import Platform
public import PromptFiles
public import Runtime
public import StoreContract

/// What became of a file that was handed in.
public struct EnqueueReport: Sendable {
    /// The stored batch.
    public var batch: BatchID
    /// The batch was there already, by its name; nothing was stored.
    public var existed = false
    /// Jobs that will run.
    public var jobs: Int
    /// Lines that were recorded as failed jobs.
    public var rejected: Int
    /// Blank lines, which are skipped.
    public var blankLines: Int
}

/// Why a file was not stored, although it and the store could be read and written.
public enum EnqueueError: Error, CustomStringConvertible {
    /// Lines are invalid; each was reported. `stoppedEarly` if the rest of the file has not been looked at.
    case invalidLines(file: String, errors: Int, stoppedEarly: Bool)
    /// Invalid lines may be skipped, but there is no other.
    case nothingValid(file: String, errors: Int)
    /// So many lines, the first ones, all have the mistake of the first: it is the file's.
    case sameMistake(LineError, lines: Int)
    /// There is no line in it.
    case empty(file: String)
    /// The first valid line names a model that is not there.
    case unknownModel(LineError)
    /// A name is mapped to a model that is not there.
    case unknownTarget(from: String, ModelLookupError)

    /// One line for a person.
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
        case .unknownModel(let error):
            "\(error)"
        case .unknownTarget(let from, let error):
            "--map-model \(from): \(error)"
        }
    }
}

extension EnqueueError {
    /// Whose fault an error of `Enqueuer.enqueue` is.
    public enum Fault: Sendable {
        /// What was named is not there.
        case notFound
        /// The input cannot be run as it is.
        case input
    }

    /// Whether `error` is of one line, and so begins with its file and line as compilers' messages do.
    public static func isOfLine(_ error: any Error) -> Bool { error is LineError }

    /// Whose fault `error` is; nil where the store's or the system's.
    public static func fault(of error: any Error) -> Fault? {
        switch error {
        case EnqueueError.unknownTarget: .notFound
        case is EnqueueError, PromptFileError.damaged, PromptFileError.otherKind: .input
        case is PromptFileError, is ModelLookupError: .notFound
        default: nil
        }
    }
}

/// Puts prompt files into the store, in one pass with flat memory.
public struct Enqueuer {
    /// Throws if a model could not be run.
    public typealias ModelCheck = (ModelConfig) throws -> Void

    /// How to treat the files.
    public struct Options {
        /// Invalid lines are recorded as failed jobs, and the others run.
        public var skipsInvalid = false
        /// Reading ends after this many errors; with `skipsInvalid` no more than these are reported, and all are recorded.
        public var maxErrors = 100
        /// The model that was asked for by flag or environment; lines may name no other.
        public var requestedModel: String?
        /// Models that run in place of those that lines name.
        public var modelMap = ModelMap()
        /// The model of files that name none.
        public var defaultModel: String
        /// A name for the batch that no other has; only for a single file.
        public var name: String?
        /// If there is a batch of that name already, it is reported, and nothing is stored.
        public var ifNotExists = false
        /// The batches' priority.
        public var priority = BatchPriority.normal
        /// The engine that will run the files as far as is known: its `max_model_len` bounds prompts.
        public var engine = EngineConfiguration()
        /// When jobs that have not been claimed expire.
        public var deadline: Milliseconds?

        /// Asked of each file's model before anything of the file is stored; what it throws refuses the file.
        public var check: ModelCheck = { _ in }

        /// Options with the configured model.
        public init(defaultModel: String) { self.defaultModel = defaultModel }
    }

    private let store: any JobStore
    private let catalogue: ModelCatalogue
    private let options: Options
    private let clock: TimeSource

    /// An enqueuer for `store`; models are looked up in `catalogue`.
    public init(store: any JobStore, catalogue: ModelCatalogue, options: Options, clock: TimeSource = .system) {
        self.store = store
        self.catalogue = catalogue
        self.options = options
        self.clock = clock
    }

    /// Validates and stores files in one pass each (`-` is standard input): all of them, or none.
    ///
    /// After an invalid file the others are looked at too, so that one call tells every error.
    ///
    /// - Parameter report: is given every error of every line, and why a file was not stored, but for the last.
    /// - Throws: the last unfit file's `EnqueueError`, `PromptFileError`, `ModelLookupError`, `ModelFileError` or
    ///   `JobStoreError` (`.nameTaken`).
    public func enqueue(paths: [String], report: @escaping (any Error) -> Void) throws -> [EnqueueReport] {
        precondition(options.name == nil || paths.count == 1, "a name is one batch's")
        if let name = options.name, let batch = try store.batch(named: name) {
            return [try existing(batch, name)]
        }
        var drafts: [(draft: any BatchDraft, report: EnqueueReport)] = []
        var failure: (any Error)?
        for path in paths {
            do { drafts.append(try fill(from: path, report)) } catch {
                if let failure { report(failure) }
                failure = error
            }
        }
        if let failure {
            // A draft that cannot be deleted now, on a full disk perhaps, is swept later: it has no owner then.
            for (draft, _) in drafts { try? draft.discard() }
            throw failure
        }
        return try drafts.map { draft, report in
            do throws(JobStoreError) {
                _ = try draft.commit(at: clock.now)
                return report
            } catch .nameTaken(let name, let batch) {
                // Somebody else was quicker.
                try? draft.discard()
                return try existing(batch, name)
            }
        }
    }

    private func existing(_ batch: BatchID, _ name: String) throws(JobStoreError) -> EnqueueReport {
        guard options.ifNotExists else { throw .nameTaken(name, by: batch) }
        return EnqueueReport(batch: batch, existed: true, jobs: 0, rejected: 0, blankLines: 0)
    }

    /// The file as a draft that is complete and not committed.
    private func fill(
        from path: String, _ report: @escaping (any Error) -> Void
    ) throws -> (draft: any BatchDraft, report: EnqueueReport) {
        var reading = PromptFileReader.Options()
        reading.maxErrors = options.skipsInvalid ? nil : options.maxErrors
        let reader = try PromptFileReader(path: path, options: reading)
        let head = try linesUpToFirstValid(reader)
        guard let first = head.last else { throw EnqueueError.empty(file: reader.name) }
        if let error = Self.sameMistake(head) { throw EnqueueError.sameMistake(error, lines: head.count) }
        let model = try BatchModel(first, in: reader.name, options, catalogue, now: clock.now)
        let draft = try store.beginBatch(
            NewBatch(
                name: reader.name, model: model.name, modelName: model.shownName, uniqueName: options.name,
                priority: options.priority, deadline: options.deadline),
            at: clock.now)
        var filling = DraftFilling(
            draft: draft, file: reader.name, model: model, skipsInvalid: options.skipsInvalid,
            maxReported: options.maxErrors, report: report)
        do {
            for line in head { try filling.take(line) }
            while !filling.hasEnoughErrors, let line = try reader.next() { try filling.take(line) }
            try filling.finish()
            guard filling.errors == 0 || options.skipsInvalid else {
                throw EnqueueError.invalidLines(
                    file: reader.name, errors: filling.errors,
                    stoppedEarly: filling.hasEnoughErrors || reader.summary.stoppedAtMaxErrors)
            }
            guard filling.jobs > 0 else {
                throw EnqueueError.nothingValid(file: reader.name, errors: filling.errors)
            }
        } catch {
            filling.abandon()
            try? draft.discard()
            throw error
        }
        let summary = EnqueueReport(
            batch: draft.id, jobs: filling.jobs, rejected: filling.rejected, blankLines: reader.summary.blankLines)
        return (draft, summary)
    }

    /// The first line's error, if all of many lines are no JSON for the same reason.
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

    /// The first line that is valid, and those before it: only a valid one tells which model the file is for. Of a file
    /// that begins with very many bad lines, only so many are looked at.
    private func linesUpToFirstValid(_ reader: PromptFileReader) throws(PromptFileError) -> [PromptFileLine] {
        var lines: [PromptFileLine] = []
        while lines.count < 1000, let line = try reader.next() {
            lines.append(line)
            if case .valid = line { break }
        }
        return lines
    }
}
