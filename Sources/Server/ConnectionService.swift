// Takes connections, and answers the requests on each until it ends.

import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Serves the connections of a socket.
struct ConnectionService: Service {
    let socket: ListeningSocket
    let http: HTTP1Channel
    let mostConnections: Int
    let log: Logger
    /// Called when connections are taken.
    let started: @Sendable () -> Void
    let open = OpenConnections()

    func run() async throws {
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
final class OpenConnections: Sendable {
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
    func closeAll() {
        for channel in state.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
    }
}
