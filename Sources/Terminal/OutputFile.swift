// A file of results that is either complete or absent.

import Failpoints
import Glibc
import Runtime

/// Results that are written to a file or to standard output.
///
/// A file is written under a temporary name in the same folder, and gets its name when it is complete and durable. So
/// neither an interruption nor a full disk leaves a partial file or damages an older one.
package final class OutputFile {
    private enum Target {
        case stream(FileDescriptor)
        case file(FileDescriptor, temporary: String, path: String)
    }

    private let target: Target
    /// Whether the output goes to a terminal.
    package let isTerminal: Bool
    private var buffer: [UInt8] = []
    private var isFinished = false
    /// Whether the reader of a pipe has gone, so that nothing more needs to be written.
    package private(set) var isAbandoned = false

    /// Opens `path` for writing; nil or `-` is standard output. Anything but a regular file is written directly.
    package init(path: String?) throws(Failure) {
        guard let path, path != "-" else {
            target = .stream(FileDescriptor(STDOUT_FILENO, name: "stdout"))
            isTerminal = isatty(STDOUT_FILENO) == 1
            return
        }
        guard !path.hasPrefix("--") else { throw Failure(.usage, "-o \(path): a file is missing before \(path)") }
        guard !path.isEmpty else { throw Failure(.usage, "-o: the file's name is empty") }
        if let location = ForeignLocation(path) { throw Failure(.usage, "-o \(location)") }
        target = try Self.open(OutputPlace(path), as: path)
        switch target {
        case .stream(let descriptor), .file(let descriptor, _, _): isTerminal = isatty(descriptor.number) == 1
        }
    }

    private static func open(_ place: OutputPlace, as name: String) throws(Failure) -> Target {
        switch place {
        case .descriptor(let number): return .stream(FileDescriptor(number, name: name))
        case .special(let path):
            let descriptor = FileDescriptor(Glibc.open(path, O_WRONLY | O_CLOEXEC), name: name)
            guard descriptor.number >= 0 else { throw descriptor.failure("cannot be written") }
            return .stream(descriptor)
        case .file(let path, let mode):
            if let kind = ProtectedFile(path) {
                throw Failure(.usage, "-o \(name) would replace \(kind.rawValue); choose another name")
            }
            sweep(path)
            let temporary = "\(path).\(getpid()).part"
            let number = Glibc.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode ?? 0o666)
            let descriptor = FileDescriptor(number, name: name)
            guard number >= 0 else { throw descriptor.failure("cannot be written") }
            // The mode of the file that it replaces, whatever the umask.
            if let mode { fchmod(number, mode) }
            // Held until the process ends: it shows `sweep` in other processes that the file is still being written.
            flock(number, LOCK_EX | LOCK_NB)
            return .file(descriptor, temporary: temporary, path: path)
        }
    }

    /// Removes the temporary files of this file that killed programs left.
    private static func sweep(_ path: String) {
        var found = glob_t()
        defer { globfree(&found) }
        let escaped = path.reduce(into: "") { $0 += "*?[\\".contains($1) ? "\\\($1)" : "\($1)" }
        guard glob(escaped + ".*.part", 0, nil, &found) == 0 else { return }
        for index in 0..<Int(found.gl_pathc) {
            guard let name = found.gl_pathv[index].map({ String(cString: $0) }),
                name.dropFirst(path.count + 1).dropLast(".part".count).allSatisfy(\.isNumber)
            else { continue }
            let descriptor = Glibc.open(name, O_RDONLY | O_CLOEXEC)
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
    package static func isSame(_ path: String, _ other: String) -> Bool {
        var (first, second) = (stat(), stat())
        guard stat(path, &first) == 0, stat(other, &second) == 0 else { return false }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino && first.st_mode & S_IFMT == S_IFREG
    }

    /// Appends the bytes that `encode` writes. The buffer is written when it is large enough.
    ///
    /// - Parameter isText: whether it is meant for reading. Then characters that control a terminal are made visible.
    package func append(isText: Bool, _ encode: (inout [UInt8]) -> Void) throws(Failure) {
        if isText, isTerminal {
            var text: [UInt8] = []
            encode(&text)
            let lines = String(decoding: text, as: UTF8.self).replacing("\r\n", with: "\n")
            buffer += printable(lines, keepingNewlines: true).utf8
        } else {
            encode(&buffer)
        }
        if buffer.count >= 1 << 16 { try flush() }
    }

    /// Writes the buffer.
    package func flush() throws(Failure) {
        if buffer.isEmpty { return }
        if !isAbandoned { isAbandoned = try !descriptor.write(buffer) }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes the rest. A file becomes durable and gets its name.
    package func finish() throws(Failure) {
        try flush()
        if case .file(let descriptor, let temporary, let path) = target {
            guard fsync(descriptor.number) == 0 else { throw descriptor.failure("cannot be made durable") }
            failpoint("output.synced")
            guard rename(temporary, path) == 0 else { throw descriptor.failure("cannot take its name") }
        }
        isFinished = true
    }
}
