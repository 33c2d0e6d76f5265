// Kernel locks that end with their owner, one byte of a lock file each.
//
// Linux's open-file-description locks belong to the descriptor, not to the process. Two owners in one process exclude
// each other, closing another descriptor of the file releases nothing, and the kernel releases them at once when the
// owner dies. The lock files are beside the database. The database's own files are never opened here.

import CSQLiteShim
import Glibc
import StoreContract

/// A held lock on one byte of a lock file. It is released by `release`, with the object, or with the process.
final class ByteLock: @unchecked Sendable {
    // The descriptor is immutable, and the kernel serialises the operations on it.
    private let descriptor: Int32
    private let offset: Int64

    private init(descriptor: Int32, offset: Int64) {
        self.descriptor = descriptor
        self.offset = offset
    }

    deinit {
        // A forked child that has not called exec yet has the descriptor, too. Closing alone would leave the lock held
        // until then.
        release()
        close(descriptor)
    }

    /// Takes the lock without waiting; nil if it is held.
    ///
    /// - Parameter database: a user who may read this file may also query the lock.
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

    /// As SQLite does for the files beside a database. The lock works also if this is not permitted.
    private static func adopt(modeOf database: String, by descriptor: Int32) {
        var (wanted, found) = (stat(), stat())
        guard stat(database, &wanted) == 0, fstat(descriptor, &found) == 0 else { return }
        let mode = wanted.st_mode & 0o666
        if found.st_mode & 0o777 != mode { _ = fchmod(descriptor, mode) }
    }

    /// Whether the lock is held; nil if the user may not query it. It only queries, so it does not disturb an attempt
    /// to take the lock at the same time.
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

    /// Releases the lock. It may be called more than once.
    func release() {
        _ = csqlite_unlock_byte(descriptor, offset)
    }

    /// Replaces the content of the lock file, which is meant for people.
    func write(_ text: String) {
        guard ftruncate(descriptor, 0) == 0 else { return }
        _ = text.withCString { pwrite(descriptor, $0, strlen($0), 0) }
    }
}
