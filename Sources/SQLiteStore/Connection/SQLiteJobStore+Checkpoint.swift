// Copies the write-ahead log into the database file, under a guard.
//
// In SQLite 3.7.0 to 3.51.2 a checkpoint that overlaps a commit of another connection can lose that commit: a PASSIVE
// checkpoint holds the checkpoint lock, but not the write lock. So the writer connection holds the write lock here
// (BEGIN IMMEDIATE, no write, ROLLBACK) while a second connection checkpoints, and no commit can overlap. Besides, only
// the process that holds byte 1 of the daemon's lock file checkpoints at all.

import Failpoints
import GRDB
import Glibc
public import StoreContract
import Synchronization

/// The result of a checkpoint.
public struct CheckpointReport: Hashable, Sendable {
    /// Pages in the write-ahead log.
    public var logPages: Int
    /// The pages of the log that are in the database file now. Fewer than `logPages` if a reader still needs the old
    /// state.
    public var copiedPages: Int
}

extension SQLiteJobStore {
    /// Checkpoints if the write-ahead log is larger than `SQLiteOptions.walLimitBytes`.
    public func maintain() throws(JobStoreError) {
        _ = try checkpointIfNeeded()
    }

    /// Checkpoints, so that the database file is complete.
    public func settle() throws(JobStoreError) {
        try checkpoint()
    }

    /// Checkpoints if the log is larger than its limit. Returns nil if it is not, or if another process checkpoints.
    @discardableResult
    public func checkpointIfNeeded() throws(JobStoreError) -> CheckpointReport? {
        try walBytes() > options.walLimitBytes ? checkpoint() : nil
    }

    /// The size of the write-ahead log on disk, in bytes. It never opens the file: closing it would release SQLite's
    /// locks.
    public func walBytes() throws(JobStoreError) -> Int64 {
        var facts = stat()
        guard stat(path + "-wal", &facts) == 0 else {
            if errno == ENOENT { return 0 }
            throw .system("examine", path + "-wal")
        }
        return Int64(facts.st_size)
    }

    /// Checkpoints now. Returns nil if another process checkpoints.
    @discardableResult
    public func checkpoint() throws(JobStoreError) -> CheckpointReport? {
        try checkpoint(whileGuarded: {})
    }

    /// Keeps the log small during an enqueue without a daemon. A running daemon does it itself, unless it is stopped or
    /// hangs.
    func checkpointWithoutDaemon() throws(JobStoreError) {
        let size = try walBytes()
        guard size > options.walLimitBytes else { return }
        if size <= 4 * options.walLimitBytes, try daemonPresence() != .absent { return }
        do {
            try checkpoint()
        } catch .busy {
            // Another process writes at this moment. The log stays long until the next chunk, which does no harm.
        }
    }

    /// Tests pass a `probe` to run under the guard.
    func checkpoint(whileGuarded probe: () throws -> Void) throws(JobStoreError) -> CheckpointReport? {
        guard let writer else { throw .readOnly(path: path) }
        let lockPath = FileDaemonLease.path(database: path)
        guard
            let right = try ByteLock.tryAcquire(
                path: lockPath, offset: FileDaemonLease.checkpointByte, beside: path)
        else {
            return nil
        }
        defer { right.release() }
        do {
            return try writer.writeWithoutTransaction { db in
                var report: CheckpointReport?
                try db.inTransaction(.immediate) {
                    failpoint("checkpoint.guarded")
                    report = try passiveCheckpoint()
                    failpoint("checkpoint.copied")
                    try probe()
                    return .rollback
                }
                failpoint("checkpoint.released")
                return report
            }
        } catch {
            throw JobStoreError(error, path: path)
        }
    }

    private func passiveCheckpoint() throws -> CheckpointReport {
        try checkpointer.withLock { connection in
            let queue = try connection ?? DatabaseQueue.connection(to: path, as: .checkpointer, options: options)
            connection = queue
            let counts = try queue.writeWithoutTransaction { try $0.checkpoint(.passive) }
            return CheckpointReport(logPages: counts.walFrameCount, copiedPages: counts.checkpointedFrameCount)
        }
    }
}
