// Runs jobs on a loaded model: claims, prepares and submits them until there are no more for it.

import Failpoints
import Logging
import Platform
import Prompts
import Runtime
import Serving
import Settings
import StoreContract

/// Why a session ended.
package enum SessionEnd {
    /// No job for its model is left and the daemon drains, or another model's turn has come.
    case outOfWork
    /// The daemon was asked to stop.
    case stopped
    /// The daemon's life was declared dead: others have its jobs.
    case lost
    /// The model failed, not its device: its jobs were requeued and none was blamed.
    case modelFailed(EngineFailure)
    /// The device failed; its jobs were requeued. `finished` jobs of the session had ended before, and `failedSuspects`
    /// jobs failed because they had been in flight at too many such failures.
    case deviceFailed(EngineFailure, finished: Int, failedSuspects: Int)
}

/// Submits jobs to a model's replicas. It runs on the daemon's thread; the engines and the writer have their own
/// threads.
struct Session {
    private let turn: ModelTurn
    private let prepare: (ClaimedJob) throws(UnfitRequest) -> PreparedRequest
    private let settings: DaemonSettings
    private let stop: StopSignal
    private let drains: Bool
    private let replicas: Replicas<ClaimTicket>
    private let disconnect: () -> [RequestID]
    /// Writes the jobs' results.
    let writer: ResultWriter
    private let queue: WorkQueue
    private let bisection: Bisection
    private var backoff: StoreBackoff
    /// Claimed jobs that were in flight when the daemon or its device failed; they run apart from other jobs.
    private var suspects: [ClaimedJob] = []
    /// Whether the jobs in flight are suspects.
    private var runsSuspects = false
    private var seenVersion: Int64?
    private var seenPutBacks = 0
    private var inFlight: InFlight<ClaimTicket> { replicas.inFlight }

    /// A session with the model that `host` has loaded.
    init(
        model: ModelHost.Loaded, on host: ModelHost, _ loop: DaemonLoop, settings: DaemonSettings, stop: StopSignal,
        drains: Bool, clock: TimeSource, log: Logger
    ) {
        let preparer = model.preparer
        let metrics = RequestMetrics(of: .batch, model: model.name)
        self.init(
            ModelTurn(model: model.name, since: clock.now), loop, settings: settings, stop: stop, drains: drains,
            clock: clock, log: log,
            begin: { [tokenizer = model.tokenizer] in
                RequestInProgress($0, tokenizer, submitted: clock.now, metrics: metrics)
            },
            by: model.systemMembers.map { SystemRecord($0.merging(["version": Version.current]) { $1 }) },
            counting: JobMetrics(metrics),
            connect: { host.connect(to: model, sink: $0) },
            prepare: { job throws(UnfitRequest) in
                try preparer.prepare(
                    job.body, url: job.endpoint, enqueued: job.promptTime,
                    seed: JobSeed.derived(customID: job.customID, line: job.line))
            })
    }

    /// A session with the engines that `connect` connects a sink to.
    init(
        _ turn: ModelTurn, _ loop: DaemonLoop, settings: DaemonSettings, stop: StopSignal, drains: Bool,
        clock: TimeSource, log: Logger, begin: @escaping @Sendable (PreparedRequest) -> RequestInProgress,
        by system: SystemRecord?, counting jobMetrics: JobMetrics = JobMetrics(),
        connect: (@escaping @Sendable (EngineReport, Replica) -> Void) -> Connection<ClaimTicket>,
        prepare: @escaping (ClaimedJob) throws(UnfitRequest) -> PreparedRequest
    ) {
        let mailbox = Mailbox<WriterMessage>()
        let connection = connect { mailbox.send(.engine($0, of: $1)) }
        self.turn = turn
        self.settings = settings
        self.stop = stop
        self.drains = drains
        self.prepare = prepare
        queue = loop.queue
        bisection = loop.bisection
        replicas = connection.replicas
        disconnect = connection.disconnect
        writer = ResultWriter(
            mailbox, queue, replicas, settings: settings, stop: stop, bisection: bisection, begin: begin,
            by: system, counting: jobMetrics, clock: clock, log: log)
        backoff = StoreBackoff(consequence: "no new jobs are taken meanwhile", log: log)
    }

    /// Claims and submits jobs until the session is over; then all jobs are committed or requeued.
    ///
    /// - Throws: `JobStoreError` that is permanent, or for a disk that was still full when the daemon had to stop.
    mutating func run() throws(JobStoreError) -> SessionEnd {
        writer.start()
        stop.onRequest { [inFlight] in inFlight.nudge() }
        let end: Result<SessionEnd, JobStoreError>
        do throws(JobStoreError) { end = .success(try pollUntilEnd()) } catch { end = .failure(error) }
        stop.onRequest(nil)
        return try close(after: end, endWriter: writer.end)
    }

    private mutating func pollUntilEnd() throws(JobStoreError) -> SessionEnd {
        while true {
            let seen = inFlight.newsCount
            switch try poll() {
            case .again: continue
            case .wait(let milliseconds): inFlight.waitForNews(since: seen, atMost: .milliseconds(milliseconds))
            case .over(let end): return end
            }
        }
    }

