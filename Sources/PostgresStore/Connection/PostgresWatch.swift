// Hears of what people do, on a thread and a connection of its own.

import Glibc
import PostgresClient
import Runtime
import StoreContract
import Synchronization

/// Calls a handler after each notification, and once after each connection: what was said before it was not heard.
final class PostgresWatch: StoreWatch {
    private let listener: Listener

    init(_ address: PostgresAddress, _ handler: @escaping @Sendable () -> Void) {
        let listener = Listener(address, handler)
        self.listener = listener
        DetachedThread.start("postgres-listen") { listener.run() }
    }

    func end() { listener.end() }

    deinit { listener.end() }
}

/// What the thread holds.
private final class Listener: Sendable {
    private let isEnded = Mutex(false)
    private let address: PostgresAddress
    private let handler: @Sendable () -> Void

    init(_ address: PostgresAddress, _ handler: @escaping @Sendable () -> Void) {
        (self.address, self.handler) = (address, handler)
    }

    func end() { isEnded.withLock { $0 = true } }

    private var isOver: Bool { isEnded.withLock { $0 } }

    func run() {
        var pause: UInt32 = 100_000
        while !isOver {
            do {
                var connection = try PostgresConnection.connect(to: address, for: "listener")
                try connection.listen(to: "ttbatch")
                pause = 100_000
                handler()
                while !isOver {
                    if !(try connection.notifications(within: .milliseconds(500)).isEmpty), !isOver { handler() }
                }
            } catch {
                usleep(pause)
                pause = min(pause * 2, 900_000)
            }
        }
    }
}
