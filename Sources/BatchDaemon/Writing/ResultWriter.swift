// The thread behind the engine: tokens become texts, texts become results, results are committed in groups.

import Failpoints
import Foundation
import JobStore
import Logging
import TTEngine
import TTPlatform
import TTWorker
import Tokenizer

/// What the writer is told.
enum WriterMessage: Sendable {
    /// A job is about to go to the engine.
    case admitted(PreparedJob)
    /// A job that cannot run.
    case unfit(ClaimTicket, JobError)
    /// A job whose result nobody wants any more.
    case revoked(ClaimTicket)
    /// The news of a replica's engine thread.
    case engine(EngineReport, of: Replica)
    /// Jobs that no engine has seen: they go back.
    case unseen([ClaimTicket])
    /// Commit what there is, and end.
    case end
}

/// How an engine of a session ended, if it was not told to.
package struct EngineFailure: Sendable, CustomStringConvertible {
    /// What happened.
    let fault: DeviceFault
    /// The replica whose engine it was; the only one where nothing is given.
    var replica = Replica.only

    /// One line for a person.
    package var description: String { "\(replica.prefix)\(fault)" }
}

/// Writes the results of one session. Its own thread runs `run()`; others talk to it through `mailbox`.
///
/// The device never waits for this thread. A job leaves `inFlight` when its result is on its way to the store. While a
/// disk is full or the database is busy, everything waits here and is tried again: nothing is lost or failed.
final class ResultWriter: @unchecked Sendable {
    /// Where the session's threads send what they know.
    let mailbox = Mailbox<WriterMessage>()

    private let store: any JobStore
    private let incarnation: Incarnation
    private let inFlight: InFlight
    private let settings: DaemonSettings
    private let stop: StopSignal
    private let suspicion: Suspicion
    private let detokenizer: @Sendable () -> Detokenizer
    private let clock: DaemonClock
    private let log: Logger
    private let ended = DispatchSemaphore(value: 0)

    // Only the writer's thread uses these.
    private var stopEngine: (ClaimTicket) -> Void = { _ in }
    private var jobs: [ClaimTicket: JobInProgress] = [:]
    private var group: [JobCompletion] = []
    /// By the steady clock, as the other times here.
    private var groupDue: Int64?
    private var releases: [(tickets: [ClaimTicket], reason: ReleaseReason)] = []
    private var metrics: MetricsRecorder
    private var metricsDue: Int64
    private var progress = ProgressMeter()
    /// When to say again how far things are; nil while nothing is in flight and nothing was said.
    private var progressDue: Int64?
    private var intervals: [MetricsInterval] = []
    private var trouble: StoreTrouble
    private var retryDue: Int64?
    private var isEnding = false

    private let outcome = NSLock()
    private var engineFailure: EngineFailure?
    private var storeFailure: JobStoreError?
    private var finishedJobs = 0
    private var culprits = 0
    private var isWaitingForStore = false

    init(
        store: any JobStore, incarnation: Incarnation, inFlight: InFlight, settings: DaemonSettings, stop: StopSignal,
        suspicion: Suspicion, detokenizer: @escaping @Sendable () -> Detokenizer, clock: DaemonClock, log: Logger
    ) {
        self.store = store
        self.incarnation = incarnation
        self.inFlight = inFlight
        self.settings = settings
        self.stop = stop
        self.suspicion = suspicion
        self.detokenizer = detokenizer
        self.clock = clock
        self.log = log
        metrics = MetricsRecorder(incarnation: incarnation, start: clock.now)
        metricsDue = clock.steady + settings.metricsIntervalMS
        trouble = StoreTrouble(consequence: "results wait in memory", log: log)
    }

    /// The device fault that ended an engine, if one did; the last where there were several.
    var failureOfEngine: EngineFailure? { outcome.withLock { engineFailure } }

    /// The error for which nothing more can be written.
    var failureOfStore: JobStoreError? { outcome.withLock { storeFailure } }

    /// Jobs of this session whose end was committed.
    var finishedCount: Int { outcome.withLock { finishedJobs } }

    /// Jobs that were failed because they were in flight at too many crashes.
    var culpritCount: Int { outcome.withLock { culprits } }

    /// Results wait in memory, because the store is out of order for the moment.
    var isBlocked: Bool { outcome.withLock { isWaitingForStore } }

    /// Tells a job's engine that it needs no more tokens; to be set before anything is written.
    func setStopEngine(_ stopEngine: @escaping @Sendable (ClaimTicket) -> Void) {
        self.stopEngine = stopEngine
    }

