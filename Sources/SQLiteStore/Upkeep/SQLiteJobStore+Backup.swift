// Backup of the whole database to a new file, and vacuum.

import Failpoints
import GRDB
import Glibc
public import StoreContract

extension SQLiteJobStore {
    /// Writes a copy of the database as it is at this moment. Others may read and write meanwhile.
    ///
    /// The file gets its name when it is complete, checked and durable. It is compact and has no write-ahead log. It
    /// can replace the database.
    /// - Throws: `.system` if `target` exists or cannot be created, `.diskFull` naming `target`.
    public func backup(to target: String) throws(JobStoreError) {
        guard access(target, F_OK) != 0 else { throw .system("create", target, errno: EEXIST) }
        // VACUUM INTO uses an existing empty file and keeps its permissions.
        let temporary = "\(target).\(getpid()).part"
        let descriptor = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("create", temporary) }
        close(descriptor)
        defer { unlink(temporary) }
        do {
            try reader.inDatabase { db in
                do {
                    try db.run("VACUUM INTO ?", temporary)
                } catch {
                    throw JobStoreError(error, path: target, connection: db)
                }
            }
        } catch {
            throw JobStoreError(error, path: target)
        }
        failpoint("backup.copied")
        try Self.verifyCopy(temporary)
        try DatabaseFile.sync(temporary)
        failpoint("backup.synced")
        // Unlike a rename, a link does not replace a file that was created there meanwhile.
        guard link(temporary, target) == 0 else { throw .system("create", target) }
        try DatabaseFile.syncFolder(of: target)
    }

    /// Reads the copy: a backup that cannot be read is worse than none.
    private static func verifyCopy(_ copy: String) throws(JobStoreError) {
        let verdict: String?
        do {
            var configuration = GRDB.Configuration()
            configuration.readonly = true
            verdict = try DatabaseQueue(path: copy, configuration: configuration).read {
                try Schema.verify($0, path: copy)
                return try $0.row("PRAGMA quick_check(1)") { $0.text(0) }
            }
        } catch {
            throw JobStoreError(error, path: copy)
        }
        guard verdict == "ok" else { throw .corrupt(path: copy, reason: verdict ?? "no verdict") }
    }

    /// Rewrites the database without its free pages. It needs the lease of the queue, and disk space for two more
    /// copies.
    /// - Throws: `.daemonRunning`.
    public func vacuum() throws(JobStoreError) -> VacuumReport {
        guard let writer else { throw .readOnly(path: path) }
        let lease = try acquireLease()
        defer { lease.release() }
        let before = try databaseBytes()
        do {
            try writer.writeWithoutTransaction { db in
                do {
                    try db.run("VACUUM")
                } catch {
                    throw JobStoreError(error, path: path, connection: db)
                }
            }
        } catch {
            throw JobStoreError(error, path: path)
        }
        failpoint("vacuum.rewritten")
        try checkpoint()
        // The log is as large as the database now. The next commit restarts and truncates it.
        _ = try write { try $0.run("PRAGMA user_version = \(Schema.latest)") }
        return VacuumReport(bytesBefore: before, bytesAfter: try databaseBytes())
    }

    private func databaseBytes() throws(JobStoreError) -> Int64 {
        try read { try $0.number("PRAGMA page_count") * $0.number("PRAGMA page_size") }
    }
}
