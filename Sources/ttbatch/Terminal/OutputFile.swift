// A file of results that is there as a whole or not at all.

import Failpoints
import Glibc

/// Results on their way to a file or to standard output.
///
/// A file is written under another name beside its place and takes its name when it is complete and durable: neither an
/// interruption nor a full disk leaves half of one, or harms an older one.
final class OutputFile {
    private enum Target {
        case stream(FileDescriptor)
        case file(FileDescriptor, temporary: String, path: String)
    }

    private let target: Target
    private var buffer: [UInt8] = []
    private var isFinished = false
    /// The reader of a pipe has gone away: nothing more need be written.
    private(set) var isAbandoned = false

    /// Opens `path` for writing; `nil` or `-` is standard output. What is no regular file is written as it is.
    init(path: String?) throws(Failure) {
        guard let path, path != "-" else {
            target = .stream(FileDescriptor(STDOUT_FILENO, name: "stdout"))
            return
        }
        var status = stat()
        let exists = stat(path, &status) == 0
        let isSpecial = exists && status.st_mode & S_IFMT != S_IFREG
        let opened = isSpecial ? path : "\(path).\(getpid()).part"
        let number = open(opened, O_WRONLY | O_CREAT | (isSpecial ? 0 : O_EXCL) | O_CLOEXEC, 0o666)
        let descriptor = FileDescriptor(number, name: path)
        guard number >= 0 else { throw descriptor.failure("cannot be written") }
        target = isSpecial ? .stream(descriptor) : .file(descriptor, temporary: opened, path: path)
    }

    deinit {
        if !isFinished, case .file(_, let temporary, _) = target { unlink(temporary) }
    }

    private var descriptor: FileDescriptor {
        switch target {
        case .stream(let descriptor), .file(let descriptor, _, _): descriptor
        }
    }

    /// Whether two paths lead to the same file.
    static func isSame(_ path: String, _ other: String) -> Bool {
        var (first, second) = (stat(), stat())
        guard stat(path, &first) == 0, stat(other, &second) == 0 else { return false }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino && first.st_mode & S_IFMT == S_IFREG
    }

    /// Lets `encode` append bytes, and writes when enough have come together.
    func append(_ encode: (inout [UInt8]) -> Void) throws(Failure) {
        encode(&buffer)
        if buffer.count >= 1 << 16 { try flush() }
    }

    private func flush() throws(Failure) {
        if !isAbandoned { isAbandoned = try !descriptor.write(buffer) }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes the rest; a file becomes durable and takes its name.
    func finish() throws(Failure) {
        try flush()
        if case .file(let descriptor, let temporary, let path) = target {
            guard fsync(descriptor.number) == 0 else { throw descriptor.failure("cannot be made durable") }
            failpoint("output.synced")
            guard rename(temporary, path) == 0 else { throw descriptor.failure("cannot take its name") }
        }
        isFinished = true
    }
}
