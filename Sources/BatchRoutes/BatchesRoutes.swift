// `/v1/batches`: batches made of uploaded files, and all others too.

package import HTTPExchange
package import Hummingbird
import Intake
import JSONText
import OpenAIFormats
import ResultExport
import Runtime
package import StoreContract

/// Creates, lists, shows, cancels, retries and deletes batches.
package struct BatchesRoutes: Sendable {
    private let store: any ServedStore
    private let threads: BlockingThreads
    private let validator: SubmissionValidator

    /// Routes to the batches of `store`; `validator` is told of new ones.
    package init(store: any ServedStore, threads: BlockingThreads, validator: SubmissionValidator) {
        self.store = store
        self.threads = threads
        self.validator = validator
    }

    package func add(to router: Router<ServerContext>) {
        router.post("/v1/batches") { request, context in
            try context.caller.require(.submit)
            let body = try await request.body.collect(upTo: 64 << 10)
            let key = request.headers[.init("Idempotency-Key")!]
            let new = try NewBatchRequest(Array(body.readableBytesView), idempotencyKey: key)
            return try await threads.run { try create(new, context.caller) }
        }
        router.get("/v1/batches") { request, context in
            try context.caller.require(.read)
            let (after, limit) = try page(request.uri.queryParameters)
            return try await threads.run { try list(after: after, limit: limit, context.caller) }
        }
        router.get("/v1/batches/:batch") { _, context in
            try context.caller.require(.read)
            return try await answer(context) { try describe($0) }
        }
        router.post("/v1/batches/:batch/cancel") { _, context in
            try context.caller.require(.submit)
            return try await answer(context) { batch in
                _ = try store.cancel(batch.id, at: TimeSource.system.now)
                return try describe(try store.batch(batch.id))
            }
        }
        router.post("/v1/batches/:batch/retry") { _, context in
            try context.caller.require(.submit)
            return try await answer(context) { batch in
                try describe(try store.batch(try store.retry(batch.id, at: TimeSource.system.now)))
            }
        }
        router.delete("/v1/batches/:batch") { _, context in
            try context.caller.require(.submit)
            return try await answer(context) { batch in
                try store.delete(batch.id)
                return ["id": .string(batch.id.description), "object": "batch", "deleted": true]
            }
        }
    }

    /// The answer about the batch of the path.
    private func answer(
        _ context: ServerContext, _ body: @escaping @Sendable (BatchSummary) throws -> JSONValue
    ) async throws -> Response {
        let id = context.parameters.get("batch") ?? ""
        return try await threads.run {
            let answer = try body(try context.caller.batch(id, in: store))
            return Response(json: Array(answer.text.utf8))
        }
    }

    private func describe(_ batch: BatchSummary) throws -> JSONValue {
        try BatchDescription(batch.shown, store: store).json()
    }

    private func page(_ parameters: Parameters) throws(APIError) -> (after: String?, limit: Int) {
        guard let text = parameters.get("limit") else { return (parameters.get("after"), 20) }
        guard let limit = Int(text), (1...100).contains(limit) else {
            throw .invalid("limit \(APIError.quoted(text)) is not from 1 to 100", param: "limit")
        }
        return (parameters.get("after"), limit)
    }

    private func list(after: String?, limit: Int, _ caller: Caller) throws -> Response {
        let last = try after.map { try caller.batch($0, in: store).id }
        let found = try store.batches(before: last, limit: limit + 1, includingDrafts: false, of: caller.tenant)
        let page = try found.prefix(limit).map { try describe($0) }
        let answer: JSONValue = [
            "object": "list", "data": .array(page),
            "first_id": page.first?["id"] ?? .null, "last_id": page.last?["id"] ?? .null,
            "has_more": .bool(found.count > limit),
        ]
        return Response(json: Array(answer.text.utf8))
    }

    private func create(_ new: NewBatchRequest, _ caller: Caller) throws -> Response {
        let now = TimeSource.system.now
        guard let file = try inputFile(new, caller) else {
            throw APIError.notFound(
                "there is no uploaded file \(APIError.quoted(new.inputFile))", param: "input_file_id")
        }
        let submission = Submission(
            inputFile: file.id, endpoint: new.endpoint.rawValue, window: new.window, metadata: new.metadata?.text)
        var batch = NewBatch(
            name: file.name, uniqueName: new.uniqueName(of: caller.tenant), deadline: try new.deadline(from: now),
            tenant: file.tenant ?? caller.tenant, submission: submission)
        if let expires = new.outputExpires { batch.files.expires = now + expires.seconds * 1000 }
        let answer = try describe(try submit(batch, at: now, caller))
        return Response(json: Array(answer.text.utf8))
    }

    private func inputFile(_ new: NewBatchRequest, _ caller: Caller) throws -> UploadedFile? {
        guard let id = FileID(rawValue: new.inputFile), let file = try store.uploadedFile(id) else { return nil }
        return caller.sees(file.tenant) ? file : nil
    }

    /// The new batch. The same request again, after an answer that was lost, gets the batch of the first time.
    private func submit(_ batch: NewBatch, at now: Milliseconds, _ caller: Caller) throws -> BatchSummary {
        do {
            let id = try store.submit(batch, at: now)
            validator.wake()
            return try store.batch(id)
        } catch JobStoreError.nameTaken(_, let other) {
            let earlier = try store.batch(other)
            guard earlier.submission == batch.submission, caller.sees(earlier.tenant) else {
                throw APIError.conflict(
                    "the Idempotency-Key was used for another batch; use a new one", code: "idempotency_key_reused")
            }
            return earlier
        }
    }
}
