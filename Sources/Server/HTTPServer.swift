// The HTTP server: all routes together, its limits, and its life beside the daemon.

import Access
import BatchRoutes
import Foundation
import HTTPExchange
import Hummingbird
import HummingbirdCore
package import Logging
import OnlineRoutes
import ServiceLifecycle
package import Serving
package import Settings
package import StoreContract

/// OpenAI's API in front of a daemon. It runs until `stop`.
package final class HTTPServer: Sendable {
    /// The model that requests run on; the daemon tells it what is loaded.
    package let live: LiveModel
    private let group: ServiceGroup
    private let validator: SubmissionValidator
    private let connections: OpenConnections
    private let ended = DispatchSemaphore(value: 0)

    /// Starts to listen; returns once it does.
    ///
    /// - Parameter store: the queue; another object than the daemon's, so that neither waits for the other.
    /// - Throws: `InvalidConfiguration` where the address cannot be had, or is open to others without a key; `UploadError`,
    ///   `JobStoreError`.
    package init(
        _ configuration: Configuration, at address: ServerAddress, store: any ServedStore, log: Logger
    ) throws {
        let settings = configuration.server
        if try !address.isLocal && store.keys().isEmpty {
            throw InvalidConfiguration(
                place: "server.listen",
                reason: "\(address) can be reached from other machines, and there is no key; make one with "
                    + "`ttbatch keys add NAME --scope admin`, or listen on 127.0.0.1 or unix:PATH")
        }
        let live = LiveModel(
            OnlineShareSettings(
                slots: settings.onlineSlots, prefillTokens: settings.prefillTokens, limit: settings.onlineLimit))
        self.live = live
        let ring = KeyRing(store: store, opensWithoutKeys: address.isLocal)
        let token = FormToken()
        let router = Router(context: ServerContext.self)
        router.add(middleware: AnswerHeaders())
        router.add(middleware: ErrorAnswers())
        router.add(middleware: HostCheck(names: address.names.map { $0 + settings.hosts }))
        router.add(middleware: Authentication(ring))
        router.add(middleware: BodyInvitation())
        LoginRoutes(ring: ring, token: token).add(to: router)
        StateRoutes(live: live).add(to: router)
        ModelRoutes(live: live).add(to: router)
        CompletionRoutes(live: live).add(to: router)
        TokenizerRoutes(live: live).add(to: router)
        let threads = BlockingThreads(count: 4)
        let folder = try UploadFolder(
            path: configuration.databasePath + "-files", mostBytes: Int64(settings.uploadLimitMB) << 20)
        try folder.sweep { try store.uploadedFile($0) != nil }
        validator = SubmissionValidator(store: store, folder: folder, log: log) {
            configuration.enqueuer(into: store)
        }
        UploadRoutes(store: store, folder: folder, threads: threads, memory: ResultFileMemory()).add(to: router)
        BatchesRoutes(store: store, threads: threads, validator: validator).add(to: router)

        let socket = try ListeningSocket(address)
        let started = DispatchSemaphore(value: 0)
        let service = ConnectionService(
            socket: socket, http: HTTP1Channel(settings, answering: router.buildResponder(), log: log),
            mostConnections: settings.maxConnections, log: log, started: { started.signal() })
        connections = service.open
        var quiet = log
        quiet.logLevel = .error
        let expired = ExpiredFiles(store: store, folder: folder, threads: threads, log: log)
        let group = ServiceGroup(configuration: .init(services: [expired, service], logger: quiet))
        self.group = group
        Task { [ended] in
            defer {
                started.signal()
                ended.signal()
            }
            do { try await group.run() } catch { log.error("the server has ended: \(error)") }
            socket.remove()
        }
        started.wait()
        log.info("listening on \(socket.address)")
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
        validator.end()
    }
}

extension HTTP1Channel {
    /// Answers requests as `responder` does.
    fileprivate init(_ settings: ServerSettings, answering responder: RouterResponder<ServerContext>, log: Logger) {
        let times = ConnectionTimes(
            head: .seconds(Int64(settings.headTimeoutS)), stall: .seconds(Int64(settings.stallTimeoutS)),
            idle: .seconds(Int64(settings.idleTimeoutS)))
        self.init(
            responder: { request, writer, channel in
                let context = ServerContext(source: ApplicationRequestContextSource(channel: channel, logger: log))
                var response = try await responder.respond(to: request, context: context)
                response.headers[.date] = httpDate()
                let body = try await writer.writeHead(response.head)
                try await response.body.write(body)
            },
            configuration: Configuration(
                additionalChannelHandlers: [ConnectionGuard(times)],
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 100)))
    }
}

/// Asks a client that waits for it to send its body: whoever is refused before gets the refusal in its place.
private struct BodyInvitation: RouterMiddleware {
    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        if request.headers[.expect] != nil { context.channel.triggerUserOutboundEvent(BodyIsWanted(), promise: nil) }
        return try await next(request, context)
    }
}

/// Now, as HTTP writes it; of the C locale, since the program sets no other.
private func httpDate() -> String {
    var (now, parts) = (time(nil), tm())
    gmtime_r(&now, &parts)
    return String(unsafeUninitializedCapacity: 32) {
        $0.withMemoryRebound(to: CChar.self) { strftime($0.baseAddress, 32, "%a, %d %b %Y %H:%M:%S GMT", &parts) }
    }
}

extension ServerAddress {
    /// The names that its clients may use; nil: any, since no browser reaches it.
    fileprivate var names: [String]? {
        switch self {
        case .tcp(let host, _): [host]
        case .unix: nil
        }
    }
}
