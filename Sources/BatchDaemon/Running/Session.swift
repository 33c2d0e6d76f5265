// One model loaded and at work: jobs are claimed, tokenised and handed to the engine until there are no more for it.

import Failpoints
import JobStore
import Logging

/// Why a session has ended.
enum SessionEnd {
    /// No job of its model is left and the daemon drains, or another model's turn has come.
    case outOfWork
    /// The daemon was asked to stop.
    case stopped
    /// The device failed; its jobs are back in the queue. `finished` jobs of the session had ended before, and
    /// `culprits` were failed because they had been in flight at too many such failures.
    case deviceFailed(EngineFailure, finished: Int, culprits: Int)
}

/// Feeds one engine. `feed()` runs on the daemon's thread, beside the engine's thread and the writer's.
struct Session {
    let modelName: String
    let preparer: JobPreparer
    let settings: DaemonSettings
    let stop: StopSignal
    let drains: Bool
    /// Jobs between claim and end, at most: while one half of them decodes, the other is ready to take freed slots.
    let lookahead: Int
    let engine: EngineThread
    let writer: ResultWriter
    let inFlight: InFlight
    private var queue: WorkQueue
    private var trouble: StoreTrouble
    /// Claimed jobs that were in flight when the daemon or its device failed: they run apart, so that they harm no other.
    private var suspects: [ClaimedJob] = []
    private let suspicion: Suspicion
    /// Suspects are in flight.
    private var runsSuspects = false
    private var seenVersion: Int64?

    init(
        modelName: String, preparer: JobPreparer, queue: WorkQueue, settings: DaemonSettings, stop: StopSignal,
        drains: Bool, lookahead: Int, engine: EngineThread, writer: ResultWriter, inFlight: InFlight,
        suspicion: Suspicion, log: Logger
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
        self.suspicion = suspicion
        trouble = StoreTrouble(consequence: "no new jobs are taken meanwhile", log: log)
    }

    /// Claims and feeds until the session is over; then everything is committed or put back.
    ///
    /// - Throws: `JobStoreError`: what will not pass, or a disk that was still full when the daemon had to stop.
    mutating func feed() throws(JobStoreError) -> SessionEnd {
        stop.onRequest { [inFlight] in inFlight.nudge() }
        let end: Result<SessionEnd, JobStoreError>
        do throws(JobStoreError) { end = .success(try feedUntilEnd()) } catch { end = .failure(error) }
        stop.onRequest(nil)
        failpoint("session.ending")
        let unseen = engine.end()
        writer.mailbox.send(.engine(.putBack(unseen + suspects.map(\.ticket))))
        writer.end()
        failpoint("session.ended")
        if let error = writer.failureOfStore { throw error }
        if let failure = writer.failureOfEngine {
            return .deviceFailed(failure, finished: writer.finishedCount, culprits: writer.culpritCount)
        }
        return try end.get()
    }

    private mutating func feedUntilEnd() throws(JobStoreError) -> SessionEnd {
        while writer.failureOfEngine == nil, writer.failureOfStore == nil {
            let seen = inFlight.newsCount
            if mustStop { return .stopped }
            var wait = settings.pollIntervalMS
            do throws(JobStoreError) {
                try dropRevoked()
                let work = stop.level == .none ? try takeWork() : .busy
                if case .none = work, inFlight.count == 0 { return .outOfWork }
                if case .claimed = work { continue }
                try queue.store.maintain()
                trouble.isOver()
            } catch {
                try trouble.note(error)
                wait = settings.storeRetryMS
            }
            inFlight.waitForNews(since: seen, atMost: .milliseconds(wait))
        }
        return .outOfWork
    }

    private var mustStop: Bool {
        stop.isGraceOver(.milliseconds(settings.graceMS)) || (stop.level != .none && inFlight.count == 0)
    }
}

// MARK: - Claiming

extension Session {
    private enum Work {
        /// Jobs went to the engine; there may be more.
        case claimed
        /// There may be work, but not now.
        case busy
        /// There is none for this session.
        case none
    }

    private mutating func takeWork() throws(JobStoreError) -> Work {
        if runsSuspects || !suspects.isEmpty {
            guard inFlight.count == 0 else { return .busy }
            runsSuspects = !suspects.isEmpty
            if runsSuspects {
                suspicion.takeGroup(from: &suspects).forEach(admit)
                return .busy
            }
        }
        let room = lookahead - inFlight.count
        // Results that cannot be written pile up: no more are made until they can.
        guard !writer.isBlocked else { return .busy }
        // Handfuls, so that the database is not asked for every single job.
        guard room >= max(1, lookahead / 4) else { return .busy }
        guard let batch = try queue.next() else { return drains ? .none : .busy }
        guard batch.model == nil || batch.model == modelName else { return .none }
        let claimed = try queue.claim(room, of: batch)
        failpoint("session.claimed")
        for job in claimed {
            if job.crashes > 0 { suspects.append(job) } else { admit(job) }
        }
        suspicion.sort(&suspects)
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
    private mutating func dropRevoked() throws(JobStoreError) {
        let version = try queue.store.dataVersion()
        guard version != seenVersion else { return }
        let revoked = Set(try queue.revoked(among: inFlight.all + suspects.map(\.ticket)))
        seenVersion = version
        suspects.removeAll { revoked.contains($0.ticket) }
        for ticket in revoked {
            engine.commands.send(.stop(ticket))
            writer.mailbox.send(.revoked(ticket))
        }
    }
}
