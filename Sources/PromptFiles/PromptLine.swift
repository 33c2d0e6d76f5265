// The lines that reading a prompt file returns, and its errors.

public import OpenAIFormats

/// A valid request of a prompt file.
public struct PromptLine: Sendable, Hashable {
    /// The line number in the file, from 1; blank lines count.
    public var lineNumber: Int
    /// The line's `custom_id`; `line-<lineNumber>` for a short-form line without one.
    public var customID: String
    /// The endpoint of the request.
    public var endpoint: Endpoint
    /// The model named in the body.
    public var model: String?
    /// The body as canonical JSON (same order, no spaces), which is stored and which `RequestBody.parse` reads. For a
    /// short-form line it has the same fields without `custom_id`.
    public var body: [UInt8]
    /// The prefix of body field names in messages about the line: `body.`, or empty in the short form.
    public var fieldPrefix: String
    /// The parsed body, as `RequestBody.parse` returns it for `body`.
    public var request: RequestBody
}

/// A line of a prompt file that cannot be run.
public struct InvalidLine: Sendable, Hashable {
    /// The line number in the file, from 1; blank lines count.
    public var lineNumber: Int
    /// An id that no other line of the file has: the line's own if it is valid, else one made from its number.
    public var customID: String
    /// The endpoint, if the line names a supported one.
    public var endpoint: Endpoint?
    /// At least one.
    public var errors: [LineError]
}

/// A line of a prompt file that is not blank.
public enum PromptFileLine: Sendable, Hashable {
    case valid(PromptLine)
    case invalid(InvalidLine)

    /// The line number in the file, from 1; blank lines count.
    public var lineNumber: Int {
        switch self {
        case .valid(let line): line.lineNumber
        case .invalid(let line): line.lineNumber
        }
    }

    /// The `custom_id`, which no other line has.
    public var customID: String {
        switch self {
        case .valid(let line): line.customID
        case .invalid(let line): line.customID
        }
    }
}

/// A file that cannot be read at all.
public enum PromptFileError: Error, Sendable, Hashable, CustomStringConvertible {
    case cannotOpen(path: String, reason: String)
    case cannotRead(path: String, line: Int, reason: String)
    /// The compressed data ends too early, or is damaged.
    case damaged(path: String, line: Int, packing: Packing, reason: String)
    /// The file as a whole is not JSONL; `command` converts and enqueues it.
    case otherKind(path: String, FileKind, command: String?)

    /// The reason in one line, starting with the file.
    public var description: String {
        switch self {
        case .cannotOpen(let path, let reason): "\(path): cannot be opened: \(reason)"
        case .cannotRead(let path, let line, let reason): "\(path): cannot be read after line \(line): \(reason)"
        case .damaged(let path, let line, let packing, let reason):
            "\(path): the \(packing.rawValue) data is damaged\(line > 0 ? " after line \(line)" : ""): \(reason); "
                + "copy or pack the file again"
        case .otherKind(let path, let kind, let command):
            "\(path): \(kind.complaint). "
                + (command.map { "Convert it: \($0)" } ?? "Give a file of JSON lines")
        }
    }
}
