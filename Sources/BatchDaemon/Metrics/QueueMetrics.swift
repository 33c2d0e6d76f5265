// The state of the queue, in the program's metrics: read from the store when somebody looks at them.

import CoreMetrics
public import Logging
public import Runtime
public import StoreContract
import Synchronization

/// Gauges of the queue. They are as of the last `refresh`.
public final class QueueMetrics: Sendable {
    private let store: any QueueObserving
    private let clock: TimeSource
    private let log: Logger
    /// Ages of priorities that had pending jobs.
    private let ages = Mutex<[BatchPriority: Meter]>([:])
    private let isFailing = Mutex(false)

    /// Gauges of `store`.
    public init(_ store: any QueueObserving, clock: TimeSource = .system, log: Logger) {
        self.store = store
        self.clock = clock
        self.log = log
    }

    /// Reads the store. It blocks, for as long as a scan of the table of batches takes.
    ///
    /// If the store cannot be read, the gauges stay as they were.
    public func refresh() {
        do throws(JobStoreError) {
            show(try store.queueState())
            isFailing.withLock { $0 = false }
        } catch {
            let isNew = isFailing.withLock { isFailing in
                defer { isFailing = true }
                return !isFailing
            }
            if isNew { log.error("the metrics of the queue are not up to date: \(error)") }
        }
    }

    private func show(_ state: QueueState) {
        for status in BatchStatus.allCases {
            gauge("ttbatch_batches", [("status", status.rawValue)], state.batches[status, default: 0])
        }
        for job in JobState.allCases {
            var count = state.jobs[job, default: 0]
            if job == .pending { count -= state.delayedJobs }
            gauge("ttbatch_jobs", [("state", job.rawValue)], count)
        }
        gauge("ttbatch_jobs", [("state", "delayed")], state.delayedJobs)
        gauge("ttbatch_queue_paused", [], state.paused == nil ? 0 : 1)
        if let bytes = state.logBytes { gauge("ttbatch_store_wal_bytes", [], bytes) }
        let now = clock.now
        ages.withLock { ages in
            for (priority, age) in ages where state.oldestPending[priority] == nil {
                age.destroy()
                ages[priority] = nil
            }
            for (priority, created) in state.oldestPending {
                let age = Meter(
                    label: "ttbatch_oldest_pending_seconds", dimensions: [("priority", "\(priority.rawValue)")])
                age.set(Double(max(0, now - created)) / 1000)
                ages[priority] = age
            }
        }
    }

    private func gauge(_ name: String, _ labels: [(String, String)], _ value: Int64) {
        Meter(label: name, dimensions: labels).set(value)
    }
}

/// Shows what runs: the program's version, and the number of this run.
func showDaemon(version: String, _ incarnation: Incarnation) {
    Meter(label: "ttbatch_build_info", dimensions: [("version", version)]).set(1)
    Meter(label: "ttbatch_up_incarnation").set(incarnation.rawValue)
}
