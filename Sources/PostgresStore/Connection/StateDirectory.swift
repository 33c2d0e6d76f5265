// The folder of a daemon on its machine: whoever holds its lock is the only one, and it says who comes after whom.

import Foundation
import Glibc
import Runtime
import StoreContract

enum StateDirectory {
    /// A lock on a file of the folder, which ends with the process.
    final class Lock: DaemonLease {
        private let descriptor: Int32

        fileprivate init(descriptor: Int32) { self.descriptor = descriptor }

        func release() { flock(descriptor, LOCK_UN) }

        deinit { close(descriptor) }
    }

    /// Takes the lock, without waiting. The folder is made if there is none.
    static func lock(_ directory: String) throws(JobStoreError) -> Lock {
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let path = lockFile(directory)
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .system(
                operation: "open the lock file", path: path, errno: errno, reason: String(cString: strerror(errno)))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            // The owner wrote its pid when it began, and nobody has written since.
            var facts = stat()
            let isKnown = fstat(descriptor, &facts) == 0
            let began = Int64(facts.st_mtim.tv_sec) * 1000 + Int64(facts.st_mtim.tv_nsec) / 1_000_000
            close(descriptor)
            throw .daemonRunning(
                path: "the state directory \(directory)", pid: writtenPID(directory),
                since: isKnown ? Milliseconds(rawValue: began) : nil)
        }
        _ = ftruncate(descriptor, 0)
        _ = "\(getpid())\n".withCString { pwrite(descriptor, $0, strlen($0), 0) }
        return Lock(descriptor: descriptor)
    }

    /// Whether somebody holds the lock; it asks the kernel, so the answer is never out of date.
    static func presence(_ directory: String) -> DaemonPresence {
        let descriptor = open(lockFile(directory), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == EACCES ? .unknown : .absent }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return .running(pid: writtenPID(directory)) }
        return .absent
    }

    /// Who it is that has this folder: of two lives with the same identity, the second comes after the first's end, since only one
    /// at a time has the lock. A number drawn once; the machine stands in it for folders that are copied with it.
    static func identity(_ directory: String) -> String {
        let path = directory + "/identity"
        var drawn = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        if drawn.isEmpty {
            drawn = UUID().uuidString
            // If it cannot be kept, the next life waits as if it were another host's.
            try? drawn.write(toFile: path, atomically: true, encoding: .utf8)
        }
        let machine = (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)) ?? ""
        return machine.trimmingCharacters(in: .whitespacesAndNewlines) + ":" + drawn
    }

    private static func lockFile(_ directory: String) -> String { directory + "/daemon.lock" }

    private static func writtenPID(_ directory: String) -> Int32? {
        (try? String(contentsOfFile: lockFile(directory), encoding: .utf8)).flatMap { Int32($0.dropLast()) }
    }
}
