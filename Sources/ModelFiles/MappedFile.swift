// A file that is mapped into memory, read-only, as long as anything refers to it.

import CMappedFile
import Glibc

/// A read-only, shared memory mapping of a whole file.
///
/// Weights are read directly from the page cache: opening a model copies nothing, and processes share the pages. So
/// other processes can change the bytes while they are read. A page that is gone reads as zeros, instead of ending the
/// process. Call `checkUnchanged` before using a result that was computed from the bytes.
public final class MappedFile: @unchecked Sendable {
    /// The path that was opened.
    public let path: String
    /// The file's bytes; valid while this object lives.
    public let bytes: UnsafeRawBufferPointer
    private let descriptor: Int32
    private let watch: OpaquePointer
    private let opened: FileVersion

    /// Maps the file at `path`.
    ///
    /// - Throws: `ModelFileError.unreadable` with the system's reason.
    public init(path: String) throws(ModelFileError) {
        // O_NONBLOCK: opening a pipe would block.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
        do throws(ModelFileError) {
            opened = try FileVersion(descriptor, path: path)
            let length = opened.size
            guard length > 0 else { throw .unreadable(path: path, reason: "the file is empty") }
            guard let start = mmap(nil, length, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED else {
                throw .unreadable(path: path, reason: "cannot be mapped: " + String(cString: strerror(errno)))
            }
            guard let watch = mapped_file_watch(start, length, path) else {
                let reason = String(cString: strerror(errno))
                munmap(start, length)
                throw .unreadable(path: path, reason: "cannot be mapped safely: " + reason)
            }
            bytes = UnsafeRawBufferPointer(start: start, count: length)
            self.watch = watch
        } catch {
            close(descriptor)
            throw error
        }
        self.path = path
        self.descriptor = descriptor
    }

    /// Whether there is something at `path`.
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The text in the file at `path`, of at most 16 MB; U+FFFD for bytes that are not UTF-8.
    ///
    /// - Throws: `ModelFileError`.
    public static func text(path: String) throws(ModelFileError) -> String {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= 1 << 24 else {
            throw .unsupported(path: path, what: "a text of \(file.bytes.count) bytes")
        }
        let text = String(decoding: file.bytes, as: UTF8.self)
        try file.checkUnchanged()
        return text
    }

    /// Whether there is a folder at `path`.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    deinit {
        mapped_file_unwatch(watch)
        munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count)
        close(descriptor)
    }

    /// Throws if the file is not the one that was opened any more, so that the bytes read so far may be wrong. Costs
    /// one system call.
    ///
    /// - Throws: `ModelFileError.changed`.
    public func checkUnchanged() throws(ModelFileError) {
        if mapped_file_is_lost(watch) {
            throw .changed(path: path, how: "some of it can no longer be read, as if it had been cut short")
        }
        let now = try FileVersion(descriptor, path: path)
        if now.size != opened.size {
            throw .changed(path: path, how: "it had \(opened.size) bytes and now has \(now.size)")
        }
        if now != opened { throw .changed(path: path, how: "another process has written to it") }
    }
}

/// The properties of a file that change when it is written.
private struct FileVersion: Equatable {
    let size: Int
    let seconds: Int
    let nanoseconds: Int

    init(_ descriptor: Int32, path: String) throws(ModelFileError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .unreadable(path: path, reason: String(cString: strerror(errno)))
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .unreadable(path: path, reason: "not a regular file") }
        size = Int(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }
}
