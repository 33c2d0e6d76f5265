// The settings of every connection, and the reasons (https://www.sqlite.org/pragma.html).

import CSQLiteShim
import GRDB
import StoreContract

/// The purpose of a connection.
enum ConnectionRole {
    case writer, reader, checkpointer
}

/// Settings that the caller may change.
public struct SQLiteOptions: Sendable {
    /// How long to wait for another process's transaction, in seconds.
    public var busyTimeoutSeconds: Double = 15
    /// The size of the write-ahead log, in bytes, above which a checkpoint is due.
    public var walLimitBytes: Int64 = 32 << 20
    /// The number of jobs in one transaction of an enqueue. It is small so that a running daemon's commits do not wait
    /// long.
    public var enqueueChunkRows = 2_000
    /// The approximate number of bytes of request bodies in one transaction of an enqueue.
    public var enqueueChunkBytes = 4 << 20

    /// Makes the default options.
    public init() {}
}

extension DatabaseQueue {
    /// Opens a connection. SQLite 3.7.0 to 3.51.2 can lose commits when a checkpoint overlaps a commit of another
    /// connection, so no connection may checkpoint by itself. `SQLiteJobStore.checkpoint` does it under a guard.
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
            // Memory-mapped files make that bug more likely.
            try db.execute(sql: "PRAGMA mmap_size = 0")
            // A commit must be durable when it is acknowledged. NORMAL could lose the latest commits in a power cut.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            guard role == .writer else { return }
            // The log is truncated to this size when it is restarted, so its size on disk shows when a checkpoint is
            // due.
            try db.execute(sql: "PRAGMA journal_size_limit = \(options.walLimitBytes / 2)")
            // In KiB: enough for the upper pages of the custom_id index of a large batch.
            try db.execute(sql: "PRAGMA cache_size = -16384")
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }
}
