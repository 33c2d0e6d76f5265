// A problem of a request, with a message that helps people to repair it and a code for programs.

/// One problem of one request.
public struct RequestProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of the problem, as a stable word for programs. The `rawValue` is stored and printed.
    public enum Code: String, Sendable, CaseIterable {
        case invalidJSON = "invalid_json"
        case invalidUTF8 = "invalid_utf8"
        case lineTooLong = "line_too_long"
        case missingField = "missing_field"
        case unknownField = "unknown_field"
        /// A field of OpenAI's or vLLM's API that ttbatch does not support.
        case unsupportedField = "unsupported_field"
        case invalidType = "invalid_type"
        case invalidValue = "invalid_value"
        case duplicateKey = "duplicate_key"
        case duplicateCustomID = "duplicate_custom_id"
        /// The name is OpenAI's.
        case urlMismatch = "url_mismatch"
        case modelMismatch = "model_mismatch"
        /// The name is OpenAI's.
        case modelNotFound = "model_not_found"
        case emptyPrompt = "empty_prompt"
        case contextLengthExceeded = "context_length_exceeded"
        case tokenOutOfRange = "token_out_of_range"
    }

    /// The place of the problem in the line.
    public enum Place: Sendable, Hashable {
        case wholeLine
        /// A byte of the line, from 1 (a byte order mark does not count).
        case column(Int)
        /// The path of a field: `body.temperature`, `body.messages[2].content`.
        case field(String)
    }

    /// The kind.
    public var code: Code
    /// Where it is.
    public var place: Place
    /// The invalid value as shortened JSON; nil if there is none to show.
    public var value: String?
    /// What is wrong, as a predicate for `value` if there is one: "is below 0".
    public var complaint: String
    /// What to do about it.
    public var remedy: String?

    /// Makes a problem.
    public init(code: Code, place: Place, value: String? = nil, complaint: String, remedy: String? = nil) {
        self.code = code
        self.place = place
        self.value = value
        self.complaint = complaint
        self.remedy = remedy
    }

    /// The problem in one line, without its place: `-1 is below 0; use 0 (greedy) to 2`.
    public var message: String {
        let what = value.map { "\($0) \(complaint)" } ?? complaint
        return remedy.map { "\(what); \($0)" } ?? what
    }

    /// The path of the field, if the problem is in a field.
    public var field: String? {
        guard case .field(let path) = place else { return nil }
        return path
    }

    /// The path as in OpenAI's errors: without `body.`.
    public var param: String? {
        guard let field else { return nil }
        return field.hasPrefix("body.") ? String(field.dropFirst("body.".count)) : field
    }

    /// The problem in one line, starting with its place.
    public var description: String {
        switch place {
        case .wholeLine: message
        case .column(let column): "column \(column): \(message)"
        case .field(let path): "\(path): \(message)"
        }
    }
}

/// A request body that cannot be run, with every problem found in it.
public struct InvalidRequest: Error, Sendable, CustomStringConvertible {
    /// At least one.
    public var problems: [RequestProblem]

    /// The problems, one per line.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
