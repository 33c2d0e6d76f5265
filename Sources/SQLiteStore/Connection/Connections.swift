// How every connection is set up, and why (https://www.sqlite.org/pragma.html).

import CSQLiteShim
import GRDB
import StoreContract

/// What a connection is for.
enum ConnectionRole {
    case writer, reader, checkpointer
}

/// Settings that a caller may change.
public struct SQLiteOptions: Sendable {
    /// How long to wait for another process's transaction, in seconds.
    public var busyTimeoutSeconds: Double = 15
    /// Beyond this size of the write-ahead log a checkpoint is due.
    public var walLimitBytes: Int64 = 32 << 20
    /// Jobs written in one transaction of an enqueue: short, so that a running daemon's commits do not wait long.
    public var enqueueChunkRows = 2_000
    /// Bytes of bodies written in one transaction of an enqueue, about.
    public var enqueueChunkBytes = 4 << 20

    /// The defaults.
    public init() {}
}

extension DatabaseQueue {
    /// Opens a connection. All SQLite versions from 3.7.0 to 3.51.2 can lose commits when a checkpoint meets a commit of
    /// another connection, so no connection may ever checkpoint by itself; `SQLiteJobStore.checkpoint` does it under
    /// a guard.
    static func connection(to path: String, as role: ConnectionRole, options: SQLiteOptions) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = role == .reader
        configuration.busyMode = .timeout(options.busyTimeoutSeconds)
        configuration.foreignKeysEnabled = true
        configuration.label = "ttbatch.jobstore"
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA wal_autocheckpoint = 0")
            let code = csqlite_forbid_checkpoint_on_close(db.sqliteConnection!)
            guard code == 0 else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
            // A mapped file widens the window of that bug.
            try db.execute(sql: "PRAGMA mmap_size = 0")
            // Acknowledged means durable: NORMAL could lose the latest commits in a power cut.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            guard role == .writer else { return }
            // The log shrinks to this when it starts anew, so that its size on disk tells when a checkpoint is due.
            try db.execute(sql: "PRAGMA journal_size_limit = \(options.walLimitBytes / 2)")
            // In KiB: room for the upper pages of the custom_id index of a large batch.
            try db.execute(sql: "PRAGMA cache_size = -16384")
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }
}
