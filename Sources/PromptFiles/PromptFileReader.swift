// Reads a prompt file line by line with bounded memory, for `enqueue` and `validate`.

private import Glibc
import JSONText
import OpenAIFormats

/// Reads the requests of a JSONL file or of standard input.
///
/// The format is UTF-8 with one JSON object per line, and LF or CRLF. A byte order mark at the start and a missing end
/// of the last line are accepted. Blank lines are counted and skipped. gzip and zstd files are decompressed while they
/// are read. If the whole file is something else (a JSON array, a table, text …), that is an error of the file, not of
/// its lines. Reading blocks, so use a thread of its own.
public final class PromptFileReader {
    /// Limits for reading.
    public struct Options: Sendable {
        /// The maximum length of a line, in bytes. Memory is a small multiple of the longest line.
        public var lineLimit = 64 << 20
        /// The number of bytes to read at once.
        public var readSize = 1 << 20
        /// Reading stops after the line in which the number of errors reaches this; nil: no limit.
        public var maxErrors: Int?

        /// Makes the default options: the whole file is read.
        public init() {}
    }

    /// The counts of the lines read so far.
    public struct Summary: Sendable, Hashable {
        /// Lines that can be run.
        public var validLines = 0
        /// Lines that cannot be run.
        public var invalidLines = 0
        /// Lines that contain only white space.
        public var blankLines = 0
        /// The number of errors in the invalid lines.
        public var errors = 0
        /// Whether `maxErrors` was reached, so that the rest of the file was not read.
        public var stoppedAtMaxErrors = false
    }

    /// The file's name in messages.
    public let name: String
    /// The counts of the lines that `next` has returned so far.
    public private(set) var summary = Summary()

    private let options: Options
    /// A descriptor that is closed at the end; nil if there is none of this reader's own.
    private let ownDescriptor: CInt?
    private let bytes: FileBytes
    private let splitter: LineSplitter
    /// A line that was read ahead, and the blank lines before it.
    private var heldLine: LineSplitter.Line?
    private var heldBlankLines = 0
    private var hasSeenLine = false
    private let parser = JSONParser()
    private var customIDs = CustomIDSet()
    private var lineNumber = 0

    /// The name of standard input in messages.
    public static let standardInputName = "<stdin>"

    /// Opens the file at `path`; `-` is standard input.
    public convenience init(path: String, options: Options = Options()) throws(PromptFileError) {
        guard path != "-" else {
            self.init(descriptor: STDIN_FILENO, name: Self.standardInputName, options: options)
            return
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .cannotOpen(path: path, reason: String(cString: strerror(errno)))
        }
        self.init(PromptFiles.bytes(of: descriptor), name: path, options: options, ownDescriptor: descriptor)
    }

    /// Reads from a file descriptor, which the caller closes.
    public convenience init(descriptor: Int32, name: String, options: Options = Options()) {
        self.init(PromptFiles.bytes(of: descriptor), name: name, options: options)
    }

    /// Reads what `input` gives.
    public convenience init(reading input: @escaping ByteInput, name: String, options: Options = Options()) {
        self.init(input, name: name, options: options)
    }

    private init(_ input: @escaping ByteInput, name: String, options: Options, ownDescriptor: CInt? = nil) {
        self.name = name
        self.options = options
        self.ownDescriptor = ownDescriptor
        let readSize = max(1, options.readSize)
        bytes = FileBytes(input, readSize: min(readSize, 1 << 18))
        splitter = LineSplitter(bytes, readSize: readSize, limit: options.lineLimit)
    }

    deinit {
        if let ownDescriptor { close(ownDescriptor) }
    }

    /// The next line that is not blank; nil at the end of the file, or once `maxErrors` errors have been found.
    ///
    /// - Throws: `PromptFileError` if the file cannot be read, is damaged, or is not JSONL.
    public func next() throws(PromptFileError) -> PromptFileLine? {
        if lineNumber == 0 { try checkBeginning() }
        while !summary.stoppedAtMaxErrors {
            let line = try nextLine()
            lineNumber += heldBlankLines
            summary.blankLines += heldBlankLines
            heldBlankLines = 0
            guard let line else { return nil }
            lineNumber += 1
            switch line {
            case .tooLong:
                return invalid([tooLong])
            case .text(let text) where Self.isBlank(text):
                summary.blankLines += 1
            case .text(let text):
                return try read(text)
            }
        }
        return nil
    }

    private func nextLine() throws(PromptFileError) -> LineSplitter.Line? {
        if let line = heldLine {
            heldLine = nil
            return line
        }
        do { return try splitter.next() } catch { throw failure(error) }
    }

