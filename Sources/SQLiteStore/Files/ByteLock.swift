// Kernel locks that end with their owner: one byte of a lock file each.
//
// Linux's open-file-description locks belong to the descriptor, not to the process: two owners in one process exclude
// each other, closing another descriptor of the file frees nothing, and the kernel frees them when the owner dies, at
// once and with certainty. The lock files lie beside the database; the database's own files are never opened here.

import CSQLiteShim
import Glibc
import StoreContract

/// A held lock on one byte of a lock file; freed with `release`, with the object, or with the process.
final class ByteLock: @unchecked Sendable {
    // The descriptor is immutable; the kernel serialises what is done with it.
    private let descriptor: Int32
    private let offset: Int64

    private init(descriptor: Int32, offset: Int64) {
        self.descriptor = descriptor
        self.offset = offset
    }

    deinit {
        // A child that was forked and has not become its program yet has the descriptor, too: closing alone would leave the
        // lock held until it does.
        release()
        close(descriptor)
    }

    /// Takes the lock, without waiting; nil if somebody else has it.
    ///
    /// - Parameter database: whoever may read this file may ask about the lock.
    static func tryAcquire(
        path: String, offset: Int64, beside database: String? = nil
    ) throws(JobStoreError) -> ByteLock? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("open the lock file", path) }
        if let database { adopt(modeOf: database, by: descriptor) }
        switch csqlite_try_lock_byte(descriptor, offset) {
        case 0:
            return ByteLock(descriptor: descriptor, offset: offset)
        case EAGAIN:
            close(descriptor)
            return nil
        case let code:
            close(descriptor)
            throw .system("lock", path, errno: code)
        }
    }

    /// As SQLite does with the files beside a database. It is no fault of the lock where that is not allowed.
    private static func adopt(modeOf database: String, by descriptor: Int32) {
        var (wanted, found) = (stat(), stat())
        guard stat(database, &wanted) == 0, fstat(descriptor, &found) == 0 else { return }
        let mode = wanted.st_mode & 0o666
        if found.st_mode & 0o777 != mode { _ = fchmod(descriptor, mode) }
    }

    /// Whether somebody has the lock; nil where the user may not ask. Asks only, so that nobody who takes it at this moment
    /// is disturbed.
    static func isHeld(path: String, offset: Int64) throws(JobStoreError) -> Bool? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return false }
            if errno == EACCES { return nil }
            throw .system("open the lock file", path)
        }
        defer { close(descriptor) }
        let answer = csqlite_is_byte_locked(descriptor, offset)
        guard answer >= 0 else { throw .system("query the lock", path) }
        return answer == 1
    }

    /// Frees the lock. Harmless when it was freed before.
    func release() {
        _ = csqlite_unlock_byte(descriptor, offset)
    }

    /// Replaces the lock file's content, for people who look into it.
    func write(_ text: String) {
        guard ftruncate(descriptor, 0) == 0 else { return }
        _ = text.withCString { pwrite(descriptor, $0, strlen($0), 0) }
    }
}
