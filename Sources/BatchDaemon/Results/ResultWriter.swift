// The writer thread: receives the engines' reports and writes results, metrics and progress.

import Engine
import Failpoints
import Foundation
import Logging
import Platform
import Prompts
import Runtime
import Serving
import Settings
import StoreContract

/// A message to the writer.
enum WriterMessage: Sendable {
    /// A job is about to be submitted to an engine.
    case admitted(RequestID, ClaimTicket, PreparedRequest, created: Milliseconds)
    /// A job that cannot run.
    case unfit(RequestID, ClaimTicket, JobError)
    /// A job whose result is no longer needed.
    case revoked(RequestID)
    /// The report of a replica's engine.
    case engine(EngineReport, of: Replica)
    /// Jobs that no engine has seen, submitted or not; they are requeued.
    case unseen([RequestID], [ClaimTicket])
    /// What this life had claimed when it was unsure of that; those that nobody was told of are requeued.
    case held([ClaimTicket])
    /// Commit everything and end.
    case end
}

/// Writes the results of one session. Its own thread runs `run()`; other threads send messages through `mailbox`.
///
/// The device never waits for this thread. A job is no longer in flight once its result waits to be written. While a
/// disk is full or the database is busy, results wait here and the write is retried: no job is lost or failed.
final class ResultWriter: @unchecked Sendable {
    /// Receives the messages of the session's threads.
    let mailbox: Mailbox<WriterMessage>

    private let queue: WorkQueue
    private let replicas: Replicas<ClaimTicket>
    private let settings: DaemonSettings
    private let stop: StopSignal
    private let bisection: Bisection
    private let begin: @Sendable (PreparedRequest) -> RequestInProgress
    /// What makes the results; nil if that is not known.
    private let system: SystemRecord?
    private let jobMetrics: JobMetrics
    private let clock: TimeSource
    private let log: Logger
    private let ended = DispatchSemaphore(value: 0)
    private let lock = NSLock()
    private var sharedOutcome = SessionOutcome()

    // Used by the writer's thread only.
    private var jobs: [RequestID: JobInProgress] = [:]
    /// Whether the store has `system`.
    private var isRecorded = false
    private var pending: PendingWrites
    private var metrics: MetricsJournal
    private var progress = ProgressReporter()
    private var backoff: StoreBackoff
    /// When to retry after an error of the store, by the steady clock.
    private var retryDue: Int64?
    private var isEnding = false

    init(
        _ mailbox: Mailbox<WriterMessage>, _ queue: WorkQueue, _ replicas: Replicas<ClaimTicket>,
        settings: DaemonSettings, stop: StopSignal, bisection: Bisection,
        begin: @escaping @Sendable (PreparedRequest) -> RequestInProgress,
        by system: SystemRecord?, counting jobMetrics: JobMetrics, clock: TimeSource, log: Logger
    ) {
        self.mailbox = mailbox
        self.queue = queue
        self.replicas = replicas
        self.settings = settings
        self.stop = stop
        self.bisection = bisection
        self.begin = begin
        self.system = system
        self.jobMetrics = jobMetrics
        pending = PendingWrites(counting: jobMetrics)
        self.clock = clock
        self.log = log
        metrics = MetricsJournal(queue.incarnation, settings, clock)
        backoff = StoreBackoff(consequence: "results wait in memory", log: log)
    }

    /// The outcome of the session so far.
    var outcome: SessionOutcome { lock.withLock { sharedOutcome } }

    private func change(_ body: (inout SessionOutcome) -> Void) { lock.withLock { body(&sharedOutcome) } }

    /// Starts the thread.
    func start() {
        DetachedThread.start("writer") { [self] in
            run()
            ended.signal()
        }
    }

    /// Makes the thread commit everything and waits for its end.
    func end() {
        mailbox.send(.end)
        ended.wait()
    }

    private func run() {
        while hasMore { poll(mailbox.receiveWaiting(atMost: .milliseconds(patienceMS))) }
    }

