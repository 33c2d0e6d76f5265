// A session without threads: the same session, engine loops and writer, each moved on by a call.
//
// The daemon's simulation decides with it who runs when.

package import Engine
package import Logging
import Platform
package import Prompts
package import Runtime
package import Serving
package import Settings
package import StoreContract

/// One session whose threads are calls.
package final class SteppedSession {
    private let commands: [Mailbox<EngineCommand>]
    private let loops: Loops
    private var session: Session

    private final class Loops {
        var engines: [EngineLoop]

        init(_ engines: [EngineLoop]) { self.engines = engines }
    }

    /// - Parameters:
    ///   - model: the name of the model that is loaded.
    ///   - slots: rows of the device batch of each engine.
    ///   - engines: one for each replica.
    ///   - prepare: makes a claimed job ready for the engine.
    package init(
        model: String, _ loop: DaemonLoop, settings: DaemonSettings, drains: Bool, slots: Int, engines: [TTEngine],
        newText: @escaping @Sendable ([String]) -> GeneratedText, stop: StopSignal, clock: TimeSource, log: Logger,
        prepare: @escaping (ClaimedJob) -> PreparedRequest
    ) {
        let commands = engines.map { _ in Mailbox<EngineCommand>() }
        let loops = Loops(engines.map { EngineLoop(engine: $0, clock: clock) })
        self.commands = commands
        self.loops = loops
        session = Session(
            ModelTurn(model: model, since: clock.now), loop, settings: settings, stop: stop, drains: drains,
            clock: clock, log: log, newText: newText,
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

    /// Moves a replica's engine on.
    package func pollEngine(_ replica: Int) {
        if !loops.engines[replica].isOver { loops.engines[replica].poll(commands[replica].receive()) }
    }

    /// Moves the writer on.
    package func pollWriter() {
        session.writer.poll(session.writer.mailbox.receive())
    }

    /// Moves the session on; where it is over, closes it and returns how it ended.
    ///
    /// - Parameter wait: passes time while the writer has something to write and cannot.
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
