// Where the contents of uploaded files lie: in a folder beside the database, each under its identifier.

import Foundation
import Glibc
import Runtime
package import StoreContract

/// Why an upload cannot be kept.
package enum UploadError: Error {
    /// There is no room for it.
    case noSpace
    /// It is longer than what is accepted.
    case tooLarge(limit: Int64)
    /// The operating system refused a file operation.
    case system(operation: String, errno: Int32)
}

/// The folder of uploaded files. Its methods block.
package struct UploadFolder: Sendable {
    private let path: String
    /// The longest file, in bytes.
    package let mostBytes: Int64
    /// What must stay free on the disk, in bytes: the queue needs it to write results.
    private static let reserve: Int64 = 256 << 20

    /// Opens the folder, which is made if necessary, and deletes what a server before this one left unfinished.
    ///
    /// - Throws: `UploadError.system`.
    package init(path: String, mostBytes: Int64) throws {
        self.path = path
        self.mostBytes = mostBytes
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw UploadError.system(operation: "make the folder of uploads", errno: errno)
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where name.hasPrefix(Self.unfinished) {
            unlink(path + "/" + name)
        }
    }

    private static let unfinished = ".upload-"

    /// The place of a file's contents.
    func contents(of file: FileID) -> String { "\(path)/\(file.rawValue)" }

    /// Whether a file's contents are here.
    func holds(_ file: FileID) -> Bool { access(contents(of: file), F_OK) == 0 }

    /// Deletes a file's contents.
    func delete(_ file: FileID) { unlink(contents(of: file)) }

    /// Deletes the contents of files that are not in the store: their upload ended before it was acknowledged.
    package func sweep(keeping isKept: (FileID) throws -> Bool) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: path) {
            guard let file = FileID(rawValue: name), try !isKept(file) else { continue }
            delete(file)
        }
    }

    /// Throws `.noSpace` unless a file of `bytes` leaves enough room, `.tooLarge` if it is too long.
    func checkRoom(for bytes: Int64) throws(UploadError) {
        guard bytes <= mostBytes else { throw .tooLarge(limit: mostBytes) }
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return }
        let free = Int64(clamping: status.f_bavail) * Int64(clamping: status.f_frsize)
        guard free - bytes >= Self.reserve else { throw .noSpace }
    }

    /// Begins a file.
    func begin(_ file: FileID) throws(UploadError) -> Upload {
        let temporary = "\(path)/\(Self.unfinished)\(file.rawValue)"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(operation: "make a file", errno: errno) }
        return Upload(file, descriptor: descriptor, temporary: temporary, folder: self)
    }

    /// Makes renames in the folder durable.
    fileprivate func sync() throws(UploadError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(operation: "open the folder of uploads", errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system(operation: "sync the folder of uploads", errno: errno) }
    }
}

/// A file that is being uploaded. It is deleted with the object unless it was kept. Its methods block; one thread at a time
/// may use it.
final class Upload: @unchecked Sendable {
    let file: FileID
    private let descriptor: Int32
    private let temporary: String
    private let folder: UploadFolder
    private(set) var bytes: Int64 = 0
    private var checked: Int64 = 0
    private var isKept = false

    fileprivate init(_ file: FileID, descriptor: Int32, temporary: String, folder: UploadFolder) {
        self.file = file
        self.descriptor = descriptor
        self.temporary = temporary
        self.folder = folder
    }

    deinit {
        close(descriptor)
        if !isKept { unlink(temporary) }
    }

    /// Appends bytes.
    func write(_ chunk: [UInt8]) throws(UploadError) {
        // Looking at the disk costs more than writing a small chunk.
        if bytes + Int64(chunk.count) > folder.mostBytes || bytes - checked >= 16 << 20 || bytes == 0 {
            try folder.checkRoom(for: bytes + Int64(chunk.count))
            checked = bytes
        }
        var written = 0
        while written < chunk.count {
            let count = chunk.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                if errno == ENOSPC || errno == EDQUOT { throw .noSpace }
                throw .system(operation: "write a file", errno: errno)
            }
            written += count
        }
        bytes += Int64(chunk.count)
    }

    /// Makes the contents durable under the file's identifier.
    func keep() throws(UploadError) {
        guard fsync(descriptor) == 0 else { throw .system(operation: "sync a file", errno: errno) }
        guard rename(temporary, folder.contents(of: file)) == 0 else {
            throw .system(operation: "rename a file", errno: errno)
        }
        isKept = true
        try folder.sync()
    }
}