    /// Starts the thread.
    func start() {
        let thread = Thread { [self] in
            run()
            ended.signal()
        }
        thread.name = "writer"
        thread.start()
    }

    /// Commits what there is and waits for the thread's end.
    func end() {
        mailbox.send(.end)
        ended.wait()
    }

    private func run() {
        while hasMore { turn(mailbox.receiveWaiting(atMost: .milliseconds(patienceMS))) }
    }

    /// Whether the writer has not been told to end, or has something left to write.
    var hasMore: Bool { !isEnding || hasUnwritten }

    /// Takes messages, and writes what is due.
    func turn(_ messages: [WriterMessage]) {
        for message in messages { take(message) }
        if let retryDue, retryDue > clock.steady { return }
        write()
    }

    /// How long to wait for a message before there is something else to do.
    private var patienceMS: Int64 {
        if let retryDue { return max(0, retryDue - clock.steady) }
        if isEnding { return 0 }
        let due = [groupDue, progressDue].reduce(metricsDue) { min($0, $1 ?? $0) }
        return max(0, due - clock.steady)
    }

    private func take(_ message: WriterMessage) {
        switch message {
        case .admitted(let job):
            jobs[job.ticket] = JobInProgress(job, detokenizer: detokenizer())
            progress.noteBegin(job.ticket.batch, steady: clock.steady)
        case .unfit(let ticket, let error): fail(ticket, error)
        case .revoked(let ticket):
            forget(ticket)
            inFlight.remove([ticket])
        case .engine(.refused(let ticket, let refusal), _):
            fail(
                ticket,
                JobError(
                    code: refusal.code, message: refusal.description, status: 400,
                    param: jobs[ticket]?.field(of: refusal)))
        case .engine(.step(let step), let replica): take(step, of: replica)
        case .engine(.putBack(let tickets), _), .unseen(let tickets): release(tickets, because: .stopping)
        case .engine(.fault(let fault, let tickets), let replica):
            let failure = EngineFailure(fault: fault, replica: replica)
            log.error("\(failure)")
            // What fails under any job is no job's fault.
            let (blamed, others) = fault.cause == .device ? suspicion.note(faultUnder: tickets) : ([], tickets)
            release(
                blamed,
                because: .crash(
                    maxCrashes: settings.maxCrashes, backoff: settings.backoff, because: fault.description))
            release(others, because: .stopping)
            outcome.withLock { engineFailure = failure }
            inFlight.nudge()
        case .end: isEnding = true
        }
    }
}

// MARK: - Results

extension ResultWriter {
    private func take(_ step: TimedStep, of replica: Replica) {
        metrics.count(step, of: replica)
        for (ticket, event) in step.events {
            // A job that has ended by its text may get tokens until the engine hears of it.
            guard jobs[ticket] != nil else { continue }
            switch event {
            case .cached(let count): jobs[ticket]!.noteCached(count)
            case .preempted: jobs[ticket]!.notePreempted()
            case .token(let token):
                if jobs[ticket]!.take(token, isText: true, in: step) {
                    stopEngine(ticket)
                    succeed(ticket, nil)
                }
            case .stopToken(let token): _ = jobs[ticket]!.take(token, isText: false, in: step)
            case .finished(let reason): succeed(ticket, reason)
            case .badOutput(let bad):
                log.error("\(ticket.job) of \(ticket.batch) got \(bad.reason)")
                release(
                    [ticket],
                    because: .badOutput(
                        maxBadOutputs: settings.maxBadOutputs, backoff: settings.backoff, because: bad.reason))
            }
        }
    }

    private func succeed(_ ticket: ClaimTicket, _ reason: FinishReason?) {
        guard var job = forget(ticket) else { return }
        add(job.completion(reason, at: clock.now))
    }

    /// Takes a job out of the books of those in flight.
    @discardableResult
    private func forget(_ ticket: ClaimTicket) -> JobInProgress? {
        guard let job = jobs.removeValue(forKey: ticket) else { return nil }
        progress.noteEnd(ticket.batch, tokens: job.generatedTokens)
        return job
    }

    private func fail(_ ticket: ClaimTicket, _ error: JobError) {
        forget(ticket)
        add(JobCompletion(ticket: ticket, outcome: .failed(error)))
    }

    private func add(_ completion: JobCompletion) {
        failpoint("writer.ended")
        group.append(completion)
        metrics.count(finished: completion)
        if groupDue == nil { groupDue = clock.steady + settings.commitIntervalMS }
        inFlight.remove([completion.ticket])
    }

