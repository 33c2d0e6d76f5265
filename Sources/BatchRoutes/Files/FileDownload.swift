// The contents of a file as an answer: whole, a range of bytes, or what is behind some lines.

import Glibc
import HTTPExchange
import Hummingbird
import StoreContract

/// What is to be sent.
enum FileContent: Sendable {
    /// The contents at a path.
    case uploaded(String, bytes: Int64)
    /// Results, written as they are read.
    case results(ResultFileKind, BatchSummary)
}

/// Sends contents of files with bounded memory.
struct FileDownload: Sendable {
    let store: any ServedStore
    let threads: BlockingThreads
    let memory: ResultFileMemory

    /// The answer to a request for contents.
    func answer(_ content: FileContent, _ request: Request) async throws -> Response {
        let lines = try offset(request)
        let total = try await threads.run { try bytes(of: content) }
        let range: ByteRange?
        do {
            range = try request.headers[.range].map { try ByteRange($0, of: total) } ?? nil
        } catch let error as APIError {
            var refusal = Response(error)
            // A client that has the whole file already learns so from the size.
            refusal.headers[.contentRange] = "bytes */\(total)"
            return refusal
        }
        var response = Response(
            status: range == nil ? .ok : .partialContent,
            headers: [.contentType: "application/octet-stream", .acceptRanges: "bytes"])
        if let range { response.headers[.contentRange] = "bytes \(range.first)-\(range.last)/\(total)" }
        switch content {
        case .uploaded(let path, let bytes):
            if lines != nil { throw APIError.invalid("offset is for files of results", param: "offset") }
            // Opened before the answer begins: who deletes the file then takes it from nobody who reads it.
            guard let file = try await threads.run({ try OpenedFile(path) }) else {
                throw APIError.notFound("the file was deleted meanwhile", param: "file_id")
            }
            response.body = body(of: file, range ?? ByteRange(first: 0, last: bytes - 1))
        case .results(let kind, let batch):
            response.headers[.init("X-Incomplete")!] = batch.status.isTerminal ? "false" : "true"
            response.headers[.init("X-Last-Line")!] = "\(kind.lineCount(in: batch.counts))"
            // Only what is behind some lines has a length that nobody has counted.
            let whole = lines == nil ? ByteRange(first: 0, last: total - 1) : nil
            response.body = body(of: kind, batch, behind: lines ?? 0, range ?? whole)
        }
        return response
    }

    private func offset(_ request: Request) throws(APIError) -> Int64? {
        guard let text = request.uri.queryParameters.get("offset") else { return nil }
        guard let lines = Int64(text), lines >= 0 else {
            throw .invalid("offset \(APIError.quoted(text)) is not a number of lines", param: "offset")
        }
        if request.headers[.range] != nil { throw .invalid("give offset or a Range, not both", param: "offset") }
        return lines
    }

    private func bytes(of content: FileContent) throws -> Int64 {
        switch content {
        case .uploaded(_, let bytes): bytes
        case .results(let kind, let batch): try memory.bytes(of: kind, batch, store)
        }
    }

    private func body(of file: OpenedFile, _ range: ByteRange) -> ResponseBody {
        ResponseBody(contentLength: Int(range.count)) { [threads] writer in
            var position = range.first
            while position <= range.last {
                let count = Int(min(256 << 10, range.last - position + 1))
                let chunk = try await threads.run { [position] in try file.read(count, at: position) }
                guard !chunk.isEmpty else { throw CutShort() }
                position += Int64(chunk.count)
                try await writer.write(ByteBuffer(bytes: chunk))
            }
            try await writer.finish(nil)
        }
    }

