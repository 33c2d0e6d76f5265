// The thread behind the engine: tokens become texts, texts become results, results are committed in groups.

import Foundation
import JobStore
import Logging
import TTEngine
import TTPlatform
import Tokenizer

/// What the writer is told.
enum WriterMessage: Sendable {
    /// A job is about to go to the engine.
    case admitted(PreparedJob)
    /// A job that cannot run.
    case unfit(ClaimTicket, JobError)
    /// A job whose result nobody wants any more.
    case revoked(ClaimTicket)
    /// The engine thread's news.
    case engine(EngineReport)
    /// Commit what there is, and end.
    case end
}

/// How a session's engine ended, if it was not told to.
struct EngineFailure: Sendable {
    /// What happened.
    let description: String
}

/// Writes the results of one session. Its own thread runs `run()`; others talk to it through `mailbox`.
///
/// The device never waits for this thread. A job leaves `inFlight` when its result is committed or on its way there.
final class ResultWriter: @unchecked Sendable {
    /// Where the session's threads send what they know.
    let mailbox = Mailbox<WriterMessage>()

    private let store: any JobStore
    private let incarnation: Incarnation
    private let inFlight: InFlight
    private let settings: DaemonSettings
    private let detokenizer: @Sendable () -> Detokenizer
    private let clock: DaemonClock
    private let log: Logger
    private let ended = DispatchSemaphore(value: 0)

    // Only the writer's thread uses these.
    private var stop: (ClaimTicket) -> Void = { _ in }
    private var jobs: [ClaimTicket: JobInProgress] = [:]
    private var group: [JobCompletion] = []
    private var groupDue: Milliseconds?
    private var metrics: MetricsRecorder
    private var isEnding = false

    private let outcome = NSLock()
    private var engineFailure: EngineFailure?
    private var storeFailure: JobStoreError?
    private var finishedJobs = 0

    init(
        store: any JobStore, incarnation: Incarnation, inFlight: InFlight, settings: DaemonSettings,
        detokenizer: @escaping @Sendable () -> Detokenizer, clock: DaemonClock, log: Logger
    ) {
        self.store = store
        self.incarnation = incarnation
        self.inFlight = inFlight
        self.settings = settings
        self.detokenizer = detokenizer
        self.clock = clock
        self.log = log
        metrics = MetricsRecorder(
            incarnation: incarnation, lengthMS: settings.metricsIntervalMS, start: clock.now)
    }

    /// The device fault that ended the engine, if one did.
    var failureOfEngine: EngineFailure? { outcome.withLock { engineFailure } }

    /// The error for which nothing more can be written.
    var failureOfStore: JobStoreError? { outcome.withLock { storeFailure } }

    /// Jobs of this session whose end was committed.
    var finishedCount: Int { outcome.withLock { finishedJobs } }

    /// Starts the thread; `stop` tells the engine that a job needs no more tokens.
    func start(stop: @escaping @Sendable (ClaimTicket) -> Void) {
        self.stop = stop
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
        while true {
            let wake = min(groupDue ?? metrics.due, metrics.due)
            let wait = max(0, Double(wake - clock.now) / 1000)
            for message in mailbox.receive(until: Date(timeIntervalSinceNow: isEnding ? min(wait, 0.05) : wait)) {
                take(message)
            }
            let now = clock.now
            if isEnding || group.count >= settings.commitGroupSize || (groupDue.map { $0 <= now } ?? false) {
                commit(at: now)
            }
            if isEnding || metrics.due <= now { recordMetrics(at: now) }
            if isEnding, group.isEmpty || failureOfStore != nil { return }
        }
    }

