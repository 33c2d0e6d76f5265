// Who looks at what: what the parts of the page depend on, so that those who look at the same get the same.

import HTTPExchange
import Hummingbird
import StoreContract

/// What somebody looks at.
struct PageView: Sendable, Hashable {
    /// Whose batches; nil: everybody's, and the queue as a whole.
    var tenant: Tenant?
    /// Whether batches can be paused, resumed, cancelled and retried.
    var mayAct: Bool
    /// Whether the queue can be paused and resumed.
    var mayPauseQueue: Bool
    /// The one batch that is shown; nil: all of them.
    var batch: BatchID?
    /// Only batches before this one are listed.
    var before: BatchID?
    /// Which of the results are in the sample.
    var sample: Int

    /// Whether the queue as a whole is shown: its totals, its night, and whether it is paused.
    var showsQueue: Bool { tenant == nil }
}

extension PageView {
    /// What the query of `request` asks for.
    ///
    /// - Throws: 403 unless the caller may read, 400 for a batch that is none.
    init(_ request: Request, _ caller: Caller) throws(APIError) {
        try caller.require(.read)
        tenant = caller.tenant
        mayAct = caller.may(.submit)
        mayPauseQueue = caller.tenant == nil && caller.may(.admin)
        let query = request.uri.queryParameters
        batch = try Self.batch(query["batch"].map(String.init))
        before = try Self.batch(query["before"].map(String.init))
        sample = query["sample"].flatMap { Int($0) }.map { abs($0 % 10_000) } ?? 0
    }

    private static func batch(_ text: String?) throws(APIError) -> BatchID? {
        guard let text else { return nil }
        guard let id = BatchID(text) else {
            throw .invalid("\(APIError.quoted(text)) is not the id of a batch", param: "batch")
        }
        return id
    }
}