    private func body(
        of kind: ResultFileKind, _ batch: BatchSummary, behind lines: Int64, _ range: ByteRange?
    ) -> ResponseBody {
        ResponseBody(contentLength: range.map { Int($0.count) }) { [self] writer in
            let file = batch.files[kind]
            let end = kind.lineCount(in: batch.counts)
            let start = file.map { memory.place(in: $0, behind: lines) } ?? ResultFilePlace()
            var reader = ResultFileReader(kind, of: batch, from: store, behind: start)
            var (line, position) = (start.lines, Int64(0))
            while line < end, range.map({ position <= $0.last }) ?? true {
                let (page, after) = try await threads.run { [reader] in
                    var reader = reader
                    return (try reader.nextPage(), reader)
                }
                reader = after
                guard !page.isEmpty else { break }
                var output: [UInt8] = []
                // No more than the headers told: others may have ended meanwhile.
                for text in page where line < end {
                    line += 1
                    if line > lines { output += range?.part(of: text, at: position) ?? text[...] }
                    position += Int64(text.count)
                }
                if !output.isEmpty { try await writer.write(ByteBuffer(bytes: output)) }
            }
            // Its batch was deleted meanwhile.
            if let range, position <= range.last { throw CutShort() }
            if let file, reader.lines == end { memory.note(reader.place, in: file) }
            try await writer.finish(nil)
        }
    }
}

/// There is less than the head of the answer has told. The client learns it from the end of the connection: otherwise it would
/// take the next answer for the rest of this one.
private struct CutShort: Error {}

extension ResultFileKind {
    /// The lines of the file so far.
    func lineCount(in counts: JobCounts) -> Int64 {
        self == .output ? counts.succeeded : counts.failed + counts.expired + counts.cancelled
    }
}

/// A range of bytes of a file; not empty unless the file is.
struct ByteRange: Hashable, Sendable {
    let first: Int64
    let last: Int64

    var count: Int64 { last - first + 1 }

    init(first: Int64, last: Int64) {
        self.first = first
        self.last = last
    }

    /// Reads a header; nil if it is to be ignored, as one with several ranges is.
    ///
    /// - Throws: 416 if it is outside of the file. Source: RFC 9110, section 14.
    init?(_ header: String, of total: Int64) throws(APIError) {
        guard header.hasPrefix("bytes="), !header.contains(",") else { return nil }
        let ends = header.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2 else { return nil }
        switch (Self.number(ends[0]), Self.number(ends[1]), ends[0].isEmpty, ends[1].isEmpty) {
        case (nil, let count?, true, false):
            (first, last) = (max(0, total - count), count > 0 ? total - 1 : -1)
        case (let start?, nil, false, true): (first, last) = (start, total - 1)
        case (let start?, let end?, false, false) where start <= end: (first, last) = (start, min(end, total - 1))
        default: return nil
        }
        guard first <= last, first < total else {
            throw APIError(
                status: .rangeNotSatisfiable, type: "invalid_request_error",
                message: "the file has \(total) bytes; the range lies outside")
        }
    }

    /// A number of digits only: with a sign, its distance to another one could be too large for a number.
    private static func number(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (48...57).contains($0) } ? Int64(text) : nil
    }

    /// What of `bytes`, which begin at `position` of the file, is in the range.
    func part(of bytes: [UInt8], at position: Int64) -> ArraySlice<UInt8> {
        let start = Int(max(0, min(Int64(bytes.count), first - position)))
        let end = Int(max(0, min(Int64(bytes.count), last + 1 - position)))
        return start < end ? bytes[start..<end] : []
    }
}

/// A file opened for reading. Its methods block.
private final class OpenedFile: Sendable {
    private let descriptor: Int32

    /// Opens a file; nil if there is none.
    init?(_ path: String) throws {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw UploadError.system(operation: "open a file", errno: errno)
        }
    }

    deinit { close(descriptor) }

    func read(_ count: Int, at offset: Int64) throws -> [UInt8] {
        let chunk = [UInt8](unsafeUninitializedCapacity: count) { buffer, length in
            length = max(0, pread(descriptor, buffer.baseAddress!, count, off_t(offset)))
        }
        return chunk
    }
}
