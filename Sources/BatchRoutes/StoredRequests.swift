// Online requests that are kept (`store: true`): each is a batch of one job, for whose result its caller waits.

package import HTTPExchange
package import Hummingbird
import Intake
package import OpenAIFormats
import ResultExport
import Runtime
import ServiceLifecycle
import StoreContract

/// Makes an enqueuer whose models are those that clients may name, with a model for requests that name none; its options
/// are changed by the last argument.
typealias EnqueuerFactory = @Sendable (_ standard: String, (inout Enqueuer.Options) -> Void) -> Enqueuer

/// Answers requests from the job table. What was taken runs to its end, whatever becomes of the caller, the server or the daemon.
package struct StoredRequests: Sendable {
    /// They come before batches that nobody waits for.
    private static let priority = BatchPriority(rawValue: 1000)!
    /// How soon the result is looked for, and again at most so much later.
    private static let pauses = (shortest: Duration.milliseconds(50), longest: Duration.seconds(1))

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
    /// - Parameters:
    ///   - body: a JSON object that can be run.
    ///   - model: the model that it can be run on, as batches call it.
    /// - Throws: `APIError`, `JobStoreError`.
    package func answer(
        _ body: [UInt8], _ endpoint: Endpoint, model: String, _ caller: Caller
    ) async throws -> Response {
        let batch = try await threads.run { try stored(body, endpoint, model, caller) }
        var pause = Self.pauses.shortest
        while true {
            if let answer = try await threads.run({ try result(of: batch) }) { return answer }
            guard !Task.isShuttingDownGracefully else {
                throw APIError.unavailable("the server stops; the request is kept as \(batch), and runs later")
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 5 / 4, Self.pauses.longest)
        }
    }

    private func stored(
        _ body: [UInt8], _ endpoint: Endpoint, _ model: String, _ caller: Caller
    ) throws -> BatchID {
        let enqueuer = enqueuer(model) {
            $0.tenant = caller.tenant
            $0.priority = Self.priority
        }
        var problem: RequestProblem?
        do {
            return try enqueuer.enqueue([.request(body, endpoint)]) {
                problem = problem ?? EnqueueError.problem(of: $0)
            }[0].batch
        } catch let error as JobStoreError {
            throw error
        } catch {
            guard let problem = problem ?? EnqueueError.problem(of: error) else {
                throw APIError.unavailable("the model cannot be used now")
            }
            throw APIError.invalid("\(problem)", param: problem.param, code: problem.code.rawValue)
        }
    }

    /// The answer, once there is a result.
    private func result(of batch: BatchID) throws -> Response? {
        guard let job = try store.results(ResultQuery(batch: batch), after: 0, limit: 1).first else { return nil }
        let summary = try store.batch(batch)
        guard let line = OutputLine(job.shown(in: summary), batch: summary) else { return nil }
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