    private func take(_ message: WriterMessage) {
        switch message {
        case .admitted(let job): jobs[job.ticket] = JobInProgress(job, detokenizer: detokenizer())
        case .unfit(let ticket, let error): fail(ticket, error)
        case .revoked(let ticket):
            jobs[ticket] = nil
            inFlight.remove([ticket])
        case .engine(.refused(let ticket, let refusal)):
            fail(ticket, JobError(code: refusal.code, message: refusal.description, status: 400))
        case .engine(.step(let step)): take(step)
        case .engine(.putBack(let tickets)): release(tickets, because: .stopping)
        case .engine(.fault(let fault, let tickets)):
            log.error("\(fault)")
            release(tickets, because: .crash(maxCrashes: settings.maxCrashes))
            outcome.withLock { engineFailure = EngineFailure(description: fault.description) }
            inFlight.nudge()
        case .end: isEnding = true
        }
    }
}

// MARK: - Results

extension ResultWriter {
    private func take(_ step: TimedStep) {
        metrics.count(step)
        for (ticket, event) in step.events {
            // A job that has ended by its text may get tokens until the engine hears of it.
            guard jobs[ticket] != nil else { continue }
            switch event {
            case .token(let token):
                if jobs[ticket]!.take(token, isText: true, in: step) {
                    stop(ticket)
                    succeed(ticket, finishReason: "stop")
                }
            case .stopToken(let token): _ = jobs[ticket]!.take(token, isText: false, in: step)
            case .finished(.stop): succeed(ticket, finishReason: "stop")
            case .finished(.length): succeed(ticket, finishReason: "length")
            }
        }
    }

    private func succeed(_ ticket: ClaimTicket, finishReason: String) {
        guard var job = jobs.removeValue(forKey: ticket) else { return }
        add(job.completion(finishReason: finishReason, at: clock.now))
    }

    private func fail(_ ticket: ClaimTicket, _ error: JobError) {
        jobs[ticket] = nil
        add(JobCompletion(ticket: ticket, outcome: .failed(error)))
    }

    private func add(_ completion: JobCompletion) {
        group.append(completion)
        metrics.count(finished: completion)
        if groupDue == nil { groupDue = Milliseconds(rawValue: clock.now.rawValue + settings.commitIntervalMS) }
        inFlight.remove([completion.ticket])
    }

    private func release(_ tickets: [ClaimTicket], because reason: ReleaseReason) {
        for ticket in tickets { jobs[ticket] = nil }
        // What has a result already is not put back.
        let finished = Set(group.map(\.ticket))
        attempt("put jobs back") { () throws(JobStoreError) in
            _ = try store.release(
                tickets.filter { !finished.contains($0) }, incarnation: incarnation, because: reason, at: clock.now)
        }
        inFlight.remove(tickets)
    }
}

// MARK: - The store

extension ResultWriter {
    private func commit(at now: Milliseconds) {
        guard !group.isEmpty else { return }
        do throws(JobStoreError) {
            let report = try store.finish(group, incarnation: incarnation, at: now)
            outcome.withLock { finishedJobs += report.finished }
            if !report.stale.isEmpty { log.info("\(report.stale.count) results came after their jobs were cancelled") }
            for batch in report.closedBatches { log.info("\(batch) has ended") }
            group.removeAll(keepingCapacity: true)
            groupDue = nil
            try store.maintain()
        } catch {
            // A full disk or a busy database passes; the results wait here until it does. Nothing is lost or failed.
            if error.isTemporary, !isEnding {
                log.error("results cannot be written at the moment, trying again: \(error)")
                groupDue = Milliseconds(rawValue: now.rawValue + 1000)
            } else {
                failStore(error)
            }
        }
    }

    private func recordMetrics(at now: Milliseconds) {
        attempt("record metrics") { () throws(JobStoreError) in
            let depth = try store.systemStatus().pendingJobs
            if let interval = metrics.close(at: now, queueDepth: depth) { try store.record(interval) }
        }
    }

    private func attempt(_ what: String, _ body: () throws(JobStoreError) -> Void) {
        do throws(JobStoreError) {
            try body()
        } catch {
            log.error("could not \(what): \(error)")
            if !error.isTemporary { failStore(error) }
        }
    }

    private func failStore(_ error: JobStoreError) {
        outcome.withLock { storeFailure = error }
        inFlight.nudge()
    }
}
