// A session without threads: the same feeder, engine loops and writer as in `SessionLoading`, each moved on by a call.
//
// The daemon's simulation decides with it who runs when.

package import JobStore
package import Logging
package import TTEngine
import TTPlatform
package import Tokenizer

/// One session whose threads are turns.
package final class SteppedSession {
    private let writer: ResultWriter
    private let commands: [Mailbox<EngineCommand>]
    private var loops: [EngineLoop]
    private var session: Session

    /// - Parameters:
    ///   - model: the name of the model that is loaded.
    ///   - slots: rows of the device batch of each engine.
    ///   - engines: one for each replica.
    ///   - prepare: makes a claimed job ready for the engine.
    package init(
        model: String, _ course: DaemonCourse, settings: DaemonSettings, drains: Bool, slots: Int, engines: [TTEngine],
        detokenizer: @escaping @Sendable () -> Detokenizer, stop: StopSignal, clock: DaemonClock, log: Logger,
        prepare: @escaping (ClaimedJob) -> PreparedJob
    ) {
        let queue = course.queue
        let inFlight = InFlight(replicas: engines.count)
        writer = ResultWriter(
            store: queue.store, incarnation: queue.incarnation, inFlight: inFlight, settings: settings, stop: stop,
            suspicion: course.suspicion, detokenizer: detokenizer, clock: clock, log: log)
        let commands = engines.map { _ in Mailbox<EngineCommand>() }
        self.commands = commands
        let replicas = Replicas(commands, inFlight: inFlight, slots: slots)
        writer.setStopEngine(replicas.stop)
        loops = zip(engines, Replica.all(engines.count)).map { [mailbox = writer.mailbox] engine, replica in
            EngineLoop(
                engine: engine, commands: commands[replica.index], clock: clock,
                report: { mailbox.send(.engine($0, of: replica)) })
        }
        session = Session(
            model: LoadedModel(name: model, since: clock.now), queue: queue, settings: settings, stop: stop,
            drains: drains, replicas: replicas, writer: writer, inFlight: inFlight, suspicion: course.suspicion,
            log: log, prepare: { .ready(prepare($0)) })
    }

    /// Moves a replica's engine on.
    package func turnEngine(_ replica: Int) {
        if !loops[replica].isEnding { loops[replica].turn(commands[replica].receive()) }
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
            endEngines: {
                for replica in loops.indices {
                    commands[replica].send(.putBackAll)
                    turnEngine(replica)
                }
                return commands.flatMap { $0.receive().compactMap(\.jobToRun) }
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
