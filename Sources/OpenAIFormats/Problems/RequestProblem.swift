// What is wrong with a request, told so that a person can mend it and a program can sort it.

/// One thing wrong with one request.
public struct RequestProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of problem, as a stable word for programs (`rawValue` is what is stored and printed).
    public enum Code: String, Sendable, CaseIterable {
        case invalidJSON = "invalid_json"
        case invalidUTF8 = "invalid_utf8"
        case lineTooLong = "line_too_long"
        case missingField = "missing_field"
        case unknownField = "unknown_field"
        /// A field of OpenAI's or vLLM's that ttbatch cannot honour yet.
        case unsupportedField = "unsupported_field"
        case invalidType = "invalid_type"
        case invalidValue = "invalid_value"
        case duplicateKey = "duplicate_key"
        case duplicateCustomID = "duplicate_custom_id"
        case modelMismatch = "model_mismatch"
        /// OpenAI's word for it.
        case modelNotFound = "model_not_found"
        case emptyPrompt = "empty_prompt"
        case contextLengthExceeded = "context_length_exceeded"
        case tokenOutOfRange = "token_out_of_range"
    }

    /// Where in the line the problem is.
    public enum Place: Sendable, Hashable {
        case wholeLine
        /// A byte of the line, counted from 1 (a byte order mark is not counted).
        case column(Int)
        /// A field by its path: `body.temperature`, `body.messages[2].content`.
        case field(String)
    }

    /// The kind.
    public var code: Code
    /// Where it is.
    public var place: Place
    /// The offending value as JSON, shortened; nil where there is none to show.
    public var value: String?
    /// What is wrong, as the predicate of `value` where there is one: "is below 0".
    public var complaint: String
    /// What to do about it.
    public var remedy: String?

    /// Tells what is wrong at a place.
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

    /// The field's path, where the problem lies in a field.
    public var field: String? {
        guard case .field(let path) = place else { return nil }
        return path
    }

    /// The same as OpenAI's errors name it: without `body.` before it.
    public var param: String? {
        guard let field else { return nil }
        return field.hasPrefix("body.") ? String(field.dropFirst("body.".count)) : field
    }

    /// The problem in one line, its place first.
    public var description: String {
        switch place {
        case .wholeLine: message
        case .column(let column): "column \(column): \(message)"
        case .field(let path): "\(path): \(message)"
        }
    }
}

/// A request body that cannot be run; every problem found in it.
public struct InvalidRequest: Error, Sendable, CustomStringConvertible {
    /// At least one.
    public var problems: [RequestProblem]

    /// The problems, one on each line.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