    private func release(_ tickets: [ClaimTicket], because reason: ReleaseReason) {
        for ticket in tickets { forget(ticket) }
        // What has a result already is not put back.
        let finished = Set(group.map(\.ticket))
        let unfinished = tickets.filter { !finished.contains($0) }
        if !unfinished.isEmpty { releases.append((unfinished, reason)) }
    }
}

// MARK: - The store

extension ResultWriter {
    private var hasUnwritten: Bool { !group.isEmpty || !releases.isEmpty || !intervals.isEmpty || !metrics.isIdle }

    /// Writes what is due; after trouble, and at the end, everything.
    private func write() {
        guard storeFailure == nil else { return discard() }
        do throws(JobStoreError) {
            let everything = isEnding || retryDue != nil
            if everything || group.count >= settings.commitGroupSize || isOver(groupDue) { try commit() }
            try putBack()
            if isEnding || isOver(metricsDue) { try endInterval() }
            while let interval = intervals.first {
                try store.record(interval)
                intervals.removeFirst()
            }
            if retryDue != nil { resume() }
            trouble.isOver()
        } catch {
            return meet(error)
        }
        tellProgress()
    }

    /// Says how far the batches in flight are. Nobody's work depends on it, so it is not tried again where it fails.
    private func tellProgress() {
        if progressDue == nil, !jobs.isEmpty { progressDue = clock.steady + ProgressMeter.firstMS }
        guard isOver(progressDue), !isEnding else { return }
        let measured = progress.measure(jobs.values, uncommitted: group, steady: clock.steady, now: clock.now)
        progressDue = measured.isEmpty ? nil : clock.steady + ProgressMeter.intervalMS
        try? store.record(measured, incarnation: incarnation)
    }

    private func isOver(_ due: Int64?) -> Bool { due.map { $0 <= clock.steady } ?? false }

    private func commit() throws(JobStoreError) {
        guard !group.isEmpty else { return }
        let report = try store.finish(group, incarnation: incarnation, at: clock.now)
        group.removeAll(keepingCapacity: true)
        groupDue = nil
        outcome.withLock { finishedJobs += report.finished }
        if !report.stale.isEmpty { log.info("\(report.stale.count) results came after their jobs were cancelled") }
        failpoint("writer.committed")
        tell(report.closedBatches)
    }

    private func putBack() throws(JobStoreError) {
        while let release = releases.first {
            let report = try store.release(
                release.tickets, incarnation: incarnation, because: release.reason, at: clock.now)
            releases.removeFirst()
            inFlight.removePutBack(release.tickets)
            outcome.withLock { culprits += report.failed }
            if report.failed > 0 {
                log.error("\(report.failed) jobs have failed after their last attempt; see `ttbatch show`")
            }
            tell(report.closedBatches)
        }
    }

    private func tell(_ closedBatches: [BatchID]) {
        for batch in closedBatches { log.info("\(batch) has ended") }
    }

    private func endInterval() throws(JobStoreError) {
        let depth = metrics.isIdle ? 0 : try store.systemStatus().pendingJobs
        if let interval = metrics.close(at: clock.now, queueDepth: depth) { intervals.append(interval) }
        metricsDue = clock.steady + settings.metricsIntervalMS
    }

    private func meet(_ error: JobStoreError) {
        do throws(JobStoreError) {
            try trouble.note(error)
            // Giving up is safe: the jobs are still this incarnation's and go back to the queue. So somebody who wants the
            // daemon to stop does not wait for a full disk longer than for running jobs.
            guard isEnding, stop.isGraceOver(.milliseconds(settings.graceMS)) else {
                retryDue = clock.steady + settings.storeRetryMS
                outcome.withLock { isWaitingForStore = true }
                return
            }
        } catch {
            // It will not pass: that is giving up, too.
        }
        if !group.isEmpty || !releases.isEmpty {
            log.error(
                """
                \(group.count) results could not be written (\(error)); their jobs, and those in flight, run again with \
                the next start
                """)
        }
        outcome.withLock { storeFailure = error }
        discard()
        inFlight.nudge()
    }

    /// What waited has been written.
    private func resume() {
        retryDue = nil
        outcome.withLock { isWaitingForStore = false }
        inFlight.nudge()
    }

    /// After the store has failed for good.
    private func discard() {
        group = []
        groupDue = nil
        inFlight.remove(releases.flatMap(\.tickets))
        releases = []
        intervals = []
        metrics = MetricsRecorder(incarnation: incarnation, start: clock.now)
        metricsDue = clock.steady + settings.metricsIntervalMS
        retryDue = nil
    }
}
