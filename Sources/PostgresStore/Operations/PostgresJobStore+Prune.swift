// Retention: deletes whole batches that ended long ago. Batches that have not ended are never changed.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// One transaction makes a batch an orphaned draft; short ones then delete it as such. So readers see all of the
    /// batch or nothing, and after a crash `sweepOrphanedDrafts` completes the deletion.
    public func prune(finishedBefore limit: Milliseconds) throws(JobStoreError) -> PruneReport {
        var report = PruneReport()
        let due = try read { db in
            try db.rows(
                "SELECT batch_id, total FROM counters WHERE finished_ms < $1 ORDER BY batch_id", limit
            ) { (batch: $0.id(0, as: BatchID.self), total: $0.int64(1)) }
        }
        for (batch, total) in due {
            guard try delete(batch, finishedBefore: limit) else { continue }
            report.batches.append(batch)
            report.jobs += total
        }
        var deleted = 1
        while deleted > 0 {
            deleted = try keeping.use { db in
                try db.run(
                    """
                    DELETE FROM metrics WHERE (incarnation, start_ms) IN (
                        SELECT incarnation, start_ms FROM metrics WHERE start_ms < $1 AND end_ms < $1 LIMIT $2)
                    """, limit, Self.chunkRows)
            }
            report.metrics += Int64(deleted)
        }
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
        guard try keeping.use({ try $0.tryLockWriter(of: batch) }) else { return false }
        defer { try? keeping.use { try $0.unlockWriter(of: batch) } }
        guard try withdraw(batch, finishedBefore: limit) else { return false }
        try deleteDraft(batch)
        return true
    }

    /// Makes an ended batch a draft, if it still is due for deletion. Its name becomes free, and retries of it no
    /// longer refer to it.
    private func withdraw(_ batch: BatchID, finishedBefore limit: Milliseconds) throws(JobStoreError) -> Bool {
        try act { db in
            let isWithdrawn = try db.run(
                "UPDATE counters SET status = 'validating', finished_ms = NULL WHERE batch_id = $1 AND finished_ms < $2",
                batch, limit)
            guard isWithdrawn == 1 else { return false }
            try db.run("INSERT INTO open_batches (batch_id) VALUES ($1) ON CONFLICT DO NOTHING", batch)
            try db.run("UPDATE batches SET unique_name = NULL WHERE id = $1", batch)
            try db.run("UPDATE batches SET retry_of = NULL WHERE retry_of = $1", batch)
            return true
        }
    }
}
