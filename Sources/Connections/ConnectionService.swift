// Takes connections, and answers the requests on each until it ends.

package import HTTPExchange
import HTTPTypes
package import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
package import Settings
import Synchronization

/// Serves the connections of a socket.
package struct ConnectionService: Service {
    private let socket: ListeningSocket
    private let http: HTTP1Channel
    private let mostConnections: Int
    private let log: Logger
    /// Called when connections are taken.
    private let started: @Sendable () -> Void
    package let open = OpenConnections()

    /// Binds the address of `served`.
    ///
    /// - Parameter started: called when it listens.
    package init(
        _ served: ServedQueue, answering responder: RouterResponder<ServerContext>,
        started: @escaping @Sendable () -> Void
    ) throws(InvalidConfiguration) {
        let settings = served.configuration.server
        socket = try ListeningSocket(served.address)
        http = HTTP1Channel(settings, answering: responder, log: served.log)
        mostConnections = settings.maxConnections
        log = served.log
        self.started = started
    }

    /// Where it listens: with the port that was chosen, if any.
    package var address: ServerAddress { socket.address }

    /// Removes the file of a Unix socket.
    package func removeSocket() { socket.remove() }

    package func run() async throws {
        let listening = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelInitializer { [mostConnections] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AvailableConnectionsChannelHandler(maxConnections: mostConnections))
                }
            }
            .bind(socket.descriptor) { [http, log, open] channel in
                open.add(channel)
                return http.setup(channel: channel, logger: log)
            }
        await withGracefulShutdownHandler {
            started()
            await withDiscardingTaskGroup { group in
                do {
                    try await listening.executeThenClose { connections in
                        for try await connection in connections {
                            group.addTask { await serve(connection) }
                        }
                    }
                } catch {
                    log.error("no more connections are taken: \(error)")
                }
            }
        } onGracefulShutdown: {
            listening.channel.close(promise: nil)
            open.endWhenIdle()
        }
    }

    /// Whoever closes his connection wants no answer any more.
    private func serve(_ connection: HTTP1Channel.Value) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await http.handle(value: connection, logger: log) }
            group.addTask { try? await connection.channel.closeFuture.get() }
            await group.next()
            group.cancelAll()
        }
    }
}

/// The connections that are open.
package final class OpenConnections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isEnding = false
    }

    private let state = Mutex(State())

    func add(_ channel: any Channel) {
        let isEnding = state.withLock { state in
            state.channels[ObjectIdentifier(channel)] = channel
            return state.isEnding
        }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { $0.channels[ObjectIdentifier(channel)] = nil }
        }
        if isEnding { channel.close(promise: nil) }
    }

    /// Closes connections without a request now, and the others after their answers.
    func endWhenIdle() {
        let channels = state.withLock { state in
            state.isEnding = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    }

    /// Closes all connections.
    package func closeAll() {
        for channel in state.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
    }
}
