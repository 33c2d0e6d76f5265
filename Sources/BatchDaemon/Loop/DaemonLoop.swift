// What a daemon does between sessions: chooses the next batch, decides when to wait or to give up. It has no threads
// and does not wait itself.

package import Logging
import Platform
package import Runtime
package import Settings
package import StoreContract

/// Why a daemon could not continue.
public enum DaemonError: Error, CustomStringConvertible {
    /// The device failed several times in a row without finishing a job.
    case deviceKeepsFailing(times: Int, last: String)
    /// The device or its model refused a step, and a retry would fail in the same way.
    case deviceRefuses(String)

    /// A one-line message.
    public var description: String {
        switch self {
        case .deviceKeepsFailing(let times, let last):
            "the device failed \(times) times in a row without finishing a job (\(last)); its jobs are back in the queue. "
                + "Check the device, then start the daemon again"
        case .deviceRefuses(let reason):
            "\(reason); its jobs are back in the queue. A retry would fail in the same way: correct the cause, then "
                + "start the daemon again"
        }
    }
}

/// The loop of one incarnation of the daemon.
package struct DaemonLoop {
    /// The next action.
    package enum Step {
        /// Run a session for this batch.
        case run(ClaimableBatch)
        /// Poll again after this number of milliseconds, or when another process has written.
        case wait(Int64)
        /// End: nothing is left to do, or a stop was requested.
        case end
        /// The life was declared dead: another one goes on.
        case lost
    }

    /// The queue, for sessions.
    let queue: WorkQueue
    /// The suspects of device faults in this incarnation.
    let bisection = Bisection()
    private let settings: DaemonSettings
    private let drains: Bool
    private let stop: StopSignal
    private let clock: TimeSource
    private let log: Logger
    private var backoff: StoreBackoff
    /// Number of device failures in a row without a finished job.
    private var failures = 0
    /// Claimed jobs of a batch that cannot run; their failure has not been written yet.
    private var refused: [JobCompletion] = []

    /// The loop of `life`.
    package init(
        store: any JobStore, life: Life, scope: WorkScope, settings: DaemonSettings, drains: Bool,
        stop: StopSignal, clock: TimeSource, log: Logger
    ) {
        queue = WorkQueue(
            store: store, life: life, scope: scope, modelTurnMS: settings.modelTurnMS, clock: clock, log: log)
        self.settings = settings
        self.drains = drains
        self.stop = stop
        self.clock = clock
        self.log = log
        backoff = StoreBackoff(consequence: "the daemon waits", log: log)
    }

    /// Polls the store once and returns the next action.
    ///
    /// - Throws: `JobStoreError` that is permanent.
    package mutating func poll() throws(JobStoreError) -> Step {
        guard stop.level == .none else { return .end }
        guard !queue.life.isLost else { return .lost }
        do throws(JobStoreError) {
            // Between sessions only those that wait for being failed are known.
            if let held = try queue.claimsToSettle() {
                let known = Set(refused.map(\.ticket))
                try queue.store.release(
                    held.filter { !known.contains($0) }, incarnation: queue.incarnation, because: .stopping,
                    at: clock.now)
            }
            // Whoever cancels may have died, or lost the store, half-way.
            for batch in try queue.store.completeCancellations(at: clock.now) {
                log.info("finished cancelling \(batch)")
            }
            let next = try queue.next()
            let isIdle = if case .batch = next { false } else { true }
            if isIdle { try queue.store.maintain() }
            let isOver = if drains, case .nothing = next { try !queue.othersHaveWork() } else { false }
            backoff.reset()
            return switch next {
            case .batch(let batch): .run(batch)
            case .nothing where isOver: .end
            case .nothing, .later: .wait(queue.patienceMS(atMost: settings.pollIntervalMS))
            }
        } catch {
            try backoff.note(error)
            return .wait(settings.storeRetryMS)
        }
    }

    /// Records how a session ended; returns the milliseconds to wait before the device is opened again.
    package mutating func note(_ end: SessionEnd) throws(DaemonError) -> Int64 {
        // Jobs may have been requeued, which the queue does not notice by itself.
        queue.invalidate()
        switch end {
        // A model's failure says nothing about the device.
        case .stopped, .lost, .modelFailed: return 0
        case .outOfWork:
            failures = 0
            return 0
        case .deviceFailed(let failure, _, _) where failure.fault.cause == .settings:
            throw .deviceRefuses(failure.description)
        case .deviceFailed(let failure, let finished, let failedSuspects):
            // A failure that was caused by a job does not count against the device. Bisection finds a job that always
            // makes the device fail before the limit is reached.
            if finished > 0 { failures = 0 }
            if failedSuspects == 0 { failures += 1 }
            if failures >= settings.maxDeviceFailures {
                throw .deviceKeepsFailing(times: failures, last: failure.description)
            }
            log.warning("opening the device again after \(failure.description)")
            return failures > 0 ? settings.backoff.delayMS(after: failures) : 0
        }
    }

}

