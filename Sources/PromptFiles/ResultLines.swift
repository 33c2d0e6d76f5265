// Reads files of results: of which prompt each line is, how that ended, and where the line is in the file.

private import Glibc
import JSONText

/// A line of a file of results.
public struct WrittenResult: Sendable, Hashable {
    /// How a prompt ended.
    public enum End: Sendable, Hashable {
        /// It has an answer.
        case succeeded
        /// It was refused: it would be again.
        case refused
        /// It did not run to its end.
        case notRun
    }

    /// The prompt's `custom_id`.
    public let customID: String
    /// How it ended.
    public let end: End
    /// Where the line is in the file, in bytes, without its end.
    public let place: Range<Int64>
}

/// Why a line of a file of results cannot be read.
public struct InvalidResultLine: Error, CustomStringConvertible {
    /// The file.
    public let path: String
    /// The line number, from 1.
    public let line: Int
    /// Where the line begins, in bytes.
    public let offset: Int64

    /// One line for people.
    public var description: String { "\(path):\(line): is not a result of a prompt, as OpenAI's batches have them" }
}

/// Reads the results of a file (OpenAI's batch output lines, not packed) one by one, with bounded memory.
public final class ResultLines {
    private static let longestLine = 1 << 30

    private let path: String
    private let descriptor: Int32
    private let splitter: LineSplitter
    private let parser = JSONParser()
    private var line = 0

    /// Opens the file at `path`.
    ///
    /// - Parameter offset: where the first line begins, in bytes.
    /// - Throws: `PromptFileError.cannotOpen`
    public init(path: String, from offset: Int64 = 0) throws(PromptFileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, reason: String(cString: strerror(errno))) }
        lseek(descriptor, Int(offset), SEEK_SET)
        let readSize = 1 << 20
        splitter = LineSplitter(
            FileBytes(bytes(of: descriptor), readSize: readSize), readSize: readSize, limit: Self.longestLine,
            from: offset)
    }

    deinit { close(descriptor) }

    /// The next result; nil at the end.
    ///
    /// - Throws: `InvalidResultLine`, `PromptFileError.cannotRead`
    public func next() throws -> WrittenResult? {
        while true {
            let start = splitter.offset
            let text: LineSplitter.Line?
            do { text = try splitter.next() } catch {
                throw PromptFileError.cannotRead(path: path, line: line, reason: "\(error)")
            }
            guard let text else { return nil }
            line += 1
            guard case .text(let bytes) = text else { throw InvalidResultLine(path: path, line: line, offset: start) }
            if bytes.isEmpty { continue }
            guard let root = try? parser.parse(padded: bytes), let (customID, end) = Self.end(in: root) else {
                throw InvalidResultLine(path: path, line: line, offset: start)
            }
            return WrittenResult(customID: customID, end: end, place: start..<start + Int64(bytes.count))
        }
    }

    private static func end(in root: JSONNode) -> (customID: String, WrittenResult.End)? {
        guard root.kind == .object else { return nil }
        var customID: String?
        var end: WrittenResult.End?
        for (key, value) in root.members {
            if key.isString("custom_id"), value.kind == .string { customID = value.string }
            guard key.isString("response") else { continue }
            if value.isNull { end = .notRun }
            guard value.kind == .object else { continue }
            for (key, status) in value.members where key.isString("status_code") && status.kind == .int {
                end = status.int == 200 ? .succeeded : .refused
            }
        }
        guard let customID, let end else { return nil }
        return (customID, end)
    }
}