    private func failure(_ error: ReadFailure) -> PromptFileError {
        switch error {
        case .system(let number):
            .cannotRead(path: name, line: lineNumber, reason: String(cString: strerror(number)))
        case .damaged(let packing, let reason):
            .damaged(path: name, line: lineNumber, packing: packing, reason: reason)
        }
    }

    private static func isBlank(_ text: UnsafeRawBufferPointer) -> Bool {
        text.allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
    }

    private func read(_ text: UnsafeRawBufferPointer) throws(PromptFileError) -> PromptFileLine {
        let isFirst = !hasSeenLine
        hasSeenLine = true
        let root: JSONNode
        do {
            root = try parser.parse(padded: text)
        } catch .outOfMemory {
            let complaint = "memory ran out while the line was read"
            return invalid([RequestProblem(code: .lineTooLong, place: .wholeLine, complaint: complaint)])
        } catch {
            let fault = JSONSyntaxScanner.fault(in: Array(text), of: .line)
            let line = FileKind.FirstLine(text, fault: fault)
            if isFirst { try checkKind(line) }
            return invalid([line.isText ? Self.textProblem : fault.asProblem])
        }
        if isFirst, root.kind == .string { try checkKind(.string) }
        if isFirst, root.kind == .array { try checkKind(.wholeArray) }
        let line = RequestLineReader(root, length: text.count)
        var problems = line.problems
        let customID = claimID(of: line, &problems)
        guard problems.found.isEmpty, let customID, let request = line.request, let endpoint = line.endpoint else {
            return invalid(problems.found, customID: customID, endpoint: line.endpoint)
        }
        summary.validLines += 1
        return .valid(
            PromptLine(
                lineNumber: lineNumber, customID: customID, endpoint: endpoint, model: request.model, body: line.body,
                fieldPrefix: line.fieldPrefix, request: request))
    }

    private func invalid(
        _ problems: [RequestProblem], customID: String? = nil, endpoint: Endpoint? = nil
    ) -> PromptFileLine {
        summary.invalidLines += 1
        summary.errors += problems.count
        if let most = options.maxErrors, summary.errors >= most { summary.stoppedAtMaxErrors = true }
        let errors = problems.map { LineError(file: name, line: lineNumber, problem: $0) }
        return .invalid(
            InvalidLine(lineNumber: lineNumber, customID: customID ?? madeID(), endpoint: endpoint, errors: errors))
    }
}

// Checks whether the file contains JSON lines at all.
extension PromptFileReader {
    private func checkBeginning() throws(PromptFileError) {
        let kind: FileKind?
        do {
            kind = FileKind(beginning: try splitter.beginning(FileKind.beginningLength))
        } catch {
            throw failure(error)
        }
        if let kind { throw otherKind(kind) }
    }

    /// Throws if the first line, which is not a JSON object, and the next one show what the file is.
    private func checkKind(_ line: FileKind.FirstLine) throws(PromptFileError) {
        var begin: UInt8?
        while heldLine == nil, let next = try nextLine() {
            if case .text(let text) = next {
                begin = text.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
                if Self.isBlank(text) {
                    heldBlankLines += 1
                    continue
                }
            }
            heldLine = next
        }
        if let kind = FileKind(line, nextBegin: begin) { throw otherKind(kind) }
    }

    private func otherKind(_ kind: FileKind) -> PromptFileError {
        .otherKind(path: name, kind, command: kind.command(path: name, packing: bytes.packing))
    }
}

// Checks that need more than the line's own JSON.
extension PromptFileReader {
    private var tooLong: RequestProblem {
        RequestProblem(
            code: .lineTooLong, place: .wholeLine, complaint: "the line has more than \(options.lineLimit) bytes",
            remedy: "put one request on each line")
    }

    private static let textProblem = RequestProblem(
        code: .invalidJSON, place: .wholeLine, complaint: "the line is text, not a JSON object",
        remedy: "write it as {\"prompt\": …}")

    /// The line's own id; nil if an earlier line has it. A short-form line without an id gets `line-<n>`.
    private func claimID(of line: RequestLineReader, _ problems: inout ProblemCollector) -> String? {
        if line.customID == nil, !problems.found.isEmpty { return nil }
        let id = line.customID?.string ?? "line-\(lineNumber)"
        guard let earlier = customIDs.insert(id, line: lineNumber) else { return id }
        let isImplicit = line.customID == nil
        problems.add(
            RequestProblem(
                code: .duplicateCustomID, place: .field("custom_id"), value: Excerpt.quoted(id),
                complaint: "\(isImplicit ? "(made from the line's number) " : "")is the id of line \(earlier) already",
                remedy: isImplicit ? "give this line a custom_id" : "make it unique in the file"))
        return nil
    }

    /// An id for an invalid line without one.
    private func madeID() -> String {
        var id = "line-\(lineNumber)"
        while customIDs.insert(id, line: lineNumber) != nil { id += "-invalid" }
        return id
    }
}
