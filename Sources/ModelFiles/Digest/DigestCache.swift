// SHA-256 of files that were read before, so that a large model is not read again for it with every start.

import Foundation
import Glibc

/// A folder with a note for each file: what it was when its SHA-256 was taken.
public struct DigestCache: Sendable {
    private let folder: String

    /// The notes in `folder`, which is made if necessary. If it cannot be written, nothing is kept.
    public init(folder: String) { self.folder = folder }

    /// The SHA-256 of a file, from the note if the file is unchanged.
    ///
    /// - Throws: `ModelFileError` if it cannot be read, or changes meanwhile.
    func sha256(of path: String, unless isAbandoned: () -> Bool) throws(ModelFileError) -> String {
        let before = try Self.state(of: path)
        let note = "\(folder)/\(Self.name(of: path))"
        if let words = try? String(contentsOfFile: note, encoding: .utf8).split(separator: "\n").map(String.init),
            words.count == 3, words[0] == path, words[1] == before
        {
            return words[2]
        }
        let sum = try SHA256Sum.of(path, unless: isAbandoned)
        guard try Self.state(of: path) == before else {
            throw .changed(path: path, how: "while its SHA-256 was taken")
        }
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try? "\(path)\n\(before)\n\(sum)\n".write(toFile: note, atomically: true, encoding: .utf8)
        return sum
    }

    /// The size in bytes, the times of the last change of the content and of the file, its disk and its inode.
    private static func state(of path: String) throws(ModelFileError) -> String {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw .unreadable(path: path, reason: String(cString: strerror(errno)))
        }
        let times = [status.st_mtim, status.st_ctim].map { "\($0.tv_sec).\($0.tv_nsec)" }
        return "\(status.st_size) \(times[0]) \(times[1]) \(status.st_dev) \(status.st_ino)"
    }

    /// FNV-1a of the path; the note tells the path itself.
    private static func name(of path: String) -> String {
        String(
            path.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }, radix: 16)
    }
}
