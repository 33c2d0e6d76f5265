// The thread that owns an engine, and with it the device: the only one that ever touches either.

package import Engine
import Foundation
package import Platform
package import Runtime

/// Runs the engine of one replica on a thread of its own. Everything else reaches it through `commands`.
package final class EngineThread: Sendable {
    /// What the thread is told.
    package let commands = Mailbox<EngineCommand>()
    /// The sizes that the engine runs with.
    package let limits: StepLimits
    private let state = WaitingState()

    /// What others wait for.
    private final class WaitingState: @unchecked Sendable {
        let lock = WaitingLock()
        var hasEnded = false
        var disconnected: Set<ClientID> = []
    }

    /// Builds the engine on its thread, and returns when it can take requests.
    ///
    /// - Parameter build: loads the model; the device must not be touched from another thread.
    /// - Throws: what `build` throws.
    package init(clock: TimeSource, build: @escaping @Sendable () throws -> OpenedEngine) throws {
        let started = Mailbox<Result<StepLimits, any Error>>()
        let thread = Thread { [commands, state] in
            do {
                let opened = try build()
                started.send(.success(opened.limits))
                Self.run(EngineLoop(engine: opened.engine, clock: clock), commands, state)
                opened.close()
            } catch {
                started.send(.failure(error))
            }
            state.lock.change { state.hasEnded = true }
        }
        thread.name = "engine"
        thread.stackSize = 8 << 20
        thread.start()
        limits = try started.receiveWaiting()[0].get()
    }

    private static func run(_ loop: EngineLoop, _ commands: Mailbox<EngineCommand>, _ state: WaitingState) {
        var loop = loop
        while !loop.isOver {
            let received = loop.hasWork ? commands.receive() : commands.receiveWaiting()
            loop.poll(received)
            for case .disconnect(let client) in received {
                _ = state.lock.change { state.disconnected.insert(client) }
            }
        }
    }

    /// Takes a client's requests back from each thread.
    ///
    /// - Returns: requests that were sent to threads which had ended by a fault: they have not reported them.
    static func disconnect(_ client: ClientID, from threads: [EngineThread]) -> [RequestID] {
        // All are told before one is waited for: each may be in the middle of a step.
        for thread in threads { thread.commands.send(.disconnect(client)) }
        return threads.flatMap { thread in
            let hasEnded = thread.state.lock.wait(
                until: { [state = thread.state] in state.hasEnded || state.disconnected.contains(client) },
                then: { thread.state.hasEnded })
            return hasEnded ? thread.commands.receive().compactMap(\.requestToRun) : []
        }
    }

    /// Ends the threads, closes their devices, and returns when that is done.
    static func end(_ threads: [EngineThread]) {
        for thread in threads { thread.commands.send(.end) }
        for thread in threads {
            thread.state.lock.wait(until: { [state = thread.state] in state.hasEnded }, then: {})
        }
    }
}

/// An engine and the device under it.
package struct OpenedEngine {
    /// Ready for requests.
    let engine: TTEngine
    /// The sizes that it runs with.
    let limits: StepLimits
    /// Releases model and device, in this order.
    let close: () -> Void

    /// An engine whose device `close` releases.
    package init(engine: TTEngine, limits: StepLimits, close: @escaping () -> Void) {
        self.engine = engine
        self.limits = limits
        self.close = close
    }
}
