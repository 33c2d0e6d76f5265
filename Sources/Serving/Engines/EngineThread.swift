// The thread that owns an engine and its device; no other thread uses either.

package import Engine
package import Platform
package import Runtime

/// Runs the engine of one replica on its own thread. Other threads control it through `commands`.
package final class EngineThread: Sendable {
    /// The commands to the thread.
    package let commands = Mailbox<EngineCommand>()
    /// The limits that the engine runs with.
    package let limits: StepLimits
    /// The settings that change the bits of its results.
    let arithmetic: [String: String]
    private let state = WaitingState()

    /// The state that other threads wait for.
    private final class WaitingState: @unchecked Sendable {
        let lock = WaitingLock()
        var hasEnded = false
        var disconnected: Set<ClientID> = []
    }

    /// Builds the engine on its thread, and returns when it can take requests.
    ///
    /// - Parameter build: loads the model; runs on the new thread, because the device must not be used by another.
    /// - Throws: the error of `build`.
    package init(clock: TimeSource, build: @escaping @Sendable () throws -> OpenedEngine) throws {
        let started = Mailbox<Result<(limits: StepLimits, arithmetic: [String: String]), any Error>>()
        DetachedThread.start("engine", stackSize: 8 << 20) { [commands, state] in
            do {
                let opened = try build()
                started.send(.success((opened.limits, opened.arithmetic)))
                Self.run(EngineLoop(engine: opened.engine, clock: clock, metrics: opened.metrics), commands, state)
                opened.metrics?.close()
                opened.close()
            } catch {
                started.send(.failure(error))
            }
            state.lock.change { state.hasEnded = true }
        }
        (limits, arithmetic) = try started.receiveWaiting()[0].get()
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

    /// Makes each thread return a client's requests.
    ///
    /// - Returns: requests that were sent to threads that had ended because of a fault and so will not report them.
    static func disconnect(_ client: ClientID, from threads: [EngineThread]) -> [RequestID] {
        // The command is sent to all threads before any is waited for, because each may be running a step.
        for thread in threads { thread.commands.send(.disconnect(client)) }
        return threads.flatMap { thread in
            let hasEnded = thread.state.lock.wait(
                until: { [state = thread.state] in state.hasEnded || state.disconnected.contains(client) },
                then: {
                    thread.state.disconnected.remove(client)
                    return thread.state.hasEnded
                })
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

/// An engine and its device.
package struct OpenedEngine {
    /// Ready for requests.
    let engine: TTEngine
    /// The limits that it runs with.
    let limits: StepLimits
    /// The settings that change the bits of its results.
    let arithmetic: [String: String]
    /// Count its work; nil: nothing does.
    let metrics: EngineMetrics?
    /// Releases model and device, in this order.
    let close: () -> Void

    /// An engine whose model and device are released by `close`.
    package init(
        engine: TTEngine, limits: StepLimits, arithmetic: [String: String] = [:], metrics: EngineMetrics? = nil,
        close: @escaping () -> Void
    ) {
        self.engine = engine
        self.limits = limits
        self.arithmetic = arithmetic
        self.metrics = metrics
        self.close = close
    }
}
