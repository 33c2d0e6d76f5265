// The queue's use of a loaded model: jobs are claimed, prepared and submitted until there are no more for it.

import Failpoints
import Logging
import Platform
import Prompts
import Runtime
import Serving
import Settings
import StoreContract

/// Why a session has ended.
package enum SessionEnd {
    /// No job of its model is left and the daemon drains, or another model's turn has come.
    case outOfWork
    /// The daemon was asked to stop.
    case stopped
    /// The model failed, and not its device: its jobs are back in the queue, without blame.
    case modelFailed(EngineFailure)
    /// The device failed; its jobs are back in the queue. `finished` jobs of the session had ended before, and
    /// `failedSuspects` were failed because they had been in flight at too many such failures.
    case deviceFailed(EngineFailure, finished: Int, failedSuspects: Int)
}

/// Submits jobs to a model's replicas. It runs on the daemon's thread, beside the engines' threads and the writer's.
struct Session {
    private let turn: ModelTurn
    private let prepare: (ClaimedJob) throws(UnfitRequest) -> PreparedRequest
    private let settings: DaemonSettings
    private let stop: StopSignal
    private let drains: Bool
    private let replicas: Replicas<ClaimTicket>
    private let disconnect: () -> [RequestID]
    /// Writes down what comes of the jobs.
    let writer: ResultWriter
    private let queue: WorkQueue
    private let bisection: Bisection
    private var backoff: StoreBackoff
    /// Claimed jobs that were in flight when the daemon or its device failed: they run apart, so that they harm no other.
    private var suspects: [ClaimedJob] = []
    /// Suspects are in flight.
    private var runsSuspects = false
    private var seenVersion: Int64?
    private var seenPutBacks = 0
    private var inFlight: InFlight<ClaimTicket> { replicas.inFlight }

    /// A session on the model that `host` has loaded.
    init(
        model: ModelHost.Loaded, on host: ModelHost, _ loop: DaemonLoop, settings: DaemonSettings, stop: StopSignal,
        drains: Bool, clock: TimeSource, log: Logger
    ) {
        let preparer = model.preparer
        self.init(
            ModelTurn(model: model.name, since: clock.now), loop, settings: settings, stop: stop, drains: drains,
            clock: clock, log: log,
            newText: { [tokenizer = model.tokenizer] in GeneratedText(tokenizer, stopStrings: $0) },
            connect: { host.connect(to: model, sink: $0) },
            prepare: { job throws(UnfitRequest) in
                try preparer.prepare(
                    job.body, url: job.endpoint, enqueued: job.created,
                    seed: JobSeed.derived(customID: job.customID, line: job.line))
            })
    }

    /// A session on the engines that `connect` connects a sink to.
    init(
        _ turn: ModelTurn, _ loop: DaemonLoop, settings: DaemonSettings, stop: StopSignal, drains: Bool,
        clock: TimeSource, log: Logger, newText: @escaping @Sendable ([String]) -> GeneratedText,
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
            mailbox, queue, replicas, settings: settings, stop: stop, bisection: bisection, newText: newText,
            clock: clock, log: log)
        backoff = StoreBackoff(consequence: "no new jobs are taken meanwhile", log: log)
    }

    /// Claims and submits until the session is over; then everything is committed or put back.
    ///
    /// - Throws: `JobStoreError`: what will not pass, or a disk that was still full when the daemon had to stop.
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

    /// What a poll led to.
    enum Step {
        /// There may be more to do at once.
        case again
        /// Nothing to do before there is news, or these milliseconds have passed.
        case wait(Int64)
        /// Nothing is submitted any more.
        case over(SessionEnd)
    }

    /// Looks once at what there is to do, and does it.
    mutating func poll() throws(JobStoreError) -> Step {
        guard writer.outcome.engineFailure == nil, writer.outcome.storeFailure == nil else { return .over(.outOfWork) }
        if mustStop { return .over(.stopped) }
        do throws(JobStoreError) {
            try dropRevoked()
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

    /// Leaves the engines and ends the writer, in this order, so that all is committed or put back, and tells how the session
    /// ended.
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
                bisection.takeGroup(from: &suspects).forEach(submit)
                return .busy
            }
        }
        // Results that cannot be written pile up: no more are made until they can.
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

    private func submit(_ job: ClaimedJob) {
        let id = replicas.id(Int(job.ticket.job.rawValue))
        let replica = inFlight.add(id, job.ticket)
        do throws(UnfitRequest) {
            let request = try prepare(job)
            // The writer must know the job before the engine's first report of it.
            writer.mailbox.send(.admitted(id, job.ticket, request, created: job.created))
            replicas.run(
                ServingRequest(id: id, promptTokens: request.promptTokens, sampling: request.sampling), on: replica)
        } catch {
            let error = JobError(
                code: "invalid_request", message: error.description, status: 400, param: error.param)
            writer.mailbox.send(.unfit(id, job.ticket, error))
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
            let id = replicas.id(Int(ticket.job.rawValue))
            replicas.cancel(id)
            writer.mailbox.send(.revoked(id))
        }
    }
}
