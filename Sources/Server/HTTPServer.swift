// The HTTP server: all routes together, its limits, and its life beside the daemon.

import Access
import BatchRoutes
import Connections
import Foundation
package import HTTPExchange
import Hummingbird
import Logging
import Monitoring
import OnlineRoutes
import PageRoutes
import QueueRoutes
import ServiceLifecycle

/// OpenAI's API in front of a daemon. It runs until `beginStop`.
package final class HTTPServer: Sendable {
    private let group: ServiceGroup
    private let batches: FilesAndBatches
    private let connections: OpenConnections
    private let ended = DispatchSemaphore(value: 0)

    /// Starts to listen; returns once it does.
    ///
    /// - Throws: `InvalidConfiguration` where the address cannot be had, or is open to others without a key; `UploadError`,
    ///   `JobStoreError`.
    package init(_ served: ServedQueue) throws {
        let ring = try KeyRing(served)
        batches = try FilesAndBatches(served)
        let log = served.log
        let responder = Self.router(served, ring, batches).buildResponder()
        let started = DispatchSemaphore(value: 0)
        let service = try ConnectionService(served, answering: responder, started: { started.signal() })
        connections = service.open
        var quiet = log
        quiet.logLevel = .error
        let group = ServiceGroup(configuration: .init(services: [batches.expiry, service], logger: quiet))
        self.group = group
        Task { [ended] in
            defer {
                started.signal()
                ended.signal()
            }
            do { try await group.run() } catch { log.error("the server has ended: \(error)") }
            service.removeSocket()
        }
        started.wait()
        log.info("listening on \(service.address)")
    }

    /// All routes, behind what every request passes.
    private static func router(
        _ served: ServedQueue, _ ring: KeyRing, _ batches: FilesAndBatches
    ) -> Router<ServerContext> {
        let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: HTTPMetrics())
        router.add(middleware: AnswerHeaders())
        router.add(middleware: ErrorAnswers())
        router.add(middleware: HostCheck(served))
        router.add(middleware: Authentication(ring))
        router.add(middleware: BodyInvitation())
        LoginRoutes(ring: ring, token: served.formToken).add(to: router)
        StateRoutes(served).add(to: router)
        MetricsRoutes(served).add(to: router)
        ModelRoutes(live: served.live).add(to: router)
        CompletionRoutes(live: served.live, storedAnswer: batches.storedRequests.answer(_:_:model:_:)).add(to: router)
        TokenizerRoutes(live: served.live).add(to: router)
        batches.add(to: router)
        VerbRoutes(served).add(to: router)
        QueuePage(served).add(to: router)
        return router
    }

    /// Takes no more requests; those that are being answered go on. Returns at once.
    package func beginStop() { Task { [group] in await group.triggerGracefulShutdown() } }

    /// Ends all connections, after `beginStop`. Returns at once.
    package func endAnswers() { connections.closeAll() }

    /// Waits for the answers that are under way, after `beginStop`; ends those that are not taken after some seconds.
    package func waitForEnd() {
        if ended.wait(timeout: .now() + 5) == .timedOut {
            endAnswers()
            _ = ended.wait(timeout: .now() + 5)
        }
        batches.end()
    }
}
