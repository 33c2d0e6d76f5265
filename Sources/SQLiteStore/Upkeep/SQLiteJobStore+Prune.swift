// Retention: deletes whole batches that ended long ago. Batches that have not ended are never changed.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// One transaction makes a batch an orphaned draft; short ones then delete it as such. So readers see all of the
    /// batch or nothing, and after a crash `sweepOrphanedDrafts` completes the deletion.
    public func prune(finishedBefore limit: Milliseconds) throws(JobStoreError) -> PruneReport {
        var report = PruneReport()
        for batch in try prunable(finishedBefore: limit) {
            guard try delete(batch.id, finishedBefore: limit) else { continue }
            report.batches.append(batch.id)
            report.jobs += batch.counts.total
        }
        report.metrics = try pruneMetrics(endedBefore: limit)
        return report
    }

    /// Deletes as `prune` does.
    public func delete(_ batch: BatchID) throws(JobStoreError) {
        let summary = try self.batch(batch)
        guard !summary.isDraft else { throw .batchIsDraft(batch) }
        guard summary.status.isTerminal else { throw .batchNotFinished(batch, summary.status) }
        guard try delete(batch, finishedBefore: Milliseconds(rawValue: .max)) else { throw .batchNotFound(batch) }
    }

    /// Returns whether the batch was deleted: another process may do it, or have done it.
    private func delete(_ batch: BatchID, finishedBefore limit: Milliseconds) throws(JobStoreError) -> Bool {
        guard let lock = try writerLock(of: batch) else { return false }
        defer { lock.release() }
        guard try withdraw(batch, finishedBefore: limit) else { return false }
        try deleteDraft(batch)
        return true
    }

    /// The batches that `prune` would delete, the oldest first.
    public func prunable(finishedBefore limit: Milliseconds) throws(JobStoreError) -> [BatchSummary] {
        let ids = try read { db in
            try db.rows(
                """
                SELECT id FROM batches
                WHERE status IN ('completed', 'cancelled', 'failed', 'expired') AND finished_ms < ? ORDER BY id
                """, limit
            ) { $0.id(0, as: BatchID.self) }
        }
        var batches: [BatchSummary] = []
        for id in ids { batches.append(try batch(id)) }
        return batches
    }

    /// Makes an ended batch a draft, if it still is due for deletion. Its name becomes free, and retries of it no
    /// longer refer to it.
    private func withdraw(_ batch: BatchID, finishedBefore limit: Milliseconds) throws(JobStoreError) -> Bool {
        try write(in: "prune") { db in
            let isWithdrawn = try db.run(
                """
                UPDATE batches SET status = 'validating', finished_ms = NULL, unique_name = NULL
                WHERE id = ? AND status IN ('completed', 'cancelled', 'failed', 'expired') AND finished_ms < ?
                """, batch, limit)
            guard isWithdrawn == 1 else { return false }
            try db.run("UPDATE batches SET retry_of = NULL WHERE retry_of = ?", batch)
            return true
        }
    }

    private func pruneMetrics(endedBefore limit: Milliseconds) throws(JobStoreError) -> Int64 {
        var sum: Int64 = 0
        while true {
            let deleted = try write { db in
                try db.run(
                    """
                    DELETE FROM metrics WHERE id IN (
                        SELECT id FROM metrics WHERE start_ms < ?1 AND end_ms < ?1 ORDER BY start_ms LIMIT \(options.enqueueChunkRows))
                    """, limit)
            }
            guard deleted > 0 else { return sum }
            sum += Int64(deleted)
        }
    }
}