    /// The result of a poll.
    enum Step {
        /// There may be more to do; poll again at once.
        case again
        /// Nothing to do until a wake-up, or until this number of milliseconds has passed.
        case wait(Int64)
        /// No more jobs are submitted.
        case over(SessionEnd)
    }

    /// Does what there is to do, once.
    mutating func poll() throws(JobStoreError) -> Step {
        let outcome = writer.outcome
        guard outcome.engineFailure == nil, outcome.storeFailure == nil else { return .over(.outOfWork) }
        if queue.life.isLost { return .over(.lost) }
        if mustStop { return .over(.stopped) }
        do throws(JobStoreError) {
            try dropRevoked()
            try settleClaims()
            try queue.advanceTimeIfDue()
            let work = stop.level == .none ? try takeWork() : .busy
            if case .none = work, inFlight.count == 0 { return .over(.outOfWork) }
            if case .claimed = work { return .again }
            try queue.store.maintain()
            backoff.reset()
            return .wait(queue.patienceMS(atMost: settings.pollIntervalMS))
        } catch {
            try backoff.note(error)
            return .wait(settings.storeRetryMS)
        }
    }

    /// Disconnects from the engines, then ends the writer, so that all jobs are committed or requeued; returns how the
    /// session ended.
    func close(
        after end: Result<SessionEnd, JobStoreError>, endWriter: () -> Void
    ) throws(JobStoreError) -> SessionEnd {
        failpoint("session.ending")
        writer.mailbox.send(.unseen(disconnect(), suspects.map(\.ticket)))
        endWriter()
        failpoint("session.ended")
        let outcome = writer.outcome
        if let error = outcome.storeFailure { throw error }
        if let failure = outcome.engineFailure {
            if failure.fault.cause == .model { return .modelFailed(failure) }
            return .deviceFailed(failure, finished: outcome.finished, failedSuspects: outcome.failedSuspects)
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
        /// Jobs were submitted; there may be more.
        case claimed
        /// No jobs were submitted, but there may be some later.
        case busy
        /// There are no jobs for this session.
        case none
    }

    private mutating func takeWork() throws(JobStoreError) -> Work {
        if runsSuspects || !suspects.isEmpty {
            guard inFlight.count == 0 else { return .busy }
            runsSuspects = !suspects.isEmpty
            if runsSuspects {
                bisection.takeGroup(from: &suspects).forEach(submit)
                return .busy
            }
        }
        // While results cannot be written, no more jobs are claimed, so that results do not pile up.
        guard !writer.outcome.isWaitingForStore else { return .busy }
        let room = replicas.room
        guard room > 0 else { return .busy }
        if inFlight.putBackCount != seenPutBacks {
            seenPutBacks = inFlight.putBackCount
            queue.invalidate()
        }
        let batch: ClaimableBatch
        switch try queue.next(loaded: turn) {
        case .nothing: return drains ? .none : .busy
        case .later: return .busy
        case .batch(let next): batch = next
        }
        guard batch.model == nil || batch.model == turn.model else { return .none }
        let claimed = try queue.claim(room, of: batch)
        failpoint("session.claimed")
        for job in claimed {
            if job.crashes > 0 { suspects.append(job) } else { submit(job) }
        }
        bisection.sort(&suspects)
        return .claimed
    }

    /// The key of a job's request: a job is submitted once at a time, so the job's number serves.
    private func id(of ticket: ClaimTicket) -> RequestID { replicas.id(Int(ticket.job.rawValue)) }

    private func submit(_ job: ClaimedJob) {
        let id = id(of: job.ticket)
        do throws(UnfitRequest) {
            let request = try prepare(job)
            let replica = inFlight.add(id, job.ticket, sequences: request.sequenceCount)
            // The writer must know the job before the engine's first report on it.
            writer.mailbox.send(.admitted(id, job.ticket, request, created: job.created))
            replicas.run(id, request, on: replica)
        } catch {
            inFlight.add(id, job.ticket)
            let error = JobError(
                code: "invalid_request", message: error.description, status: 400, param: error.param)
            writer.mailbox.send(.unfit(id, job.ticket, error))
        }
    }

    /// Gives back what a claim took whose answer was lost. What else is claimed the writer knows, and this session its suspects.
    private mutating func settleClaims() throws(JobStoreError) {
        guard let held = try queue.claimsToSettle() else { return }
        let known = Set(suspects.map(\.ticket))
        writer.mailbox.send(.held(held.filter { !known.contains($0) }))
    }

    /// Stops the jobs of cancelled batches.
    private mutating func dropRevoked() throws(JobStoreError) {
        let version = try queue.store.dataVersion()
        guard version != seenVersion else { return }
        let revoked = Set(try queue.revoked(among: inFlight.all + suspects.map(\.ticket)))
        seenVersion = version
        suspects.removeAll { revoked.contains($0.ticket) }
        for ticket in revoked {
            let id = id(of: ticket)
            replicas.cancel(id)
            writer.mailbox.send(.revoked(id))
        }
    }
}
