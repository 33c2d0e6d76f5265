// A queue of one process, which is gone when that ends: in the folder for temporary files of this machine.

import Foundation
import Glibc
package import Terminal

/// A folder for the database of a run that uses no queue. The next such run removes those of runs that were killed.
package final class TemporaryQueue {
    private static let prefix = "ttbatch-run-"

    private let folder: String
    /// Locked as long as the folder is in use.
    private let lock: Int32

    /// Where the database is to be.
    package var databasePath: String { folder + "/queue.db" }

    /// Makes the folder, which only this user may enter.
    package init() throws(Failure) {
        let parent = FileManager.default.temporaryDirectory.path
        Self.sweep(parent)
        var template = Array("\(parent)/\(Self.prefix)XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Failure(
                .operationalError,
                "no folder can be made in \(parent): \(String(cString: strerror(errno))); set TMPDIR to one that can be written"
            )
        }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        lock = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        flock(lock, LOCK_EX | LOCK_NB)
    }

    /// Removes what killed runs of this user have left.
    private static func sweep(_ parent: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [] where name.hasPrefix(prefix) {
            let folder = "\(parent)/\(name)"
            var facts = stat()
            // One that is being made has no lock yet.
            guard lstat(folder, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR, facts.st_uid == geteuid(),
                facts.st_mtim.tv_sec < time(nil) - 60
            else { continue }
            let descriptor = open(folder + "/lock", O_RDWR | O_CLOEXEC)
            if descriptor < 0 || flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
                try? FileManager.default.removeItem(atPath: folder)
            }
            if descriptor >= 0 { close(descriptor) }
        }
    }

    /// Removes it; nobody may use the database any more.
    package func remove() { try? FileManager.default.removeItem(atPath: folder) }

    deinit { close(lock) }
}
