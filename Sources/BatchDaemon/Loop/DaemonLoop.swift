// What a daemon does between sessions: which batch comes next, when to wait, when to give up. No threads, no waiting.

package import Logging
import Platform
package import Runtime
package import Settings
package import StoreContract

/// Why a daemon could not go on.
public enum DaemonError: Error, CustomStringConvertible {
    /// The device failed again and again without finishing a job in between.
    case deviceKeepsFailing(times: Int, last: String)
    /// The device or its model refused a step in a way that another try would not change.
    case deviceRefuses(String)

    /// One line for a person.
    public var description: String {
        switch self {
        case .deviceKeepsFailing(let times, let last):
            "the device failed \(times) times in a row without finishing a job (\(last)); its jobs are back in the queue. "
                + "Check the device, then start the daemon again"
        case .deviceRefuses(let reason):
            "\(reason); its jobs are back in the queue. Another try would end in the same way: mend the cause, then start the "
                + "daemon again"
        }
    }
}

/// The loop of one life of the daemon.
package struct DaemonLoop {
    /// What to do next.
    package enum Step {
        /// Run a session for this batch.
        case run(ClaimableBatch)
        /// Poll again after these milliseconds, or when another process has written.
        case wait(Int64)
        /// Nothing is left to do, or the daemon was asked to stop.
        case end
    }

    /// The queue, for sessions.
    let queue: WorkQueue
    /// The suspects of device faults in this life.
    let bisection = Bisection()
    private let settings: DaemonSettings
    private let drains: Bool
    private let stop: StopSignal
    private let clock: TimeSource
    private let log: Logger
    private var backoff: StoreBackoff
    /// Times in a row that the device has failed and nothing was finished in between.
    private var failures = 0
    /// Jobs of a batch that cannot run, which were claimed and whose end has not been written yet.
    private var refused: [JobCompletion] = []

    /// The loop of `incarnation`.
    package init(
        store: any JobStore, incarnation: Incarnation, scope: WorkScope, settings: DaemonSettings, drains: Bool,
        stop: StopSignal, clock: TimeSource, log: Logger
    ) {
        queue = WorkQueue(
            store: store, incarnation: incarnation, scope: scope, modelTurnMS: settings.modelTurnMS, clock: clock,
            log: log)
        self.settings = settings
        self.drains = drains
        self.stop = stop
        self.clock = clock
        self.log = log
        backoff = StoreBackoff(consequence: "the daemon waits", log: log)
    }

    /// Looks once at what comes next.
    ///
    /// - Throws: `JobStoreError` that will not pass.
    package mutating func poll() throws(JobStoreError) -> Step {
        guard stop.level == .none else { return .end }
        do throws(JobStoreError) {
            let next = try queue.next()
            let isIdle = if case .batch = next { false } else { true }
            if isIdle { try queue.store.maintain() }
            backoff.reset()
            return switch next {
            case .batch(let batch): .run(batch)
            case .nothing where drains: .end
            case .nothing, .later: .wait(queue.patienceMS(atMost: settings.pollIntervalMS))
            }
        } catch {
            try backoff.note(error)
            return .wait(settings.storeRetryMS)
        }
    }

    /// Notes how a session ended; returns for how many milliseconds the device is to be left alone.
    package mutating func note(_ end: SessionEnd) throws(DaemonError) -> Int64 {
        // Jobs may have been put back, which the queue would not see by itself.
        queue.invalidate()
        switch end {
        // A model's failure says nothing about the device.
        case .stopped, .modelFailed: return 0
        case .outOfWork:
            failures = 0
            return 0
        case .deviceFailed(let failure, _, _) where failure.fault.cause == .settings:
            throw .deviceRefuses(failure.description)
        case .deviceFailed(let failure, let finished, let failedSuspects):
            // A failure whose cause was found in a job says nothing about the device, and a job that brings it down by itself
            // is found before the device is given up.
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
    /// Counts against a batch that its model cannot be used, and puts it off with all that wait for the same model.
    ///
    /// Returns why its jobs are to be failed, with `failJobs`: the refusal does not pass, or it was the last time.
    package func refuse(
        _ batch: BatchID, because refusal: ModelRefusal
    ) throws(JobStoreError) -> JobError? {
        let limit = refusal.mayPass ? settings.maxModelErrors : 1
        let times = try queue.store.postpone(
            batch, limit: limit, backoff: settings.backoff, because: refusal.reason, at: clock.now)
        if times >= limit { return .modelUnavailable(times: times, refusal.reason) }
        if times > 0 { log.error("\(batch) cannot run now: \(refusal.reason)") }
        return nil
    }

    /// Why a batch's jobs are to be failed before its model is tried once more: that was in trouble too often in a row, when
    /// another batch's turn was or when it ended the daemon.
    package func refusal(of batch: BatchID) throws(JobStoreError) -> JobError? {
        guard let trouble = try queue.store.batch(batch).modelTrouble, trouble.times >= settings.maxModelErrors else {
            return nil
        }
        return .modelUnavailable(times: trouble.times, trouble.reason)
    }

    /// Fails some of a batch's jobs; to be called until it returns true.
    package mutating func failJobs(of batch: ClaimableBatch, _ error: JobError) throws(JobStoreError) -> Bool {
        if !refused.isEmpty {
            _ = try queue.store.finish(refused, incarnation: queue.incarnation, at: clock.now)
            refused = []
        }
        refused = try queue.claim(1000, of: batch).map { JobCompletion(ticket: $0.ticket, outcome: .failed(error)) }
        if refused.isEmpty {
            log.error(
                """
                \(batch.id) has failed: \(error.message). `ttbatch retry \(batch.id)` runs its prompts again when that is mended
                """)
        }
        return refused.isEmpty
    }

    /// Counts it against a model if the last lives of the daemon died while they loaded it.
    package func blameLoading(_ configuredModel: String) throws(JobStoreError) {
        guard let killer = try queue.store.loadingThatKilled(before: queue.incarnation) else { return }
        let model = try queue.store.batch(killer).model ?? configuredModel
        let reason =
            "\(model): the daemon died while it loaded the model, and the time before as well; look into the system's log, "
            + "whether it had enough memory for instance"
        let times = try queue.store.postpone(
            killer, limit: settings.maxModelErrors, backoff: settings.backoff, because: reason, at: clock.now)
        if times > 0 { log.error("\(killer) cannot run now: \(reason)") }
    }
}

extension JobError {
    /// Of a job whose model could not be used.
    fileprivate static func modelUnavailable(times: Int, _ reason: String) -> JobError {
        JobError(
            code: modelUnavailable,
            message: times == 1
                ? reason : "the model could not be used \(times) times in a row, the last time: \(reason)",
            status: 503)
    }
}

extension DaemonSettings {
    /// The waits between tries.
    var backoff: Backoff { Backoff(firstMS: backoffMS, longestMS: maxBackoffMS) }
}
