// What waits to be written to the store: ends of jobs, which are committed in groups, and jobs that go back.

import Failpoints
import Logging
import Platform
import Runtime
import StoreContract

/// Ends and put-backs that are not in the store yet. Nothing is taken out before the store has it.
struct PendingWrites {
    /// Jobs that go back.
    private struct Release {
        let ids: [RequestID]
        let tickets: [ClaimTicket]
        let reason: ReleaseReason
    }

    /// How jobs ended.
    private(set) var completions: [JobCompletion] = []
    /// When the completions are to be committed, by the steady clock.
    private(set) var due: Int64?
    private var releases: [Release] = []

    /// Nothing waits.
    var isEmpty: Bool { completions.isEmpty && releases.isEmpty }

    /// Requests that wait to be put back.
    var putBackIDs: [RequestID] { releases.flatMap(\.ids) }

    /// Adds a job's end.
    ///
    /// - Parameter due: when it is to be committed at the latest, if it is the first of a group.
    mutating func add(_ completion: JobCompletion, due: Int64) {
        completions.append(completion)
        if self.due == nil { self.due = due }
    }

    /// Adds jobs that go back; `ids` are those that were submitted.
    mutating func release(_ ids: [RequestID], _ tickets: [ClaimTicket], because reason: ReleaseReason) {
        if !tickets.isEmpty || !ids.isEmpty {
            releases.append(Release(ids: ids, tickets: tickets, reason: reason))
        }
    }

    /// Commits the ends that wait, in one group.
    mutating func commit(to queue: WorkQueue, _ log: Logger) throws(JobStoreError) -> Int {
        guard !completions.isEmpty else { return 0 }
        let report = try queue.store.finish(completions, incarnation: queue.incarnation, at: queue.clock.now)
        completions.removeAll(keepingCapacity: true)
        due = nil
        if !report.stale.isEmpty { log.info("\(report.stale.count) results came after their jobs were cancelled") }
        failpoint("writer.committed")
        for batch in report.closedBatches { log.info("\(batch) has ended") }
        return report.finished
    }

    /// Puts the first jobs back that wait for it; nil where there are none.
    mutating func putBackFirst(
        to queue: WorkQueue, _ log: Logger
    ) throws(JobStoreError) -> (ids: [RequestID], failed: Int)? {
        guard let release = releases.first else { return nil }
        let report = try queue.store.release(
            release.tickets, incarnation: queue.incarnation, because: release.reason, at: queue.clock.now)
        releases.removeFirst()
        if report.failed > 0 {
            log.error("\(report.failed) jobs have failed after their last attempt; see `ttbatch show`")
        }
        for batch in report.closedBatches { log.info("\(batch) has ended") }
        return (release.ids, report.failed)
    }
}
