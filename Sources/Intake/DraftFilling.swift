// Fills a draft: valid lines, rejected lines, and their errors.

import Dispatch
import JSONText
import OpenAIFormats
import PromptFiles
import StoreContract
import Synchronization

/// A draft that is being filled, some thousands of lines at a time.
struct DraftFilling {
    private let writing: DraftWriting
    let file: String
    private var model: BatchModel
    /// The endpoint that all lines must have; nil: any.
    private let endpoint: String?
    let skipsInvalid: Bool
    /// The maximum number of reported errors. If invalid lines are skipped, further ones are only counted and stored.
    let maxReported: Int
    /// The lines that are stored; nil: all.
    private let lines: LineSet?
    let report: (LineError) -> Void
    /// Whether lines were not stored because they are not among `lines`.
    private(set) var hasLeftOut = false
    private(set) var jobs = 0
    private(set) var rejected = 0
    private(set) var errors = 0
    private(set) var streamedJobs = 0
    /// Jobs whose calls of tools cannot be read.
    private(set) var jobsWithUnreadCalls = 0
    private var ranks = ClaimRanks()
    private var newJobs: [NewJob] = []
    private var newRejected: [RejectedLine] = []
    /// The names of other models that were already reported.
    private var mismatches: Set<String> = []
    /// Lines that have not been checked against the model yet.
    private var taken: [PromptFileLine] = []
    private var takenBytes = 0

    init(
        draft: any BatchDraft, file: String, model: BatchModel, endpoint: String?, skipsInvalid: Bool, maxReported: Int,
        lines: LineSet?, report: @escaping (LineError) -> Void
    ) {
        writing = DraftWriting(draft)
        self.file = file
        self.model = model
        self.endpoint = endpoint
        self.skipsInvalid = skipsInvalid
        self.maxReported = maxReported
        self.lines = lines
        self.report = report
    }

    /// Whether there are enough errors to stop reading the file.
    var hasEnoughErrors: Bool { !skipsInvalid && errors >= maxReported }

    mutating func take(_ line: PromptFileLine) throws(JobStoreError) {
        taken.append(line)
        if case .valid(let line) = line { takenBytes += line.body.count }
        if taken.count >= 2000 || takenBytes >= 4 << 20 { try settle() }
    }

    /// Checks the lines in `taken` on all cores, and writes them.
    private mutating func settle() throws(JobStoreError) {
        let taken = self.taken
        (self.taken, takenBytes) = ([], 0)
        let problems = taken.concurrentMap { [check = model.check] (line) -> [RequestProblem] in
            if case .valid(let line) = line { check.problems(of: line) } else { [] }
        }
        for (line, problems) in zip(taken, problems) where !hasEnoughErrors {
            let isWanted = lines?.contains(line.lineNumber) ?? true
            if !isWanted { hasLeftOut = true }
            // An error of a line that others run is this one's too, unless such lines may be left out.
            if !isWanted, skipsInvalid { continue }
            switch line {
            case .invalid(let line): reject(line.lineNumber, line.customID, line.errors)
            case .valid(let line): settle(line, problems, isWanted: isWanted)
            }
        }
        try flush()
    }

    private mutating func settle(_ line: PromptLine, _ problems: [RequestProblem], isWanted: Bool) {
        if let endpoint, line.endpoint.rawValue != endpoint {
            let problem = RequestProblem(
                code: .urlMismatch, place: .field("url"), value: Excerpt.quoted(line.endpoint.rawValue),
                complaint: "is not the endpoint of the batch, \(endpoint)", remedy: "give it the same as the batch")
            reject(line.lineNumber, line.customID, [LineError(file: file, line: line.lineNumber, problem: problem)])
        } else if let name = line.model, !model.isCalled(name) {
            let problem = model.mismatch(name, in: line)
            reject(
                line.lineNumber, line.customID, [LineError(file: file, line: line.lineNumber, problem: problem)],
                isTold: mismatches.insert(name).inserted)
        } else if !problems.isEmpty {
            let errors = problems.map { LineError(file: file, line: line.lineNumber, problem: $0) }
            reject(line.lineNumber, line.customID, errors)
        } else if isWanted {
            if line.request.asksForStream { streamedJobs += 1 }
            if model.check.cannotReadCalls(of: line) { jobsWithUnreadCalls += 1 }
            newJobs.append(
                NewJob(
                    line: Int64(line.lineNumber), customID: line.customID, endpoint: line.endpoint.rawValue,
                    body: line.body, modelName: model.ownName(line.model),
                    claimRank: ranks.rank(of: line.request.prompts[0], line: line.lineNumber)))
        }
    }

    /// Writes the buffered lines. After an invalid line that must not be skipped, nothing is written any more.
    private mutating func flush() throws(JobStoreError) {
        let (group, groupRejected) = (newJobs, newRejected)
        (newJobs, newRejected) = ([], [])
        jobs += group.count
        rejected += groupRejected.count
        guard skipsInvalid || errors == 0 else { return }
        reject(try writing.append(group, rejected: groupRejected))
    }

    /// Writes the rest. When it returns, the draft contains all lines that were taken.
    mutating func finish() throws(JobStoreError) {
        try settle()
        reject(try writing.finish())
        if !newRejected.isEmpty {
            try flush()
            _ = try writing.finish()
        }
    }

    /// Waits until the draft is no longer in use; errors of the last write are ignored.
    func abandon() { _ = try? writing.finish() }

    private mutating func reject(_ duplicates: [DuplicateCustomID]) {
        jobs -= duplicates.count
        for duplicate in duplicates {
            reject(Int(duplicate.line), duplicate.customID, [duplicateError(duplicate)])
        }
    }

    /// - Parameter isTold: false if the same error was already reported for another line.
    private mutating func reject(_ line: Int, _ customID: String, _ lineErrors: [LineError], isTold: Bool = true) {
        if isTold {
            if errors < maxReported { lineErrors.forEach(report) }
            errors += lineErrors.count
        }
        let problem = lineErrors[0].problem
        newRejected.append(
            RejectedLine(
                line: Int64(line), customID: customID,
                error: JobError(
                    code: problem.code.rawValue, message: lineErrors.map(\.description).joined(separator: "; "),
                    status: 400, param: problem.param)))
    }

    private func duplicateError(_ duplicate: DuplicateCustomID) -> LineError {
        LineError(
            file: file, line: Int(duplicate.line),
            problem: RequestProblem(
                code: .duplicateCustomID, place: .field("custom_id"), value: "\"\(duplicate.customID)\"",
                complaint: "is the id of line \(duplicate.firstLine) already", remedy: "make it unique in the file"))
    }
}

extension Array where Element: Sendable {
    /// Applies `transform` to every element, on one thread per core.
    fileprivate func concurrentMap<Result: Sendable>(_ transform: @Sendable (Element) -> Result) -> [Result] {
        let chunk = 64
        let parts = Mutex([Int: [Result]]())
        DispatchQueue.concurrentPerform(iterations: (count + chunk - 1) / chunk) { part in
            let results = self[(part * chunk)..<Swift.min(count, (part + 1) * chunk)].map(transform)
            parts.withLock { $0[part] = results }
        }
        return parts.withLock { parts in (0..<parts.count).flatMap { parts[$0] ?? [] } }
    }
}
