// Keeping jobs from being claimed: by wish, or because their model cannot be used at the moment.

import GRDB

extension SQLiteJobStore {
    /// One row; a claim looks at it in its own transaction.
    public func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError) {
        try write { db in
            guard let batch else {
                _ = try db.run("UPDATE queue SET paused_ms = ? WHERE paused_ms IS NULL", now)
                return
            }
            try db.checkOpen(batch)
            try db.run("UPDATE batches SET paused_ms = ? WHERE id = ? AND paused_ms IS NULL", now, batch)
        }
        DaemonBell.ring(database: path)
    }

    /// One row.
    public func resume(_ batch: BatchID?) throws(JobStoreError) {
        try write { db in
            guard let batch else {
                _ = try db.run("UPDATE queue SET paused_ms = NULL")
                return
            }
            try db.checkOpen(batch)
            let priority = try db.row(
                "SELECT priority FROM batches WHERE id = ? AND paused_ms IS NOT NULL", batch
            ) { $0.priority(0) }
            guard let priority else { return }
            try db.join(batch, priority, "paused_ms = NULL")
        }
        DaemonBell.ring(database: path)
    }

    /// One row.
    public func postpone(
        _ batch: BatchID, backoff: Backoff, because reason: String, at now: Milliseconds
    ) throws(JobStoreError) -> Int {
        try write { db in
            let times = Int(try db.number("SELECT model_errors FROM batches WHERE id = ?", batch)) + 1
            let delay = backoff.delayMS(after: times)
            try db.run(
                """
                UPDATE batches SET model_errors = ?, model_error = ?, not_before_ms = ?
                WHERE id = ? AND status = 'in_progress'
                """, times, reason, delay > 0 ? now + delay : nil, batch)
            return times
        }
    }

    /// One row.
    public func forgetModelTrouble(_ batch: BatchID) throws(JobStoreError) {
        _ = try write { db in
            try db.run(
                "UPDATE batches SET model_errors = 0, model_error = NULL WHERE id = ? AND model_errors > 0", batch)
        }
    }
}

extension Database {
    /// Throws unless the batch is there and has jobs that wait or run.
    func checkOpen(_ batch: BatchID) throws {
        guard let status = try batchStatus(batch) else { throw JobStoreError.batchNotFound(batch) }
        guard status != .validating else { throw JobStoreError.batchIsDraft(batch) }
        guard !status.isTerminal else { throw JobStoreError.batchAlreadyFinished(batch, status) }
    }
}
