// A session without threads: the same feeder, engine loop and writer as in `SessionLoading`, each moved on by a call.
//
// The daemon's simulation decides with it who runs when.

package import JobStore
package import Logging
package import TTEngine
package import Tokenizer

/// One session whose threads are turns.
package final class SteppedSession {
    private let writer: ResultWriter
    private let commands = Mailbox<EngineCommand>()
    private var loop: EngineLoop
    private var session: Session

    /// - Parameters:
    ///   - model: the name of the model that is loaded.
    ///   - prepare: makes a claimed job ready for the engine.
    package init(
        model: String, _ course: DaemonCourse, settings: DaemonSettings, drains: Bool, lookahead: Int, engine: TTEngine,
        detokenizer: @escaping @Sendable () -> Detokenizer, stop: StopSignal, clock: DaemonClock, log: Logger,
        prepare: @escaping (ClaimedJob) -> PreparedJob
    ) {
        let queue = course.queue
        let inFlight = InFlight()
        writer = ResultWriter(
            store: queue.store, incarnation: queue.incarnation, inFlight: inFlight, settings: settings, stop: stop,
            suspicion: course.suspicion, detokenizer: detokenizer, clock: clock, log: log)
        writer.setStopEngine { [commands] in commands.send(.stop($0)) }
        loop = EngineLoop(
            engine: engine, commands: commands, clock: clock,
            report: { [mailbox = writer.mailbox] in mailbox.send(.engine($0)) })
        session = Session(
            model: LoadedModel(name: model, since: clock.now), queue: queue, settings: settings, stop: stop,
            drains: drains, lookahead: lookahead, engine: commands, writer: writer, inFlight: inFlight,
            suspicion: course.suspicion, log: log,
            prepare: { .ready(prepare($0)) })
    }

    /// Moves the engine on.
    package func turnEngine() {
        if !loop.isEnding { loop.turn(commands.receive()) }
    }

    /// Moves the writer on.
    package func turnWriter() {
        writer.turn(writer.mailbox.receive())
    }

    /// Moves the feeder on; where the session is over, closes it and returns how it ended.
    ///
    /// - Parameter wait: passes time while the writer has something to write and cannot.
    package func turnFeeder(waiting wait: () -> Void) throws(JobStoreError) -> SessionEnd? {
        let end: Result<SessionEnd, JobStoreError>
        do throws(JobStoreError) {
            guard case .over(let reason) = try session.turn() else { return nil }
            end = .success(reason)
        } catch {
            end = .failure(error)
        }
        return try session.close(
            after: end,
            endEngine: {
                commands.send(.putBackAll)
                turnEngine()
                return commands.receive().compactMap(\.jobToRun)
            },
            endWriter: {
                writer.mailbox.send(.end)
                turnWriter()
                while writer.hasMore {
                    wait()
                    turnWriter()
                }
            })
    }
}