    /// Whether the writer is not ending yet, or has writes left.
    var hasMore: Bool { !isEnding || !pending.isEmpty || metrics.hasUnwritten }

    /// Handles messages and writes what is due.
    func poll(_ messages: [WriterMessage]) {
        for message in messages { take(message) }
        if let retryDue, retryDue > clock.steady { return }
        write()
    }

    /// Milliseconds to wait for a message before something else is due.
    private var patienceMS: Int64 {
        if let retryDue { return max(0, retryDue - clock.steady) }
        if isEnding { return 0 }
        let due = [pending.due, progress.due].reduce(metrics.due) { min($0, $1 ?? $0) }
        return max(0, due - clock.steady)
    }
}

// MARK: - Messages

extension ResultWriter {
    private func take(_ message: WriterMessage) {
        switch message {
        case .admitted(let id, let ticket, let request, let created):
            jobs[id] = JobInProgress(ticket: ticket, created: created, progress: begin(request))
            progress.meter.noteBegin(ticket.batch, steady: clock.steady)
        case .unfit(let id, let ticket, let error): fail(id, ticket, error)
        case .revoked(let id):
            forget(id)
            replicas.inFlight.remove([id])
        case .engine(let report, let replica): take(report, of: replica)
        case .unseen(let ids, let tickets):
            release(ids, because: .stopping)
            pending.release([], tickets, because: .stopping)
        case .held(let tickets):
            let known = pending.tickets.union(jobs.values.map(\.ticket))
            let unknown = tickets.filter { !known.contains($0) }
            if !unknown.isEmpty {
                log.warning(
                    "\(unknown.count) jobs are put back: the store says that this daemon has them, and it does not")
            }
            pending.release([], unknown, because: .stopping)
        case .end: isEnding = true
        }
    }

    private func take(_ report: EngineReport, of replica: Replica) {
        switch report {
        case .refused(let id, let refusal):
            guard let job = jobs[id] else { return }
            fail(
                id, job.ticket,
                JobError(
                    code: refusal.code, message: refusal.description, status: 400, param: job.field(of: refusal)))
        case .step(let step): take(step, of: replica)
        case .putBack(let ids): release(requests(of: ids), because: .stopping)
        case .fault(let fault, let ids): take(fault, under: requests(of: ids), of: replica)
        }
    }

    /// The requests of sequences, each once.
    private func requests(of sequences: [RequestID]) -> [RequestID] {
        var seen: Set<RequestID> = []
        return sequences.map { $0.sequence(0) }.filter { seen.insert($0).inserted }
    }

    private func take(_ fault: DeviceFault, under ids: [RequestID], of replica: Replica) {
        let failure = EngineFailure(fault: fault, replica: replica)
        log.error("\(failure)")
        // A fault of the model or the settings would happen with any job, so no job is blamed.
        let blamed = fault.cause == .device ? bisection.note(faultUnder: ids.map { JobID($0) }) : []
        release(
            ids.filter { blamed.contains(JobID($0)) },
            because: .crash(maxCrashes: settings.maxCrashes, backoff: settings.backoff, because: fault.description))
        release(ids.filter { !blamed.contains(JobID($0)) }, because: .stopping)
        change { $0.engineFailure = failure }
        replicas.inFlight.nudge()
    }

    private func take(_ step: EngineStep, of replica: Replica) {
        metrics.recorder.count(step, of: replica)
        for id in step.report.preempted { jobs[id.sequence(0)]?.progress.notePreempted(id) }
        for update in step.report.updates {
            let id = update.id.sequence(0)
            // A job that has ended may get tokens until the engine has handled the cancel command.
            let end = jobs[id]?.progress.take(update, in: step) { replicas.cancel(sequence: $0) }
            switch end {
            case nil, .goesOn: break
            case .ended: succeed(id)
            case .noToken(let reason):
                replicas.cancel(id)
                fail(id, jobs[id]!.ticket, jobs[id]!.noTokenError(reason))
            case .bad(let bad):
                let ticket = jobs[id]!.ticket
                log.error("\(ticket.job) of \(ticket.batch) got \(bad.reason)")
                replicas.cancel(id)
                release(
                    [id],
                    because: .badOutput(
                        maxBadOutputs: settings.maxBadOutputs, backoff: settings.backoff, because: bad.reason))
            }
        }
    }

