// One model loaded and at work: jobs are claimed, tokenised and handed to the engine until there are no more for it.

import Foundation
import JobStore

/// Why a session has ended.
enum SessionEnd {
    /// No job of its model is left and the daemon drains, or another model's turn has come.
    case outOfWork
    /// The daemon was asked to stop.
    case stopped
    /// The device failed; its jobs are back in the queue. `finished` jobs of the session had ended before.
    case deviceFailed(EngineFailure, finished: Int)
}

/// Feeds one engine. `feed()` runs on the daemon's thread, beside the engine's thread and the writer's.
struct Session {
    let modelName: String
    let preparer: JobPreparer
    let queue: WorkQueue
    let settings: DaemonSettings
    let stop: StopSignal
    let drains: Bool
    /// Jobs between claim and end, at most: while one half of them decodes, the other is ready to take freed slots.
    let lookahead: Int
    let engine: EngineThread
    let writer: ResultWriter
    let inFlight: InFlight
    /// Claimed jobs that were in flight when the daemon or its device failed: each runs alone, so that it harms no other.
    private var suspects: [ClaimedJob] = []

    init(
        modelName: String, preparer: JobPreparer, queue: WorkQueue, settings: DaemonSettings, stop: StopSignal,
        drains: Bool, lookahead: Int, engine: EngineThread, writer: ResultWriter, inFlight: InFlight
    ) {
        self.modelName = modelName
        self.preparer = preparer
        self.queue = queue
        self.settings = settings
        self.stop = stop
        self.drains = drains
        self.lookahead = lookahead
        self.engine = engine
        self.writer = writer
        self.inFlight = inFlight
    }

    /// Claims and feeds until the session is over; then everything is committed or put back.
    mutating func feed() throws -> SessionEnd {
        stop.onRequest { [inFlight] in inFlight.nudge() }
        defer { stop.onRequest(nil) }
        let end: Result<SessionEnd, any Error>
        do { end = .success(try feedUntilEnd()) } catch { end = .failure(error) }
        engine.end()
        writer.mailbox.send(.engine(.putBack(suspects.map(\.ticket))))
        writer.end()
        if let error = writer.failureOfStore { throw error }
        if let failure = writer.failureOfEngine {
            return .deviceFailed(failure, finished: writer.finishedCount)
        }
        return try end.get()
    }

    private mutating func feedUntilEnd() throws -> SessionEnd {
        var graceEnds: Date?
        var seenVersion: Int64?
        while writer.failureOfEngine == nil, writer.failureOfStore == nil {
            switch stop.level {
            case .none: break
            case .graceful:
                let deadline = graceEnds ?? Date(timeIntervalSinceNow: Double(settings.graceMS) / 1000)
                graceEnds = deadline
                if inFlight.count == 0 || deadline <= Date() { return .stopped }
            case .immediate: return .stopped
            }
            let version = try queue.store.dataVersion()
            if version != seenVersion {
                seenVersion = version
                try dropRevoked()
            }
            if stop.level == .none {
                switch try takeWork() {
                case .claimed: continue
                case .none where inFlight.count == 0: return .outOfWork
                case .none, .busy: break
                }
            }
            if inFlight.count == 0 { try queue.store.maintain() }
            inFlight.waitForChange(until: Date(timeIntervalSinceNow: Double(settings.pollIntervalMS) / 1000))
        }
        return .outOfWork
    }

    private enum Work {
        /// Jobs went to the engine; there may be more.
        case claimed
        /// There may be work, but not now.
        case busy
        /// There is none for this session.
        case none
    }

    private mutating func takeWork() throws -> Work {
        if !suspects.isEmpty {
            guard inFlight.count == 0 else { return .busy }
            admit(suspects.removeFirst())
            return .busy
        }
        let room = lookahead - inFlight.count
        // Handfuls, so that the database is not asked for every single job.
        guard room >= max(1, lookahead / 4) else { return .busy }
        guard let batch = try queue.next() else { return drains ? .none : .busy }
        guard batch.model == nil || batch.model == modelName else { return .none }
        for job in try queue.claim(room, of: batch) {
            if job.crashes > 0 { suspects.append(job) } else { admit(job) }
        }
        return .claimed
    }

    private func admit(_ job: ClaimedJob) {
        inFlight.add(job.ticket)
        switch preparer.prepare(job) {
        case .ready(let prepared):
            // The writer must know the job before the engine's first news of it.
            writer.mailbox.send(.admitted(prepared))
            engine.commands.send(.run(prepared))
        case .unfit(let error):
            writer.mailbox.send(.unfit(job.ticket, error))
        }
    }

    /// Jobs of cancelled batches need no more work.
    private func dropRevoked() throws {
        for ticket in try queue.revoked(among: inFlight.all) {
            engine.commands.send(.stop(ticket))
            writer.mailbox.send(.revoked(ticket))
        }
    }
}
