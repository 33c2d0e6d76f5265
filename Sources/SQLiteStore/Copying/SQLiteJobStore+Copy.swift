// A queue in SQLite as one end of a copy: nobody else writes meanwhile, and no daemon runs.

import Failpoints
import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore: CopyableQueue {
    /// Holds the lease and the write lock.
    public func withRows<Result>(_ body: (any QueueRows) throws -> Result) throws -> Result {
        try holding(.rollback) { db in
            try checkNobodyEnqueues(db)
            return try body(SQLiteQueueRows(location: location, db: db))
        }
    }

    /// One transaction, which may have as many gigabytes in the write-ahead log as the queue has.
    public func fill(from rows: any QueueRows, at now: Milliseconds) throws -> QueueCopyReport {
        // What a copy that was given up has written is no use any more, either.
        defer { try? shortenLog() }
        return try holding(.commit) { db in
            try db.checkIsEmpty(location)
            var filling = SQLiteFilling(rows, into: db, at: path)
            let report = try filling.run()
            failpoint("copy.committing")
            return report
        }
    }

    /// Runs a transaction that has the write lock, in a queue that no daemon owns.
    private func holding<Result>(
        _ end: Database.TransactionCompletion, _ body: (Database) throws -> Result
    ) throws -> Result {
        guard let writer else { throw JobStoreError.readOnly(path: path) }
        let lease = try acquireLease()
        defer { lease.release() }
        return try writer.writeWithoutTransaction { db in
            var result: Result?
            do {
                // In KiB: it writes to several large indexes in turn.
                try db.execute(sql: "PRAGMA cache_size = -65536")
                try db.inTransaction(.immediate) {
                    result = try body(db)
                    return end
                }
            } catch let error as DatabaseError {
                throw JobStoreError(error, path: path, connection: db)
            }
            return result!
        }
    }

    /// The commit behind a checkpoint begins the log anew, and cuts it.
    private func shortenLog() throws(JobStoreError) {
        try checkpoint()
        _ = try write { try $0.run("PRAGMA user_version = \(Schema.latest)") }
    }

    /// Throws if a draft or a submission has a writer, or a batch is being deleted.
    private func checkNobodyEnqueues(_ db: Database) throws {
        for batch in try db.batchIDs(.validating) {
            guard let lock = try writerLock(of: batch) else { throw JobStoreError.batchIsDraft(batch) }
            lock.release()
        }
    }
}

extension Database {
    fileprivate func checkIsEmpty(_ location: String) throws {
        func count(_ table: String) throws -> Int64 { try number("SELECT count(*) FROM \(table)") }
        let refusal = QueueCopyRefusal.ifNotEmpty(
            location, batches: try count("batches"), lives: try count("incarnations"), files: try count("files"),
            keys: try count("server_keys"))
        if let refusal { throw refusal }
    }
}
