// Online requests that are kept (`store: true`): each is a batch of one job, for whose result its caller waits.

import Foundation
package import HTTPExchange
package import Hummingbird
import Intake
package import OpenAIFormats
import PromptFiles
import ResultExport
import Runtime
import ServiceLifecycle
import StoreContract

/// Makes an enqueuer whose models are those that clients may name; its options are changed by the argument.
typealias EnqueuerFactory = @Sendable ((inout Enqueuer.Options) -> Void) -> Enqueuer

/// Answers requests from the job table. What was taken runs to its end, whatever becomes of the caller, the server or the daemon.
package struct StoredRequests: Sendable {
    /// They come before batches that nobody waits for.
    private static let priority = BatchPriority(rawValue: 1000)!
    /// How often the result is looked for.
    private static let interval = Duration.milliseconds(50)

    private let store: any ServedStore
    private let threads: BlockingThreads
    private let enqueuer: EnqueuerFactory

    init(store: any ServedStore, threads: BlockingThreads, enqueuer: @escaping EnqueuerFactory) {
        self.store = store
        self.threads = threads
        self.enqueuer = enqueuer
    }

    /// Stores a request, and waits for its result. The answer's `x-ttbatch-batch` names its batch.
    ///
    /// - Parameter body: a JSON object that can be run.
    /// - Throws: `APIError`, `JobStoreError`.
    package func answer(_ body: [UInt8], _ endpoint: Endpoint, _ caller: Caller) async throws -> Response {
        let batch = try await threads.run { try stored(body, endpoint, caller) }
        while true {
            if let answer = try await threads.run({ try result(of: batch) }) { return answer }
            guard !Task.isShuttingDownGracefully else {
                throw APIError.unavailable("the server stops; the request is kept as \(batch), and runs later")
            }
            try await Task.sleep(for: Self.interval)
        }
    }

    private func stored(_ body: [UInt8], _ endpoint: Endpoint, _ caller: Caller) throws -> BatchID {
        let enqueuer = enqueuer {
            $0.tenant = caller.tenant
            $0.priority = Self.priority
        }
        var line = LineOfRequest(body, endpoint)
        let source = PromptSource.bytes(
            { (output) throws(InputFailure) in line.read(into: output) }, name: "online request")
        var problem: RequestProblem?
        do {
            return try enqueuer.enqueue([source]) { problem = problem ?? ($0 as? LineError)?.problem }[0].batch
        } catch let error as JobStoreError {
            throw error
        } catch {
            guard let problem = problem ?? (error as? LineError)?.problem else {
                throw APIError.unavailable("the model cannot be used now")
            }
            throw APIError.invalid("\(problem)", param: problem.param, code: problem.code.rawValue)
        }
    }

    /// The answer, once there is a result.
    private func result(of batch: BatchID) throws -> Response? {
        let summary = try store.batch(batch)
        let query = ResultQuery(batch: batch)
        guard let job = try store.results(query, after: 0, limit: 1).first,
            let line = OutputLine(job.shown(in: summary), batch: summary)
        else { return nil }
        var answer: Response
        switch line.outcome {
        case .completed(let completion):
            var body: [UInt8] = []
            completion.encodeBody(into: &body)
            answer = Response(json: body)
        case .refused(let refusal):
            answer = Response(
                APIError(
                    status: .init(code: refusal.status), type: refusal.type, message: refusal.message,
                    param: refusal.param, code: refusal.code))
        case .notRun(_, let message): answer = Response(APIError.conflict(message, code: "batch_cancelled"))
        }
        answer.headers[.init("x-ttbatch-batch")!] = batch.description
        return answer
    }
}

/// The line of a prompt file for a request.
private struct LineOfRequest {
    private var rest: ArraySlice<UInt8>

    init(_ body: [UInt8], _ endpoint: Endpoint) {
        // Outside of strings, which have none, the end of a line is as good as a space.
        let oneLine = body.map { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") ? UInt8(ascii: " ") : $0 }
        let head = #"{"custom_id":"request","method":"POST","url":"\#(endpoint.rawValue)","body":"#
        rest = (Array(head.utf8) + oneLine + Array("}".utf8))[...]
    }

    mutating func read(into output: UnsafeMutableRawBufferPointer) -> Int {
        let part = rest.prefix(output.count)
        output.copyBytes(from: part)
        rest = rest.dropFirst(part.count)
        return part.count
    }
}
