// The HTTP server: where it listens, its limits, and its life on a thread of its own.

import Foundation
import HTTPExchange
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import OnlineRoutes
import QueueRoutes
import ServiceLifecycle
package import Serving
package import Settings
package import StoreContract

/// OpenAI's API in front of a daemon. It runs until `stop`.
package final class HTTPServer: Sendable {
    /// The model that requests run on; the daemon tells it what is loaded.
    package let live: LiveModel
    private let group: ServiceGroup
    private let ended = DispatchSemaphore(value: 0)

    /// Starts to listen; returns once it does.
    ///
    /// - Throws: the error of binding the address.
    package init(
        _ configuration: Configuration, at address: ServerAddress, store: any JobStore, log: Logger
    ) throws {
        let settings = configuration.server
        let live = LiveModel(
            OnlineShareSettings(
                slots: settings.onlineSlots, prefillTokens: settings.prefillTokens, limit: settings.onlineLimit))
        self.live = live
        let router = Router(context: ServerContext.self)
        router.add(middleware: ErrorAnswers())
        StateRoutes(live: live).add(to: router)
        ModelRoutes(live: live).add(to: router)
        CompletionRoutes(live: live).add(to: router)
        TokenizerRoutes(live: live).add(to: router)
        VerbRoutes(store: store, configuration: configuration).add(to: router)
        let started = DispatchSemaphore(value: 0)
        let application = Application(
            router: router,
            server: .http1(
                configuration: HTTP1Channel.Configuration(
                    idleTimeout: .seconds(300),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 100))),
            configuration: ApplicationConfiguration(address: address.bindAddress, serverName: nil),
            onServerRunning: { _ in started.signal() }, logger: log)
        var quiet = log
        quiet.logLevel = .error
        let group = ServiceGroup(configuration: .init(services: [application], logger: quiet))
        self.group = group
        let (failure, ended) = (Failure(), ended)
        Task {
            defer { ended.signal() }
            do { try await group.run() } catch {
                failure.error = error
                started.signal()
            }
        }
        started.wait()
        if let error = failure.error { throw error }
        log.info("listening on \(address)")
    }

    /// Takes no more requests; those that are being answered go on. Returns at once.
    package func beginStop() { Task { [group] in await group.triggerGracefulShutdown() } }

    /// Waits for the answers that are under way, after `beginStop`.
    package func waitForEnd() { ended.wait() }

    /// The error that ended the start.
    private final class Failure: @unchecked Sendable {
        private let lock = NSLock()
        private var value: (any Error)?

        var error: (any Error)? {
            get { lock.withLock { value } }
            set { lock.withLock { value = newValue } }
        }
    }
}

extension ServerAddress {
    fileprivate var bindAddress: BindAddress {
        switch self {
        case .tcp(let host, let port): .hostname(host, port: port)
        case .unix(let path): .unixDomainSocket(path: path)
        }
    }
}
