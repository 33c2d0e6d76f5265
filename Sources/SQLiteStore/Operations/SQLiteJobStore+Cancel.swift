// Cancels a batch in short transactions, so that the daemon's commits for other batches do not wait.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// One transaction stops the batch and withdraws its claims. The pending jobs follow in chunks. Meanwhile the lock of the
    /// batch's writer is held, so that nobody takes the cancellation for an abandoned one.
    public func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport {
        let lock = try writerLock(of: batch)
        defer { lock?.release() }
        // The first transaction withdraws every claim and prevents new ones: no result can be stored after it.
        var report = try write { db in
            try db.checkCancellable(batch)
            let kept = try BatchTally(batch, db).nextSequence - 1
            try db.run(
                """
                UPDATE batches SET status = 'cancelling', ready = 0, not_before_ms = NULL, submitted_ms = NULL
                WHERE id = ? AND status IN ('in_progress', 'validating')
                """, batch)
            try db.run(
                """
                UPDATE jobs SET not_before_ms = NULL WHERE id IN (
                    SELECT id FROM jobs INDEXED BY jobs_delayed
                    WHERE state = 'pending' AND not_before_ms IS NOT NULL AND batch_id = ?)
                """, batch)
            let withdrawn = try db.endJobs(of: batch, in: .running, as: .cancelled, limit: -1, at: now)
            return CancelReport(cancelled: withdrawn, keptFinished: kept)
        }
        WakeUp.send(database: path)
        report.cancelled += try cancelPending(batch, at: now)
        return report
    }

    /// Finds batches that are still `cancelling` although nobody holds their lock, and marks their pending jobs in chunks.
    public func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID] {
        var completed: [BatchID] = []
        for batch in try read({ try $0.batchIDs(.cancelling) }) {
            guard let lock = try writerLock(of: batch) else { continue }
            defer { lock.release() }
            _ = try cancelPending(batch, at: now)
            completed.append(batch)
        }
        return completed
    }

    /// Marks the pending jobs of a `cancelling` batch; the last transaction ends the batch.
    private func cancelPending(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> Int64 {
        var sum: Int64 = 0
        while true {
            let cancelled = try write { db in
                try db.endJobs(of: batch, in: .pending, as: .cancelled, limit: options.enqueueChunkRows, at: now)
            }
            try checkpointWithoutDaemon()
            guard cancelled > 0 else { return sum }
            sum += cancelled
        }
    }
}

extension Database {
    /// Throws unless the batch is open, or a submission.
    fileprivate func checkCancellable(_ batch: BatchID) throws {
        let isSubmission = try number(
            "SELECT count(*) FROM batches WHERE id = ? AND status = 'validating' AND submitted_ms IS NOT NULL", batch)
        if isSubmission == 0 { try checkOpen(batch) }
    }

    /// Selects jobs of a batch in a state, in the order of the state's index, so that a query does not scan all of
    /// them. A test checks its plan.
    static func unfinishedSQL(_ state: JobState) -> String {
        """
        SELECT id FROM jobs INDEXED BY jobs_\(state.rawValue)
        WHERE batch_id = ? AND state = '\(state.rawValue)' \(state == .pending ? "AND not_before_ms IS NULL" : "")
        ORDER BY \(state == .pending ? "claim_rank, id" : "id") LIMIT ?
        """
    }

    /// Ends up to `limit` jobs (-1: all) of a batch in one unfinished state, without results, as state `end`. Pending
    /// jobs in backoff are left out.
    func endJobs(
        of batch: BatchID, in state: JobState, as end: JobState, limit: Int, at now: Milliseconds
    ) throws -> Int64 {
        var tally = try BatchTally(batch, self)
        let ended = try run(
            """
            UPDATE jobs SET state = '\(end.rawValue)', finished_ms = ?, finish_seq = chosen.place + ?
            FROM (
                SELECT id, row_number() OVER (ORDER BY id) AS place FROM (\(Self.unfinishedSQL(state)))
            ) AS chosen
            WHERE jobs.id = chosen.id
            """, now, tally.nextSequence - 1, batch, limit)
        if ended > 0 {
            tally.add(end, jobs: Int64(ended))
        }
        _ = try tally.write(self, at: now)
        _ = try BatchTally.closeIfDone(batch, self, at: now)
        return Int64(ended)
    }
}