// MARK: - Models that cannot be used

extension DaemonLoop {
    /// Records a failed attempt to use a batch's model, and postpones the batch with all others that wait for the same
    /// model.
    ///
    /// It may be repeated with the same `time`, that of the failure.
    ///
    /// Returns the error with which `failJobs` must fail its jobs if the refusal is permanent or this was the last
    /// attempt. Where other daemons may have the model, it is theirs to fail them.
    package func refuse(
        _ batch: BatchID, because refusal: ModelRefusal, at time: Milliseconds
    ) throws(JobStoreError) -> JobError? {
        let isForOthers = refusal.isMissing && queue.store.membership != nil
        let limit = isForOthers ? nil : refusal.mayPass ? settings.maxModelErrors : 1
        let times = try queue.store.postpone(
            batch, by: queue.incarnation, limit: limit, backoff: settings.backoff, because: refusal.reason, at: time)
        if let limit, times >= limit, let error = try self.refusal(of: batch, limit: limit) { return error }
        if times > 0 { log.error("\(batch) cannot run now: \(refusal.reason)") }
        return nil
    }

    /// The error with which a batch's jobs must fail without another attempt at its model: too many attempts in a row
    /// have failed already, for another batch or because loading killed the daemon.
    package func refusal(of batch: BatchID) throws(JobStoreError) -> JobError? {
        try refusal(of: batch, limit: settings.maxModelErrors)
    }

    private func refusal(of batch: BatchID, limit: Int) throws(JobStoreError) -> JobError? {
        try queue.store.unusableModel(of: batch, limit: limit).map { .modelUnavailable(times: $0.times, $0.reason) }
    }

    /// Fails some of a batch's jobs; must be called until it returns true.
    package mutating func failJobs(of batch: ClaimableBatch, _ error: JobError) throws(JobStoreError) -> Bool {
        if !refused.isEmpty {
            let report = try queue.store.finish(refused, incarnation: queue.incarnation, at: clock.now)
            JobMetrics().count(refused, report)
            refused = []
        }
        refused = try queue.claim(1000, of: batch).map { JobCompletion(ticket: $0.ticket, outcome: .failed(error)) }
        if refused.isEmpty, !queue.life.isLost {
            log.error(
                """
                \(batch.id) has failed: \(error.message). `ttbatch retry \(batch.id)` runs its prompts again \
                once that is corrected
                """)
        }
        return refused.isEmpty
    }

    /// Records a failed attempt for a model if the last incarnations of the daemon died while they loaded it. It may be repeated
    /// with the same `time`.
    package func blameLoading(_ configuredModel: String, at time: Milliseconds) throws(JobStoreError) {
        guard let killer = try queue.store.loadingThatKilled(before: queue.incarnation) else { return }
        let model = try queue.store.batch(killer).model ?? configuredModel
        let reason =
            "\(model): the daemon died while it loaded the model, and the time before as well; look into the system's log, "
            + "whether it had enough memory for instance"
        let times = try queue.store.postpone(
            killer, by: queue.incarnation, limit: settings.maxModelErrors, backoff: settings.backoff, because: reason,
            at: time)
        if times > 0 { log.error("\(killer) cannot run now: \(reason)") }
    }
}

extension JobError {
    /// The error of a job whose model could not be used.
    fileprivate static func modelUnavailable(times: Int, _ reason: String) -> JobError {
        JobError(
            code: modelUnavailable,
            message: times == 1
                ? reason : "the model could not be used \(times) times in a row, the last time: \(reason)",
            status: 503)
    }
}

extension DaemonSettings {
    /// The waits between retries.
    var backoff: Backoff { Backoff(firstMS: backoffMS, longestMS: maxBackoffMS) }
}
