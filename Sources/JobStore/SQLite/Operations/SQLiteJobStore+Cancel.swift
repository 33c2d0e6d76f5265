// Cancelling a batch, in short transactions, so that the daemon's commits for other batches do not wait.

import GRDB

extension SQLiteJobStore {
    /// One transaction stops the batch and withdraws its claims; the waiting jobs follow in chunks.
    public func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport {
        // The first transaction withdraws every claim and stops new ones: no result can appear from here on.
        var report = try write { db in
            guard let status = try db.batchStatus(batch) else { throw JobStoreError.batchNotFound(batch) }
            guard status != .validating else { throw JobStoreError.batchIsDraft(batch) }
            guard !status.isTerminal else { throw JobStoreError.batchAlreadyFinished(batch, status) }
            let kept = try BatchTally(batch, db).nextSequence - 1
            try db.run("UPDATE batches SET status = 'cancelling' WHERE id = ? AND status = 'in_progress'", batch)
            let withdrawn = try db.cancelJobs(of: batch, in: .running, limit: -1, at: now)
            return CancelReport(cancelled: withdrawn, keptFinished: kept)
        }
        report.cancelled += try cancelPending(batch, at: now)
        return report
    }

    /// Finds batches left `cancelling`, and marks their waiting jobs in chunks.
    public func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID] {
        let unfinished = try read { try $0.batchIDs(.cancelling) }
        for batch in unfinished {
            _ = try cancelPending(batch, at: now)
        }
        return unfinished
    }

    /// Marks the waiting jobs of a batch that is `cancelling`; the last transaction ends the batch.
    private func cancelPending(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> Int64 {
        var sum: Int64 = 0
        while true {
            let cancelled = try write { db in
                try db.cancelJobs(of: batch, in: .pending, limit: options.enqueueChunkRows, at: now)
            }
            try checkpointWithoutDaemon()
            guard cancelled > 0 else { return sum }
            sum += cancelled
        }
    }
}

extension Database {
    /// Cancels up to `limit` jobs (-1: all) of a `cancelling` batch that are in one unfinished state.
    fileprivate func cancelJobs(
        of batch: BatchID, in state: JobState, limit: Int, at now: Milliseconds
    ) throws -> Int64 {
        var tally = try BatchTally(batch, self)
        let cancelled = try run(
            """
            UPDATE jobs SET state = 'cancelled', finished_ms = ?, finish_seq = chosen.place + ?
            FROM (
                SELECT id, row_number() OVER (ORDER BY id) AS place FROM (
                    SELECT id FROM jobs INDEXED BY jobs_\(state.rawValue)
                    WHERE batch_id = ? AND state = '\(state.rawValue)' ORDER BY id LIMIT ?)
            ) AS chosen
            WHERE jobs.id = chosen.id
            """, now, tally.nextSequence - 1, batch, limit)
        if cancelled > 0 {
            tally.add(.cancelled, jobs: Int64(cancelled))
        }
        _ = try tally.write(self, at: now)
        _ = try BatchTally.closeIfDone(batch, self, at: now)
        return Int64(cancelled)
    }
}
