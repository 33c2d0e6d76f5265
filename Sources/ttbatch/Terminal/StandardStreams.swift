// Output to the standard streams: data on stdout, words for people on stderr.

import Glibc

enum StandardError {
    /// Prints a line for people.
    static func print(_ line: String) {
        write(line + "\n")
    }

    /// Writes as it is, at once.
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}

enum StandardOutput {
    /// Prints a line of data.
    static func print(_ line: String) {
        Swift.print(line)
    }
}

/// A file descriptor written through a buffer; a reader that has gone away ends the program quietly, as for any filter.
final class OutputFile {
    private let descriptor: Int32
    private let path: String
    private var buffer: [UInt8] = []

    /// Opens `path` for writing, replacing what is there; `nil` or `-` is standard output.
    init(path: String?) throws(Failure) {
        guard let path, path != "-" else {
            descriptor = STDOUT_FILENO
            self.path = "stdout"
            return
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        self.path = path
        guard descriptor >= 0 else {
            throw Failure(.operationalError, "\(path): cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    /// Lets `encode` append bytes, and writes when enough have come together.
    func append(_ encode: (inout [UInt8]) -> Void) throws(Failure) {
        encode(&buffer)
        if buffer.count >= 1 << 16 { try flush() }
    }

    /// Writes what is buffered.
    func flush() throws(Failure) {
        var written = 0
        while written < buffer.count {
            let count = buffer[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { Glibc.exit(0) }
                let reason = String(cString: strerror(errno))
                throw Failure(errno == ENOSPC ? .temporary : .operationalError, "\(path): \(reason)")
            }
            written += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes the rest and makes it durable, then closes the file.
    func finish() throws(Failure) {
        try flush()
        guard descriptor != STDOUT_FILENO else { return }
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS, close(descriptor) == 0 else {
            throw Failure(.operationalError, "\(path): \(String(cString: strerror(errno)))")
        }
    }
}
