// One daemon owns a database: it holds a kernel lock on `<database>-daemon.lock`. The file contains the owner's pid for
// people.

import Glibc
import Runtime
import StoreContract

/// The lease of a SQLite store.
///
/// Byte 0 of the lock file is the lease, byte 1 the right to checkpoint (see `SQLiteJobStore.checkpoint`).
final class FileDaemonLease: DaemonLease {
    private let lock: ByteLock

    private init(lock: ByteLock) {
        self.lock = lock
    }

    static func path(database: String) -> String { database + "-daemon.lock" }
    static let lifeByte: Int64 = 0
    static let checkpointByte: Int64 = 1

    /// Takes the lease, without waiting.
    static func acquire(database: String) throws(JobStoreError) -> FileDaemonLease {
        let file = path(database: database)
        guard let lock = try ByteLock.tryAcquire(path: file, offset: lifeByte, beside: database) else {
            throw refusal(database: database)
        }
        lock.write("\(getpid())\n")
        return FileDaemonLease(lock: lock)
    }

    /// Whether the lease is held now.
    static func presence(database: String) throws(JobStoreError) -> DaemonPresence {
        switch try ByteLock.isHeld(path: path(database: database), offset: lifeByte) {
        case true: .running(pid: writtenPID(database: database))
        case false: .absent
        case nil: .unknown
        }
    }

    /// The error for a process that wants to be the daemon while another one is.
    static func refusal(database: String) -> JobStoreError {
        // The owner wrote its pid when it began, and the file has not been written since, so its change time is the
        // start.
        var facts = stat()
        let isThere = stat(path(database: database), &facts) == 0
        let began = Int64(facts.st_mtim.tv_sec) * 1000 + Int64(facts.st_mtim.tv_nsec) / 1_000_000
        return .daemonRunning(
            path: database, pid: writtenPID(database: database), since: isThere ? Milliseconds(rawValue: began) : nil)
    }

    func release() {
        lock.release()
    }

    private static func writtenPID(database: String) -> Int32? {
        let descriptor = open(path(database: database), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &text, text.count, 0)
        guard count > 0 else { return nil }
        return Int32(String(decoding: text.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
