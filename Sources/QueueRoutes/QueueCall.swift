// One question about the queue: who asks, of which batch, and with which fields. What a caller may see is decided here.

import HTTPExchange
import Hummingbird
import Runtime
import StoreContract

/// A request to a route of the queue.
struct QueueCall: Sendable {
    let store: any JobStore
    private let caller: Caller
    private let batchText: String?
    private let fields: [String: String]

    init(_ request: Request, _ context: ServerContext, store: any JobStore) {
        self.store = store
        caller = context.caller
        batchText = context.parameters.get("batch")
        fields = Dictionary(
            request.uri.queryParameters.map { (String($0.key), String($0.value)) }, uniquingKeysWith: { $1 })
    }

    /// The batch of the path, if the caller sees it.
    func batch() throws -> BatchSummary {
        guard let id = batchText.flatMap({ BatchID($0) }) else {
            throw APIError.notFound("there is no batch \(APIError.quoted(batchText ?? ""))")
        }
        return try visibleBatch(id)
    }

    /// A batch that the caller sees: whoever has no tenant sees all. For others it is as if it did not exist.
    func visibleBatch(_ id: BatchID) throws(JobStoreError) -> BatchSummary {
        let batch = try store.batch(id)
        guard caller.tenant == nil || batch.tenant == caller.tenant else { throw .batchNotFound(id) }
        return batch
    }

    /// The batches that the caller sees.
    func visibleBatches(before: BatchID?, limit: Int, includingDrafts: Bool) throws -> [BatchSummary] {
        try store.batches(before: before, limit: limit, includingDrafts: includingDrafts, of: caller.tenant)
    }
}

// Fields of the query.
extension QueueCall {
    func text(_ name: String) throws(APIError) -> String {
        guard let text = fields[name] else { throw .invalid("\(name) is missing", param: name) }
        return text
    }

    func number(_ name: String) throws(APIError) -> Int64? {
        guard let text = fields[name] else { return nil }
        guard let number = Int64(text), number >= 0 else {
            throw .invalid("\(name): expected a number", param: name)
        }
        return number
    }

    /// A number of rows, at most `most`.
    func limit(_ most: Int) throws(APIError) -> Int {
        guard let limit = try number("limit") else { return most }
        return max(1, Int(min(limit, Int64(most))))
    }

    func batchID(_ name: String) throws(APIError) -> BatchID? { try number(name).map { BatchID(rawValue: $0) } }

    func states() throws(APIError) -> Set<JobState> {
        let states = try text("states").split(separator: ",").map { JobState(rawValue: String($0)) }
        guard !states.contains(nil) else { throw .invalid("states: expected states of jobs", param: "states") }
        return Set(states.compactMap { $0 })
    }

    func order() throws(APIError) -> ResultOrder {
        guard let order = ResultOrder(rawValue: try text("order")) else {
            throw .invalid("order: expected input or completion", param: "order")
        }
        return order
    }

    /// Metrics of an incarnation or of a period.
    func metricsScope() throws(APIError) -> MetricsScope {
        if let incarnation = try number("incarnation") { return .incarnation(Incarnation(rawValue: incarnation)) }
        guard let from = try number("from"), let to = try number("to") else {
            throw .invalid("expected incarnation, or from and to", param: "incarnation")
        }
        return .period(from: Milliseconds(rawValue: from), to: Milliseconds(rawValue: to))
    }
}
