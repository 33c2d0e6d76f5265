// From a prompt file to a stored batch: everything is validated, and stored as a whole or not at all.

public import JobStore
public import PromptFiles

/// What became of a file that was handed in.
public struct EnqueueReport: Sendable {
    /// The stored batch.
    public var batch: BatchID
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
    /// There is no line in it.
    case empty(file: String)

    /// One line for a person.
    public var description: String {
        switch self {
        case .invalidLines(let file, let errors, let stoppedEarly):
            "\(file): \(errors) error\(errors == 1 ? "" : "s")"
                + (stoppedEarly ? ", the rest of the file was not read (see --max-errors)" : "")
                + "; nothing was stored. Mend the lines, or store the others with --skip-invalid"
        case .empty(let file):
            "\(file): there is no prompt in it; nothing was stored"
        }
    }
}

/// Puts prompt files into the store, in one pass with flat memory.
public struct Enqueuer {
    /// How to treat the files.
    public struct Options: Sendable {
        /// Invalid lines are recorded as failed jobs, and the others run.
        public var skipsInvalid = false
        /// Reading ends after this many errors; with `skipsInvalid` they are all recorded.
        public var maxErrors = 100
        /// The model that was asked for by flag or environment; lines may name no other.
        public var requestedModel: String?
        /// The model of files that name none.
        public var defaultModel: String

        /// Options with the configured model.
        public init(defaultModel: String) { self.defaultModel = defaultModel }
    }

    private let store: any JobStore
    private let catalogue: ModelCatalogue
    private let options: Options
    private let clock: DaemonClock

    /// An enqueuer for `store`; models are looked up in `catalogue`.
    public init(store: any JobStore, catalogue: ModelCatalogue, options: Options, clock: DaemonClock = .system) {
        self.store = store
        self.catalogue = catalogue
        self.options = options
        self.clock = clock
    }

    /// Validates and stores the file at `path` (`-` is standard input).
    ///
    /// - Parameter report: is given every error of every line.
    /// - Throws: `EnqueueError`, `PromptFileError`, `ModelLookupError`, `JobStoreError`.
    public func enqueue(path: String, report: @escaping (LineError) -> Void) throws -> EnqueueReport {
        var reading = PromptFileReader.Options()
        reading.maxErrors = options.skipsInvalid ? nil : options.maxErrors
        let reader = try PromptFileReader(path: path, options: reading)
        guard let first = try reader.next() else { throw EnqueueError.empty(file: reader.name) }
        let model = try batchModel(first)
        let draft = try store.beginBatch(
            NewBatch(name: reader.name, endpoint: nil, model: model), at: clock.now)
        var filling = DraftFilling(
            draft: draft, file: reader.name, model: model, skipsInvalid: options.skipsInvalid, report: report)
        do {
            var line: PromptFileLine? = first
            while let current = line {
                try filling.take(current)
                line = try reader.next()
            }
            try filling.flush()
            guard filling.errors == 0 || (options.skipsInvalid && filling.jobs > 0) else {
                throw EnqueueError.invalidLines(
                    file: reader.name, errors: filling.errors, stoppedEarly: reader.summary.stoppedAtMaxErrors)
            }
            return EnqueueReport(
                batch: try draft.commit(at: clock.now), jobs: filling.jobs, rejected: filling.rejected,
                blankLines: reader.summary.blankLines)
        } catch {
            try draft.discard()
            throw error
        }
    }

    /// The batch's model: as asked for, else as the first line says, else as configured; it must exist, so that no
    /// night is lost to a name.
    private func batchModel(_ first: PromptFileLine) throws(ModelLookupError) -> String {
        var name = options.requestedModel
        if name == nil, case .valid(let line) = first { name = line.model }
        let model = ModelCatalogue.remembered(name ?? options.defaultModel)
        _ = try catalogue.resolve(model)
        return model
    }
}

/// A draft that is being filled with lines, some thousands at a time.
private struct DraftFilling {
    let draft: any BatchDraft
    let file: String
    let model: String
    let skipsInvalid: Bool
    let report: (LineError) -> Void
    private(set) var jobs = 0
    private(set) var rejected = 0
    private(set) var errors = 0
    private var newJobs: [NewJob] = []
    private var newRejected: [RejectedLine] = []
    private var bufferedBytes = 0

    init(
        draft: any BatchDraft, file: String, model: String, skipsInvalid: Bool, report: @escaping (LineError) -> Void
    ) {
        self.draft = draft
        self.file = file
        self.model = model
        self.skipsInvalid = skipsInvalid
        self.report = report
    }

    mutating func take(_ line: PromptFileLine) throws(JobStoreError) {
        switch line {
        case .valid(let line):
            if let name = line.model, name != model {
                reject(line.lineNumber, line.customID, [modelMismatch(name, line: line.lineNumber)])
            } else {
                newJobs.append(
                    NewJob(
                        line: Int64(line.lineNumber), customID: line.customID, endpoint: line.endpoint.rawValue,
                        body: line.body))
                bufferedBytes += line.body.count
            }
        case .invalid(let line):
            reject(line.lineNumber, line.customID, line.errors)
        }
        if newJobs.count + newRejected.count >= 2000 || bufferedBytes >= 4 << 20 { try flush() }
    }

    /// Writes what is buffered; once a line was wrong that may not be skipped, nothing more is written.
    mutating func flush() throws(JobStoreError) {
        defer {
            newJobs.removeAll(keepingCapacity: true)
            newRejected.removeAll(keepingCapacity: true)
            bufferedBytes = 0
        }
        jobs += newJobs.count
        rejected += newRejected.count
        guard skipsInvalid || errors == 0 else { return }
        let duplicates = try draft.append(newJobs, rejected: newRejected)
        guard !duplicates.isEmpty else { return }
        jobs -= duplicates.count
        newRejected.removeAll()
        for duplicate in duplicates {
            reject(Int(duplicate.line), duplicate.customID, [duplicateError(duplicate)])
        }
        rejected += newRejected.count
        if skipsInvalid { _ = try draft.append([], rejected: newRejected) }
    }

    private mutating func reject(_ line: Int, _ customID: String, _ lineErrors: [LineError]) {
        errors += lineErrors.count
        lineErrors.forEach(report)
        let problem = lineErrors[0].problem
        newRejected.append(
            RejectedLine(
                line: Int64(line), customID: customID,
                error: JobError(
                    code: problem.code.rawValue, message: lineErrors.map(\.description).joined(separator: "; "),
                    status: 400)))
    }

    private func modelMismatch(_ name: String, line: Int) -> LineError {
        LineError(
            file: file, line: line,
            problem: RequestProblem(
                code: .modelMismatch, place: .field("model"), value: "\"\(name)\"",
                complaint: "is not the model of this batch, \"\(model)\"",
                remedy: "put other models' prompts into a file of their own, or remove the field"))
    }

    private func duplicateError(_ duplicate: DuplicateCustomID) -> LineError {
        LineError(
            file: file, line: Int(duplicate.line),
            problem: RequestProblem(
                code: .duplicateCustomID, place: .field("custom_id"), value: "\"\(duplicate.customID)\"",
                complaint: "is the id of line \(duplicate.firstLine) already", remedy: "make it unique in the file"))
    }
}
