// The destination of results: links are followed, and some files are never replaced.

package import Glibc

/// The destination to which a name leads.
package enum OutputPlace {
    /// A descriptor of this process, e.g. for `/dev/stdout`.
    case descriptor(Int32)
    /// A device or a pipe, which is written directly.
    case special(String)
    /// A file, with the mode of the existing file if there is one.
    case file(String, mode: mode_t?)

    package init(_ name: String) {
        var path = name
        // The kernel follows the same number of links.
        for _ in 0..<40 {
            if let number = Self.descriptor(path) {
                self = .descriptor(number)
                return
            }
            guard let next = Self.link(path) else { break }
            path = next.hasPrefix("/") ? next : Self.folder(of: path) + next
        }
        var facts = stat()
        guard stat(path, &facts) == 0 else {
            self = .file(path, mode: nil)
            return
        }
        let isFile = facts.st_mode & S_IFMT == S_IFREG
        self = isFile ? .file(path, mode: facts.st_mode & 0o777) : .special(path)
    }

    /// The number in `/proc/self/fd/1`, `/dev/fd/1` and similar paths.
    private static func descriptor(_ path: String) -> Int32? {
        for folder in ["/proc/self/fd/", "/dev/fd/", "/proc/\(getpid())/fd/"] where path.hasPrefix(folder) {
            return Int32(path.dropFirst(folder.count))
        }
        return nil
    }

    private static func link(_ path: String) -> String? {
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = bytes.withUnsafeMutableBytes { raw in
            readlink(path, raw.baseAddress!.assumingMemoryBound(to: CChar.self), raw.count)
        }
        return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }

    /// The path up to its last slash.
    private static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    }
}

/// Files that results must not replace by mistake. They are recognised by content, not by name.
package enum ProtectedFile: String {
    case database = "a database"
    case model = "a model"

    /// The kind of the file at `path`; nil if it may be replaced.
    package init?(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var start = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &start, start.count, 0)
        guard count > 0 else { return nil }
        let found = start.prefix(count)
        if found.starts(with: "SQLite format 3".utf8) {
            self = .database
        } else if found.starts(with: "GGUF".utf8) {
            self = .model
        } else {
            return nil
        }
    }
}
