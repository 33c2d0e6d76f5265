// `/ttbatch/v1/…`: the queue for the command line of other machines, a route for each method of its roles.

import Foundation
package import HTTPExchange
package import Hummingbird
import Intake
import ResultExport
import Runtime
import StoreContract

/// Answers what `ttbatch … --server` asks.
package struct VerbRoutes: Sendable {
    private let store: any JobStore
    private let enqueues: EnqueueRoute
    private let threads: BlockingThreads
    private static let mostRows = 1000

    /// Routes to a queue, which files are put into as the configuration says.
    package init(_ served: ServedQueue) {
        store = served.store
        threads = served.threads
        enqueues = EnqueueRoute(store: served.store, configuration: served.configuration)
    }

    package func add(to router: Router<ServerContext>) {
        let routes = router.group("/ttbatch/v1")
        addReading(to: routes)
        addActing(to: routes)
        routes.post("batches") { request, context in
            try context.caller.require(.submit)
            return try await faults { try await enqueues.answer(request, context.caller) }
        }
    }

    private func addReading(to routes: RouterGroup<ServerContext>) {
        get(routes, "queue/daemon", .read) { try $0.store.daemonPresence() }
        get(routes, "queue/paused", .read) { try $0.store.pausedSince() }
        get(routes, "status", .admin) { try $0.store.systemStatus().shown }
        get(routes, "metrics", .admin) { try $0.store.metrics(try $0.metricsScope(), limit: try $0.limit(100_000)) }
        get(routes, "metrics/summary", .admin) { try $0.store.metricsSummary(try $0.metricsScope()) }
        get(routes, "names", .read) { call -> BatchID? in
            guard let id = try call.store.batch(named: try call.text("name")) else { return nil }
            return (try? call.visibleBatch(id))?.id
        }
        get(routes, "batches", .read) { call in
            try call.visibleBatches(
                before: try call.batchID("before"), limit: try call.limit(Self.mostRows),
                includingDrafts: (try? call.text("drafts")) == "true"
            ).map(\.shown)
        }
        get(routes, "batches/:batch", .read) { try $0.batch().shown }
        get(routes, "batches/:batch/failures", .read) { call in
            let batch = try call.batch()
            return try call.store.failures(of: batch.id).map { $0.shown(in: batch) }
        }
        get(routes, "batches/:batch/another-attempt", .read) { try $0.store.anotherAttempt(of: try $0.batch().id) }
        get(routes, "batches/:batch/recent-completions", .read) { call in
            try call.store.recentCompletions(of: try call.batch().id, limit: try call.limit(Self.mostRows))
        }
        get(routes, "batches/:batch/results", .read) { call in
            let batch = try call.batch()
            let query = ResultQuery(batch: batch.id, order: try call.order(), states: try call.states())
            return try call.store.results(
                query, after: try call.number("after") ?? 0, limit: try call.limit(Self.mostRows)
            ).map { $0.shown(in: batch) }
        }
        get(routes, "batches/:batch/metrics", .read) { call in
            try call.store.metrics(.batch(try call.batch().id), limit: try call.limit(100_000))
        }
        get(routes, "batches/:batch/metrics/summary", .read) { call in
            try call.store.metricsSummary(.batch(try call.batch().id))
        }
    }

    private func addActing(to routes: RouterGroup<ServerContext>) {
        post(routes, "queue/pause", .admin) { call in
            try call.store.pause(nil, at: TimeSource.system.now)
            return Done()
        }
        post(routes, "queue/resume", .admin) { call in
            try call.store.resume(nil)
            return Done()
        }
        post(routes, "batches/:batch/pause", .submit) { call in
            try call.store.pause(try call.batch().id, at: TimeSource.system.now)
            return Done()
        }
        post(routes, "batches/:batch/resume", .submit) { call in
            try call.store.resume(try call.batch().id)
            return Done()
        }
        post(routes, "batches/:batch/cancel", .submit) { call in
            try call.store.cancel(try call.batch().id, at: TimeSource.system.now)
        }
        post(routes, "batches/:batch/retry", .submit) { call in
            try call.store.retry(
                try call.batch().id, states: try call.states(), errorCode: try? call.text("error_code"),
                at: TimeSource.system.now)
        }
    }

    /// The answer to what has no other.
    private struct Done: Codable {}
}

// How a route calls the store.
extension VerbRoutes {
    private func get<Value: Encodable & Sendable>(
        _ routes: RouterGroup<ServerContext>, _ path: RouterPath, _ scope: KeyScope,
        _ body: @escaping @Sendable (QueueCall) throws -> Value
    ) {
        routes.get(path) { try await answer($0, $1, scope, body) }
    }

    private func post<Value: Encodable & Sendable>(
        _ routes: RouterGroup<ServerContext>, _ path: RouterPath, _ scope: KeyScope,
        _ body: @escaping @Sendable (QueueCall) throws -> Value
    ) {
        routes.post(path) { try await answer($0, $1, scope, body) }
    }

    private func answer<Value: Encodable & Sendable>(
        _ request: Request, _ context: ServerContext, _ scope: KeyScope,
        _ body: @escaping @Sendable (QueueCall) throws -> Value
    ) async throws -> Response {
        try context.caller.require(scope)
        let call = QueueCall(request, context, store: store)
        return try await faults {
            let text = try await threads.run { try QueueJSON.text(try body(call)) }
            return Response(json: Array(text))
        }
    }

    /// Errors of the queue become answers from which the caller makes the same errors again.
    private func faults(_ body: () async throws -> Response) async throws -> Response {
        do { return try await body() } catch let error as JobStoreError {
            guard let seen = error.seen(at: ""), let told = APIError(error) else { throw error }
            let words = ServerFault.Words(message: told.message, type: told.type, param: told.param, code: told.code)
            let text = try QueueJSON.text(ServerFault(words, storeError: seen))
            return Response(json: Array(text), status: told.status)
        }
    }
}
