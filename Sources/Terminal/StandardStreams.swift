// Output to the standard streams: data to stdout, messages for people to stderr.

import Failpoints
import Glibc
package import JSONText

package enum StandardError {
    /// Prints a line for people.
    package static func print(_ line: String) {
        write(printable(line, keepingNewlines: true) + "\n")
    }

    /// Writes the text unchanged, at once. An error is ignored, because there is no other place to report it.
    package static func write(_ text: String) {
        _ = try? FileDescriptor(STDERR_FILENO, name: "stderr").write(Array(text.utf8))
    }

    package static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// The present width of the terminal.
    package static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}

package enum StandardOutput {
    /// Prints a line of data. It ends the program on an error, since a lost line must not go unnoticed.
    package static func print(_ line: String) {
        do {
            guard try FileDescriptor(STDOUT_FILENO, name: "stdout").write(Array((line + "\n").utf8)) else { exit(0) }
        } catch {
            StandardError.print("ttbatch: \(error); what was to be printed: \(line)")
            exit(error.status.rawValue)
        }
    }
}

extension StandardOutput {
    /// Prints a JSON value on a line of its own.
    package static func print(_ json: JSONValue) {
        print(json.text)
    }

    /// Prints a line that acknowledges that something is durable. Tests can kill the program here, before and after it.
    package static func acknowledge(_ line: String, _ name: String) {
        failpoint(name + ".acknowledging")
        print(line)
        failpoint(name + ".acknowledged")
    }
}

/// Text from files and users without characters that control a terminal, change the direction of text or break a table.
package func printable(_ text: String, keepingNewlines: Bool = false) -> String {
    guard text.unicodeScalars.contains(where: \.steersTerminals) else { return text }
    return text.unicodeScalars.reduce(into: "") { line, scalar in
        let isKept = !scalar.steersTerminals || (keepingNewlines && (scalar == "\n" || scalar == "\t"))
        line.unicodeScalars.append(isKept ? scalar : "\u{FFFD}")
    }
}

extension Unicode.Scalar {
    /// Control characters, line separators, and characters that change the direction of text (Unicode, UAX 9).
    fileprivate var steersTerminals: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        case .format: ("\u{202A}"..."\u{202E}").contains(self) || ("\u{2066}"..."\u{2069}").contains(self)
        default: false
        }
    }
}

/// A descriptor to write to, with a name for errors.
package struct FileDescriptor {
    package let number: Int32
    private let name: String

    package init(_ number: Int32, name: String) {
        self.number = number
        self.name = name
    }

    /// Writes all bytes; returns false if the reader has gone (`head`, `less`).
    package func write(_ bytes: [UInt8]) throws(Failure) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { return false }
                throw failure("cannot be written")
            }
            written += count
        }
        return true
    }

    /// A failure with the message of errno.
    package func failure(_ what: String) -> Failure {
        Failure(
            errno == ENOSPC ? .temporary : .operationalError, "\(name): \(what): \(String(cString: strerror(errno)))")
    }
}
