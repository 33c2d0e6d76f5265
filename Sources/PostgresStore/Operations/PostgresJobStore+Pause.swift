// Pauses: keep jobs from being claimed on a user's request.

import PostgresClient
public import Runtime
public import StoreContract

/// The advisory lock that claims share, and that whoever pauses the whole queue has alone.
let pauseKey: Int64 = 0x7474_6261_7463_6801

extension PostgresJobStore {
    /// Waits for the claims that are under way: each reads the pause of its batch behind the lock on that one's counters, and that
    /// of the whole queue behind a lock that all claims share.
    public func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError) {
        try act { db in
            if let batch {
                guard try LockedCounters(batch, &db) != nil else { throw JobStoreError.batchNotFound(batch) }
                try db.checkOpen(batch)
                try db.run("UPDATE batches SET paused_ms = $2 WHERE id = $1 AND paused_ms IS NULL", batch, now)
            } else {
                try db.row("SELECT pg_advisory_xact_lock($1)", pauseKey) { _ in }
                try db.run("UPDATE meta SET paused_ms = $1 WHERE paused_ms IS NULL", now)
            }
            try db.tellChange()
        }
    }

    /// Updates one row.
    public func resume(_ batch: BatchID?) throws(JobStoreError) {
        try act { db in
            if let batch {
                guard try LockedCounters(batch, &db) != nil else { throw JobStoreError.batchNotFound(batch) }
                try db.checkOpen(batch)
                let priority = try db.row(
                    "SELECT priority FROM batches WHERE id = $1 AND paused_ms IS NOT NULL", batch
                ) { $0.priority(0) }
                guard let priority else { return }
                let turn = try db.nextTurn(priority)
                try db.run(
                    "UPDATE counters SET turn = CASE WHEN urgent THEN turn ELSE $2 END WHERE batch_id = $1", batch, turn
                )
                try db.run("UPDATE batches SET paused_ms = NULL WHERE id = $1", batch)
            } else {
                try db.run("UPDATE meta SET paused_ms = NULL")
            }
            try db.tellChange()
        }
    }
}
