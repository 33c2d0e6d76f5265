// Pending writes to the store: completions of jobs, which are committed in groups, and releases, which requeue jobs.

import CoreMetrics
import Failpoints
import Logging
import Platform
import Runtime
import StoreContract

/// Completions and releases that are not in the store yet. Each is removed only after the store has it.
struct PendingWrites {
    /// Jobs to be requeued.
    private struct Release {
        let ids: [RequestID]
        let tickets: [ClaimTicket]
        let reason: ReleaseReason
    }

    /// Completions of jobs.
    private(set) var completions: [JobCompletion] = []
    /// When the completions must be committed, by the steady clock.
    private(set) var due: Int64?
    private var releases: [Release] = []
    /// Count what the store has.
    private let metrics: JobMetrics
    private let commitTime = CoreMetrics.Timer(label: "ttbatch_store_commit_seconds")

    /// Nothing to write yet.
    init(counting metrics: JobMetrics = JobMetrics()) { self.metrics = metrics }

    /// Whether there are no pending writes.
    var isEmpty: Bool { completions.isEmpty && releases.isEmpty }

    /// Requests whose release is pending.
    var putBackIDs: [RequestID] { releases.flatMap(\.ids) }

    /// The jobs of all of them.
    var tickets: Set<ClaimTicket> { Set(completions.map(\.ticket)).union(releases.flatMap(\.tickets)) }

    /// Adds a job's completion.
    ///
    /// - Parameter due: the latest time for its commit, if it is the first of a group.
    mutating func add(_ completion: JobCompletion, due: Int64) {
        completions.append(completion)
        if self.due == nil { self.due = due }
    }

    /// Adds jobs to be requeued; `ids` are the requests of those that were submitted.
    mutating func release(_ ids: [RequestID], _ tickets: [ClaimTicket], because reason: ReleaseReason) {
        if !tickets.isEmpty || !ids.isEmpty {
            releases.append(Release(ids: ids, tickets: tickets, reason: reason))
        }
    }

    /// Commits all pending completions in one group.
    mutating func commit(to queue: WorkQueue, _ log: Logger) throws(JobStoreError) -> Int {
        guard !completions.isEmpty else { return 0 }
        let began = ContinuousClock.now
        let report = try queue.store.finish(completions, incarnation: queue.incarnation, at: queue.clock.now)
        commitTime.recordNanoseconds(Int64((ContinuousClock.now - began) / .nanoseconds(1)))
        metrics.count(completions, report)
        completions.removeAll(keepingCapacity: true)
        due = nil
        if !report.stale.isEmpty { log.info("\(report.stale.count) results came after their jobs were cancelled") }
        failpoint("writer.committed")
        for batch in report.closedBatches { log.info("\(batch) has ended") }
        return report.finished
    }

    /// Writes the first pending release; nil if there is none.
    mutating func putBackFirst(
        to queue: WorkQueue, _ log: Logger
    ) throws(JobStoreError) -> (ids: [RequestID], failed: Int)? {
        guard let release = releases.first else { return nil }
        let report = try queue.store.release(
            release.tickets, incarnation: queue.incarnation, because: release.reason, at: queue.clock.now)
        releases.removeFirst()
        metrics.count(failed: report.failed, because: release.reason)
        if report.failed > 0 {
            log.error("\(report.failed) jobs have failed after their last attempt; see `ttbatch show`")
        }
        for batch in report.closedBatches { log.info("\(batch) has ended") }
        return (release.ids, report.failed)
    }
}
