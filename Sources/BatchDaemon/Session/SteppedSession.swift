// A session without threads: the same session, engine loops and writer, each advanced by a call.
//
// With it, the daemon's simulation decides the order in which they run.

package import Engine
package import Logging
import Platform
package import Prompts
package import Runtime
package import Serving
package import Settings
package import StoreContract

/// A session in which calls take the place of threads.
package final class SteppedSession {
    private let commands: [Mailbox<EngineCommand>]
    private let loops: Loops
    private var session: Session

    private final class Loops {
        var engines: [EngineLoop]

        init(_ engines: [EngineLoop]) { self.engines = engines }
    }

    /// - Parameters:
    ///   - model: the name of the loaded model.
    ///   - slots: rows of the device batch of each engine.
    ///   - engines: one for each replica.
    ///   - prepare: prepares a claimed job for the engine.
    package init(
        model: String, _ loop: DaemonLoop, settings: DaemonSettings, drains: Bool, slots: Int, engines: [TTEngine],
        begin: @escaping @Sendable (PreparedRequest) -> RequestInProgress, stop: StopSignal, clock: TimeSource,
        log: Logger,
        prepare: @escaping (ClaimedJob) -> PreparedRequest
    ) {
        let commands = engines.map { _ in Mailbox<EngineCommand>() }
        let loops = Loops(engines.map { EngineLoop(engine: $0, clock: clock) })
        self.commands = commands
        self.loops = loops
        session = Session(
            ModelTurn(model: model, since: clock.now), loop, settings: settings, stop: stop, drains: drains,
            clock: clock, log: log, begin: begin, by: SystemRecord(["device": "stepped"]),
            connect: { sink in
                Connection(
                    replicas: Replicas(commands, slots: slots, client: .only, sink: sink),
                    disconnect: {
                        for (mailbox, replica) in zip(commands, loops.engines.indices) {
                            mailbox.send(.disconnect(.only))
                            if !loops.engines[replica].isOver { loops.engines[replica].poll(mailbox.receive()) }
                        }
                        return commands.flatMap { $0.receive().compactMap(\.requestToRun) }
                    })
            },
            prepare: { job throws(UnfitRequest) in prepare(job) })
    }

    /// Polls a replica's engine loop once.
    package func pollEngine(_ replica: Int) {
        if !loops.engines[replica].isOver { loops.engines[replica].poll(commands[replica].receive()) }
    }

    /// Polls the writer once.
    package func pollWriter() {
        session.writer.poll(session.writer.mailbox.receive())
    }

    /// Polls the session once; if it is over, closes it and returns how it ended.
    ///
    /// - Parameter wait: lets time pass while the writer has writes that fail.
    package func pollSession(waiting wait: () -> Void) throws(JobStoreError) -> SessionEnd? {
        let end: Result<SessionEnd, JobStoreError>
        do throws(JobStoreError) {
            guard case .over(let reason) = try session.poll() else { return nil }
            end = .success(reason)
        } catch {
            end = .failure(error)
        }
        return try session.close(after: end) {
            session.writer.mailbox.send(.end)
            pollWriter()
            while session.writer.hasMore {
                wait()
                pollWriter()
            }
        }
    }
}