    private func succeed(_ id: RequestID) {
        guard var job = forget(id) else { return }
        add(job.completion(by: system, at: clock.now), id)
    }

    private func fail(_ id: RequestID, _ ticket: ClaimTicket, _ error: JobError) {
        forget(id)
        add(JobCompletion(ticket: ticket, outcome: .failed(error)), id)
    }

    private func add(_ completion: JobCompletion, _ id: RequestID) {
        failpoint("writer.ended")
        pending.add(completion, due: clock.steady + settings.commitIntervalMS)
        metrics.recorder.count(finished: completion)
        replicas.inFlight.remove([id])
    }

    /// Requeues the jobs that have no result yet.
    private func release(_ ids: [RequestID], because reason: ReleaseReason) {
        let unfinished = ids.filter { jobs[$0] != nil }
        pending.release(unfinished, unfinished.compactMap { forget($0)?.ticket }, because: reason)
    }

    /// Removes a job from those in flight.
    @discardableResult
    private func forget(_ id: RequestID) -> JobInProgress? {
        guard let job = jobs.removeValue(forKey: id) else { return nil }
        progress.meter.noteEnd(job.ticket.batch, tokens: job.progress.tokenCount)
        return job
    }
}

// MARK: - The store

extension ResultWriter {
    /// Writes what is due; after an error and at the end, writes everything.
    private func write() {
        guard outcome.storeFailure == nil else { return discard() }
        do throws(JobStoreError) {
            let everything = isEnding || retryDue != nil
            if everything || pending.completions.count >= settings.commitGroupSize || isOver(pending.due) {
                if let system, !isRecorded, !pending.completions.isEmpty {
                    try queue.store.record(system)
                    isRecorded = true
                }
                let finished = try pending.commit(to: queue, log)
                change { $0.finished += finished }
            }
            while let release = try pending.putBackFirst(to: queue, log) {
                replicas.inFlight.removePutBack(release.ids)
                change { $0.failedSuspects += release.failed }
            }
            try metrics.write(to: queue.store, isEnding: isEnding)
            if retryDue != nil { resume() }
            backoff.reset()
        } catch {
            return meet(error)
        }
        if !isEnding { progress.report(jobs.values, uncommitted: pending.completions, to: queue) }
    }

    private func isOver(_ due: Int64?) -> Bool { due.map { $0 <= clock.steady } ?? false }

    private func meet(_ error: JobStoreError) {
        do throws(JobStoreError) {
            try backoff.note(error)
            // Giving up is safe: the jobs still belong to this incarnation and will be requeued. So a stopping daemon
            // waits no longer for a full disk than for running jobs.
            guard isEnding, stop.isGraceOver(.milliseconds(settings.graceMS)) else {
                retryDue = clock.steady + settings.storeRetryMS
                change { $0.isWaitingForStore = true }
                return
            }
        } catch {
            // The error is permanent: give up.
        }
        if !pending.isEmpty {
            log.error(
                """
                \(pending.completions.count) results could not be written (\(error)); their jobs, and those in flight, run \
                again with the next start
                """)
        }
        change { $0.storeFailure = error }
        discard()
        replicas.inFlight.nudge()
    }

    /// Resumes claiming after the pending writes have succeeded.
    private func resume() {
        retryDue = nil
        change { $0.isWaitingForStore = false }
        replicas.inFlight.nudge()
    }

    /// Drops all pending writes after a permanent failure of the store.
    private func discard() {
        replicas.inFlight.remove(pending.putBackIDs)
        pending = PendingWrites(counting: jobMetrics)
        metrics = MetricsJournal(queue.incarnation, settings, clock)
        retryDue = nil
    }
}

extension JobID {
    /// The job of a request.
    fileprivate init(_ id: RequestID) { self.init(rawValue: Int64(id.number)) }
}
