// What reading a prompt file gives, line by line.

public import OpenAIFormats

/// A valid request of a prompt file.
public struct PromptLine: Sendable, Hashable {
    /// The line in the file, counted from 1, blank lines included.
    public var lineNumber: Int
    /// The line's `custom_id`; `line-<lineNumber>` where a short-form line has none.
    public var customID: String
    /// What the request asks for.
    public var endpoint: Endpoint
    /// The model that the body names.
    public var model: String?
    /// The body as canonical JSON (order kept, no spaces): what is stored, and what `RequestBody.parse` reads. For a
    /// short-form line the same fields without `custom_id`.
    public var body: [UInt8]
    /// What stands before a body field's name where the line's fields are told: `body.`, or nothing in the short form.
    public var fieldPrefix: String
    /// The body as values: what `RequestBody.parse` makes of `body`.
    public var request: RequestBody
}

/// A line of a prompt file that cannot be run.
public struct InvalidLine: Sendable, Hashable {
    /// The line in the file, counted from 1, blank lines included.
    public var lineNumber: Int
    /// An id for the line that no other line of the file has: its own if it can be used, else made from its number.
    public var customID: String
    /// The endpoint, if the line names one of those that exist.
    public var endpoint: Endpoint?
    /// At least one.
    public var errors: [LineError]
}

/// A line of a prompt file that is not blank.
public enum PromptFileLine: Sendable, Hashable {
    case valid(PromptLine)
    case invalid(InvalidLine)
}

/// A file that cannot be read at all.
public enum PromptFileError: Error, Sendable, Hashable, CustomStringConvertible {
    case cannotOpen(path: String, reason: String)
    case cannotRead(path: String, line: Int, reason: String)
    /// What is packed ends too early, or is not what was packed.
    case damaged(path: String, line: Int, packing: Packing, reason: String)
    /// The file as a whole is something else than JSONL; `command` enqueues it all the same.
    case otherKind(path: String, FileKind, command: String?)

    /// The reason in one line, the file first.
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
