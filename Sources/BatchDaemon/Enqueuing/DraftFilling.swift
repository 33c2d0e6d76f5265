// A draft while it is filled: valid lines, rejected lines, and what is wrong with them.

import JobStore
import PromptFiles

/// A draft that is being filled with lines, some thousands at a time.
struct DraftFilling {
    private let writing: DraftWriting
    let file: String
    private var model: BatchModel
    let skipsInvalid: Bool
    /// Errors to report at most; further ones are only counted and, where lines are skipped, recorded.
    let maxReported: Int
    let report: (LineError) -> Void
    private(set) var jobs = 0
    private(set) var rejected = 0
    private(set) var errors = 0
    private var ranks = ClaimRanks()
    private var newJobs: [NewJob] = []
    private var newRejected: [RejectedLine] = []
    private var bufferedBytes = 0
    /// Other models' names that were told.
    private var mismatches: Set<String> = []

    init(
        draft: any BatchDraft, file: String, model: BatchModel, skipsInvalid: Bool, maxReported: Int,
        report: @escaping (LineError) -> Void
    ) {
        writing = DraftWriting(draft)
        self.file = file
        self.model = model
        self.skipsInvalid = skipsInvalid
        self.maxReported = maxReported
        self.report = report
    }

    mutating func take(_ line: PromptFileLine) throws(JobStoreError) {
        switch line {
        case .valid(let line):
            if let name = line.model, !model.isCalled(name) {
                let problem = model.mismatch(name, in: line)
                reject(
                    line.lineNumber, line.customID, [LineError(file: file, line: line.lineNumber, problem: problem)],
                    isTold: mismatches.insert(name).inserted)
            } else {
                newJobs.append(
                    NewJob(
                        line: Int64(line.lineNumber), customID: line.customID, endpoint: line.endpoint.rawValue,
                        body: line.body, modelName: model.ownName(line.model),
                        claimRank: ranks.rank(of: line.request.prompt, line: line.lineNumber)))
                bufferedBytes += line.body.count
            }
        case .invalid(let line):
            reject(line.lineNumber, line.customID, line.errors)
        }
        if newJobs.count + newRejected.count >= 2000 || bufferedBytes >= 4 << 20 { try flush() }
    }

    /// Has what is buffered written; once a line was wrong that may not be skipped, nothing more is written.
    private mutating func flush() throws(JobStoreError) {
        let (group, groupRejected) = (newJobs, newRejected)
        (newJobs, newRejected, bufferedBytes) = ([], [], 0)
        jobs += group.count
        rejected += groupRejected.count
        guard skipsInvalid || errors == 0 else { return }
        reject(try writing.append(group, rejected: groupRejected))
    }

    /// Writes the rest. When it returns, all that was taken is in the draft.
    mutating func finish() throws(JobStoreError) {
        try flush()
        reject(try writing.finish())
        if !newRejected.isEmpty {
            try flush()
            _ = try writing.finish()
        }
    }

    /// Waits until nobody uses the draft any more, whatever became of what was being written.
    func abandon() { _ = try? writing.finish() }

    private mutating func reject(_ duplicates: [DuplicateCustomID]) {
        jobs -= duplicates.count
        for duplicate in duplicates {
            reject(Int(duplicate.line), duplicate.customID, [duplicateError(duplicate)])
        }
    }

    /// - Parameter isTold: false for an error that was told of another line already.
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
