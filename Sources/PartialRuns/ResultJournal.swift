// The results of an unfinished run, in a file beside the one that it makes: `OUT.partial`. Each result is there as soon as it
// is known, so that a run that is killed loses none, wherever it goes on.

import Glibc
import JSONText
import PromptFiles
import ResultExport
import Terminal

/// Takes results line by line, one process at a time.
final class ResultJournal: ResultSink {
    let path: String
    /// Where its first result begins, in bytes.
    let start: Int64
    private let descriptor: FileDescriptor
    private var buffer: [UInt8] = []
    let isAbandoned = false

    /// Opens the journal of `output`, or begins it.
    ///
    /// - Parameters:
    ///   - header: what all its results are of.
    ///   - resumes: whether there may be one.
    /// - Throws: `Failure`, `PromptFileError`
    init(of output: String, header: JSONValue, resumes: Bool) throws {
        path = output + ".partial"
        descriptor = try Self.locked(path)
        let size = lseek(descriptor.number, 0, SEEK_END)
        guard size == 0 || resumes else {
            throw Failure(
                .conflict,
                "\(path) has results of a run that did not come to its end: --resume goes on with it; or remove it")
        }
        let head = Array((header.text + "\n").utf8)
        start = Int64(head.count)
        var found = [UInt8](repeating: 0, count: head.count)
        let count = pread(descriptor.number, &found, found.count, 0)
        if !head.starts(with: found.prefix(max(0, count))) {
            let line = found.prefix(max(0, count)).split(separator: UInt8(ascii: "\n")).first ?? []
            throw Failure(
                .conflict,
                "\(path) is of another run, \(printable(String(decoding: line, as: UTF8.self))) and not \(header.text): "
                    + "choose another -o, or remove it to begin anew")
        }
        if count < head.count {
            // New, or killed while it was begun.
            guard ftruncate(descriptor.number, 0) == 0, lseek(descriptor.number, 0, SEEK_SET) == 0 else {
                throw descriptor.failure("cannot be written")
            }
            _ = try descriptor.write(head)
        } else {
            try dropTornEnd()
        }
    }

    /// Opens the file for this process alone.
    private static func locked(_ path: String) throws(Failure) -> FileDescriptor {
        while true {
            let descriptor = FileDescriptor(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666), name: path)
            guard descriptor.number >= 0 else { throw descriptor.failure("cannot be written") }
            guard flock(descriptor.number, LOCK_EX | LOCK_NB) == 0 else {
                let isTaken = errno == EWOULDBLOCK
                defer { close(descriptor.number) }
                guard isTaken else { throw descriptor.failure("cannot be locked") }
                throw Failure(.conflict, "\(path): another run is writing it; each needs an -o of its own")
            }
            // A run that ended at this moment has taken the name away.
            var (opened, named) = (stat(), stat())
            if fstat(descriptor.number, &opened) == 0, stat(path, &named) == 0, opened.st_ino == named.st_ino {
                return descriptor
            }
            close(descriptor.number)
        }
    }

    /// Takes away what is behind the first line that is no result: it was being written when power or process ended.
    private func dropTornEnd() throws {
        var end = start
        let lines = try ResultLines(path: path, from: end)
        do {
            while let result = try lines.next() {
                var last: UInt8 = 0
                let hasEnd = pread(descriptor.number, &last, 1, off_t(result.place.upperBound)) == 1
                guard hasEnd, last == UInt8(ascii: "\n") else { break }
                end = result.place.upperBound + 1
            }
        } catch is InvalidResultLine {}
        guard ftruncate(descriptor.number, off_t(end)) == 0, lseek(descriptor.number, off_t(end), SEEK_SET) == end
        else { throw descriptor.failure("cannot be written") }
    }

    func append(isText: Bool, _ encode: (inout [UInt8]) -> Void) { encode(&buffer) }

    func flush() throws {
        guard !buffer.isEmpty else { return }
        _ = try descriptor.write(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    func finish() throws {
        try flush()
        guard fsync(descriptor.number) == 0 else { throw descriptor.failure("cannot be made durable") }
    }

    /// Takes the file away; another one has its results.
    func remove() { unlink(path) }

    deinit {
        // Where no prompt has ended there is nothing to go on with.
        if lseek(descriptor.number, 0, SEEK_END) <= start { unlink(path) }
        close(descriptor.number)
    }
}
