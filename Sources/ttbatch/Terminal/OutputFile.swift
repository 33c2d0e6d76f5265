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
    /// Whether somebody reads it as it comes.
    let isTerminal: Bool
    private var buffer: [UInt8] = []
    private var isFinished = false
    /// The reader of a pipe has gone away: nothing more need be written.
    private(set) var isAbandoned = false

    /// Opens `path` for writing; `nil` or `-` is standard output. What is no regular file is written as it is.
    init(path: String?) throws(Failure) {
        guard let path, path != "-" else {
            target = .stream(FileDescriptor(STDOUT_FILENO, name: "stdout"))
            isTerminal = isatty(STDOUT_FILENO) == 1
            return
        }
        guard !path.hasPrefix("--") else { throw Failure(.usage, "-o \(path): a file is missing before \(path)") }
        var status = stat()
        let exists = stat(path, &status) == 0
        let isSpecial = exists && status.st_mode & S_IFMT != S_IFREG
        if !isSpecial { Self.sweep(path) }
        let opened = isSpecial ? path : "\(path).\(getpid()).part"
        let number = open(opened, O_WRONLY | O_CREAT | (isSpecial ? 0 : O_EXCL) | O_CLOEXEC, 0o666)
        let descriptor = FileDescriptor(number, name: path)
        guard number >= 0 else { throw descriptor.failure("cannot be written") }
        // Held until the process ends: who sweeps sees by it that somebody still writes.
        if !isSpecial { flock(number, LOCK_EX | LOCK_NB) }
        isTerminal = isatty(number) == 1
        target = isSpecial ? .stream(descriptor) : .file(descriptor, temporary: opened, path: path)
    }

    /// Removes what programs that were killed have left of this file.
    private static func sweep(_ path: String) {
        var found = glob_t()
        defer { globfree(&found) }
        let escaped = path.reduce(into: "") { $0 += "*?[\\".contains($1) ? "\\\($1)" : "\($1)" }
        guard glob(escaped + ".*.part", 0, nil, &found) == 0 else { return }
        for index in 0..<Int(found.gl_pathc) {
            guard let name = found.gl_pathv[index].map({ String(cString: $0) }),
                name.dropFirst(path.count + 1).dropLast(".part".count).allSatisfy(\.isNumber)
            else { continue }
            let descriptor = open(name, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(name) }
            close(descriptor)
        }
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
    ///
    /// - Parameter isText: it is meant for reading, so what would steer a terminal is shown instead.
    func append(isText: Bool = false, _ encode: (inout [UInt8]) -> Void) throws(Failure) {
        if isText, isTerminal {
            var text: [UInt8] = []
            encode(&text)
            buffer += printable(String(decoding: text, as: UTF8.self), keepingNewlines: true).utf8
        } else {
            encode(&buffer)
        }
        if buffer.count >= 1 << 16 { try flush() }
    }

    /// Writes what has come together.
    func flush() throws(Failure) {
        if buffer.isEmpty { return }
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
