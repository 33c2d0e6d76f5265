// One model loaded and at work: jobs are claimed, tokenised and handed to the engine until there are no more for it.

import Failpoints
import JobStore
import Logging
import TTPlatform

/// Why a session has ended.
package enum SessionEnd {
    /// No job of its model is left and the daemon drains, or another model's turn has come.
    case outOfWork
    /// The daemon was asked to stop.
    case stopped
    /// The model failed, and not its device: its jobs are back in the queue, without blame.
    case modelFailed(EngineFailure)
    /// The device failed; its jobs are back in the queue. `finished` jobs of the session had ended before, and
    /// `culprits` were failed because they had been in flight at too many such failures.
    case deviceFailed(EngineFailure, finished: Int, culprits: Int)
}

/// Feeds the replicas' engines. `feed` runs on the daemon's thread, beside the engines' threads and the writer's.
struct Session {
    private let model: LoadedModel
    private let prepare: (ClaimedJob) -> Preparation
    private let settings: DaemonSettings
    private let stop: StopSignal
    private let drains: Bool
    private let replicas: Replicas
    private let writer: ResultWriter
    private let inFlight: InFlight
    private var queue: WorkQueue
    private var trouble: StoreTrouble
    /// Claimed jobs that were in flight when the daemon or its device failed: they run apart, so that they harm no other.
    private var suspects: [ClaimedJob] = []
    private let suspicion: Suspicion
    /// Suspects are in flight.
    private var runsSuspects = false
    private var seenVersion: Int64?
    private var seenPutBacks = 0

    init(
        model: LoadedModel, queue: WorkQueue, settings: DaemonSettings, stop: StopSignal, drains: Bool,
        replicas: Replicas, writer: ResultWriter, inFlight: InFlight, suspicion: Suspicion, log: Logger,
        prepare: @escaping (ClaimedJob) -> Preparation
    ) {
        self.model = model
        self.prepare = prepare
        self.queue = queue
        self.settings = settings
        self.stop = stop
        self.drains = drains
        self.replicas = replicas
        self.writer = writer
        self.inFlight = inFlight
        self.suspicion = suspicion
        trouble = StoreTrouble(consequence: "no new jobs are taken meanwhile", log: log)
    }

    /// Claims and feeds until the session is over; then everything is committed or put back.
    ///
    /// - Parameter engines: the replicas' threads.
    /// - Throws: `JobStoreError`: what will not pass, or a disk that was still full when the daemon had to stop.
    mutating func feed(_ engines: [EngineThread]) throws(JobStoreError) -> SessionEnd {
        stop.onRequest { [inFlight] in inFlight.nudge() }
        let end: Result<SessionEnd, JobStoreError>
        do throws(JobStoreError) { end = .success(try feedUntilEnd()) } catch { end = .failure(error) }
        stop.onRequest(nil)
        return try close(after: end, endEngines: { EngineThread.end(engines) }, endWriter: writer.end)
    }

    private mutating func feedUntilEnd() throws(JobStoreError) -> SessionEnd {
        while true {
            let seen = inFlight.newsCount
            switch try turn() {
            case .again: continue
            case .wait(let milliseconds): inFlight.waitForNews(since: seen, atMost: .milliseconds(milliseconds))
            case .over(let end): return end
            }
        }
    }

    /// What a turn led to.
    enum Turn {
        /// There may be more to do at once.
        case again
        /// Nothing to do before there is news, or so many milliseconds have passed.
        case wait(Int64)
        /// Nothing is fed any more.
        case over(SessionEnd)
    }

    /// Looks once at what there is to do, and does it.
    mutating func turn() throws(JobStoreError) -> Turn {
        guard writer.failureOfEngine == nil, writer.failureOfStore == nil else { return .over(.outOfWork) }
        if mustStop { return .over(.stopped) }
        do throws(JobStoreError) {
            try dropRevoked()
            try queue.keepTime()
            let work = stop.level == .none ? try takeWork() : .busy
            if case .none = work, inFlight.count == 0 { return .over(.outOfWork) }
            if case .claimed = work { return .again }
            try queue.store.maintain()
            trouble.isOver()
            return .wait(queue.patienceMS(atMost: settings.pollIntervalMS))
        } catch {
            try trouble.note(error)
            return .wait(settings.storeRetryMS)
        }
    }

    /// Ends engines and writer in this order, so that all is committed or put back, and tells how the session ended.
    func close(
        after end: Result<SessionEnd, JobStoreError>, endEngines: () -> [ClaimTicket], endWriter: () -> Void
    ) throws(JobStoreError) -> SessionEnd {
        failpoint("session.ending")
        let unseen = endEngines()
        writer.mailbox.send(.unseen(unseen + suspects.map(\.ticket)))
        endWriter()
        failpoint("session.ended")
        if let error = writer.failureOfStore { throw error }
        if let failure = writer.failureOfEngine {
            if failure.fault.cause == .model { return .modelFailed(failure) }
            return .deviceFailed(failure, finished: writer.finishedCount, culprits: writer.culpritCount)
        }
        return try end.get()
    }

    private var mustStop: Bool {
        stop.isGraceOver(.milliseconds(settings.graceMS)) || (stop.level != .none && inFlight.count == 0)
    }
}

// MARK: - Claiming

extension Session {
    private enum Work {
        /// Jobs went to the engines; there may be more.
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
        // Results that cannot be written pile up: no more are made until they can.
        guard !writer.isBlocked else { return .busy }
        let room = replicas.room
        guard room > 0 else { return .busy }
        if inFlight.putBackCount != seenPutBacks {
            seenPutBacks = inFlight.putBackCount
            queue.lookAgain()
        }
        let batch: ClaimableBatch
        switch try queue.next(loaded: model) {
        case .nothing: return drains ? .none : .busy
        case .later: return .busy
        case .batch(let next): batch = next
        }
        guard batch.model == nil || batch.model == model.name else { return .none }
        let claimed = try queue.claim(room, of: batch)
        failpoint("session.claimed")
        for job in claimed {
            if job.crashes > 0 { suspects.append(job) } else { admit(job) }
        }
        suspicion.sort(&suspects)
        return .claimed
    }

    private func admit(_ job: ClaimedJob) {
        let replica = inFlight.add(job.ticket)
        switch prepare(job) {
        case .ready(let prepared):
            // The writer must know the job before the engine's first news of it.
            writer.mailbox.send(.admitted(prepared))
            replicas.run(prepared, on: replica)
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
            replicas.stop(ticket)
            writer.mailbox.send(.revoked(ticket))
        }
    }
}
