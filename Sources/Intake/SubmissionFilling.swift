// Fills a submitted batch: the uploaded file is validated as any prompt file, and what is wrong with it is told in
// OpenAI's form, without names of files here.

import Glibc
import ModelFiles
public import OpenAIFormats
import PromptFiles
import Runtime
public import StoreContract

/// The file of a submitted batch cannot be run.
public struct RefusedSubmission: Error, Sendable {
    /// At least one error; for the first lines that have any.
    public var errors: [BatchObject.InputError]
}

extension Enqueuer {
    /// Validates the file of a submitted batch, and makes its jobs claimable. Everything or nothing is stored.
    ///
    /// - Parameters:
    ///   - batch: has a `submission`; all lines must have its endpoint.
    ///   - contents: the path of the file's contents.
    /// - Throws: `RefusedSubmission`; `JobStoreError`, `.draftClosed` if it was cancelled meanwhile.
    public func fill(_ batch: BatchSummary, from contents: String) throws -> EnqueueReport {
        let descriptor = open(contents, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw RefusedSubmission("file_not_found", "the file \(batch.submission?.inputFile.rawValue ?? "") is gone")
        }
        defer { close(descriptor) }
        var lineErrors: [LineError] = []
        do {
            let (draft, report) = try fill(from: .descriptor(descriptor, name: batch.name), batch) { error in
                if let error = error as? LineError { lineErrors.append(error) }
            }
            _ = try draft.commit(at: clock.now)
            return report
        } catch EnqueueError.invalidLines, EnqueueError.nothingValid {
            throw RefusedSubmission(errors: lineErrors.map { BatchObject.InputError(ofSubmission: $0) })
        } catch EnqueueError.sameMistake(let error, _), EnqueueError.unknownModel(let error) {
            throw RefusedSubmission(errors: [BatchObject.InputError(ofSubmission: error)])
        } catch EnqueueError.empty {
            throw RefusedSubmission("empty_file", "there is no request in the file")
        } catch let error as PromptFileError {
            throw RefusedSubmission("invalid_file", error.complaint)
        } catch let error as JobStoreError {
            throw error
        } catch {
            throw RefusedSubmission("model_not_found", "the model of the batch cannot be used on this server")
        }
    }
}

extension RefusedSubmission {
    /// One error of the whole file.
    fileprivate init(_ code: String, _ message: String) {
        errors = [BatchObject.InputError(code: code, message: message)]
    }
}

extension PromptFileError {
    /// What is wrong, without the file's name.
    fileprivate var complaint: String {
        switch self {
        case .otherKind(_, let kind, _): "the file \(kind.complaint)"
        case .damaged(_, let line, let packing, let reason):
            "the \(packing.rawValue) data is damaged\(line > 0 ? " after line \(line)" : ""): \(reason)"
        case .cannotOpen, .cannotRead: "the file cannot be read"
        }
    }
}

extension BatchObject.InputError {
    /// The error of a line for clients over HTTP: they know no options of the command line, and no paths.
    fileprivate init(ofSubmission error: LineError) {
        let problem = error.problem
        let value = problem.value ?? "the model"
        let message =
            switch problem.code {
            case .modelNotFound: "\(value) is not a model of this server; GET /v1/models tells which one is loaded"
            case .modelMismatch: "\(value) is not the model of the lines before; a batch has one model"
            case .invalidJSON: "This line is not parseable as valid JSON: \(problem.description)"
            default: problem.message
            }
        let code = problem.code == .invalidJSON ? "invalid_json_line" : problem.code.rawValue
        self.init(code: code, message: message, param: problem.field, line: error.line)
    }
}
