// Pauses: keep jobs from being claimed on a user's request.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// Updates one row, which each claim reads in its own transaction.
    public func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError) {
        try write { db in
            guard let batch else {
                _ = try db.run("UPDATE queue SET paused_ms = ? WHERE paused_ms IS NULL", now)
                return
            }
            try db.checkOpen(batch)
            try db.run("UPDATE batches SET paused_ms = ? WHERE id = ? AND paused_ms IS NULL", now, batch)
        }
        WakeUp.send(database: path)
    }

    /// Updates one row.
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
        WakeUp.send(database: path)
    }
}

extension Database {
    /// Throws unless the batch exists and has not ended.
    func checkOpen(_ batch: BatchID) throws {
        guard let status = try batchStatus(batch) else { throw JobStoreError.batchNotFound(batch) }
        guard status != .validating else { throw JobStoreError.batchIsDraft(batch) }
        guard !status.isTerminal else { throw JobStoreError.batchAlreadyFinished(batch, status) }
    }
}
