// Moving the write-ahead log into the database file, under a guard.
//
// In SQLite 3.7.0 to 3.51.2 a checkpoint that overlaps a commit of another connection can lose that commit: a PASSIVE
// checkpoint holds the checkpoint lock, but not the write lock. So here the writer connection holds the write lock
// (BEGIN IMMEDIATE, nothing written, ROLLBACK) while a second connection checkpoints: no commit can come between. And
// only who holds byte 1 of the daemon's lock file checkpoints at all.

import Failpoints
import GRDB
import Glibc
public import StoreContract
import Synchronization

/// What a checkpoint did.
public struct CheckpointReport: Hashable, Sendable {
    /// Pages in the write-ahead log.
    public var logPages: Int
    /// Pages of them that are in the database file now; fewer than `logPages` if a reader still needs the old state.
    public var copiedPages: Int
}

extension SQLiteJobStore {
    /// Checkpoints the write-ahead log if it has outgrown `SQLiteOptions.walLimitBytes`.
    public func maintain() throws(JobStoreError) {
        _ = try checkpointIfNeeded()
    }

    /// Checkpoints, so that the database file has everything.
    public func settle() throws(JobStoreError) {
        try checkpoint()
    }

    /// Checkpoints if the log has outgrown its limit; nil if it has not, or if somebody else is at it.
    @discardableResult
    public func checkpointIfNeeded() throws(JobStoreError) -> CheckpointReport? {
        try walBytes() > options.walLimitBytes ? checkpoint() : nil
    }

    /// Bytes of the write-ahead log on disk. Never opens the file: closing it would drop SQLite's locks.
    public func walBytes() throws(JobStoreError) -> Int64 {
        var facts = stat()
        guard stat(path + "-wal", &facts) == 0 else {
            if errno == ENOENT { return 0 }
            throw .system("examine", path + "-wal")
        }
        return Int64(facts.st_size)
    }

    /// Checkpoints now; nil if somebody else is at it.
    @discardableResult
    public func checkpoint() throws(JobStoreError) -> CheckpointReport? {
        try checkpoint(whileGuarded: {})
    }

    /// An enqueue without a daemon keeps the log small itself; a daemon that lives does it, unless it is stopped or has
    /// hung.
    func checkpointWithoutDaemon() throws(JobStoreError) {
        let size = try walBytes()
        guard size > options.walLimitBytes else { return }
        if size <= 4 * options.walLimitBytes, try daemonPresence() != .absent { return }
        do {
            try checkpoint()
        } catch .busy {
            // Somebody writes at this moment. The log stays long until the next chunk, which harms nobody.
        }
    }

    /// `probe` runs in the middle, for tests.
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
