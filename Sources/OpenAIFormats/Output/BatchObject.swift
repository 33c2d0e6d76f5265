// OpenAI's Batch object (`openai.types.Batch` of its Python package), for `show --json` and later the HTTP API.

public import JSONText

/// A batch in the form of OpenAI's API. Times are Unix seconds.
public struct BatchObject: Sendable, Hashable {
    /// The status of a batch.
    public enum Status: String, Sendable, CaseIterable {
        case validating, failed
        case inProgress = "in_progress"
        case finalizing, completed, expired, cancelling, cancelled
    }

    /// A problem of the input file.
    public struct InputError: Sendable, Hashable {
        /// A code for programs, e.g. `invalid_value`.
        public var code: String
        /// A message for people.
        public var message: String
        /// The path of the field.
        public var param: String?
        /// The line number in the input file, from 1.
        public var line: Int?

        /// Makes an error; `line` is nil if it does not belong to a line.
        public init(code: String, message: String, param: String? = nil, line: Int? = nil) {
            self.code = code
            self.message = message
            self.param = param
            self.line = line
        }

        /// Makes the error of a line.
        public init(_ problem: RequestProblem, line: Int) {
            self.init(code: problem.code.rawValue, message: problem.message, param: problem.field, line: line)
        }
    }

    /// The numbers of requests, by result.
    public struct RequestCounts: Sendable, Hashable {
        /// All requests of the batch.
        public var total: Int
        /// Requests that have a text.
        public var completed: Int
        /// Requests that ended without one.
        public var failed: Int

        /// Makes a count of requests.
        public init(total: Int, completed: Int, failed: Int) {
            self.total = total
            self.completed = completed
            self.failed = failed
        }
    }

    /// Tokens of all requests that have ended.
    public struct Usage: Sendable, Hashable {
        /// Tokens of the prompts.
        public var inputTokens: Int
        /// The tokens of the prompts whose keys and values were cached.
        public var cachedTokens: Int
        /// Generated tokens.
        public var outputTokens: Int
        /// The generated tokens that OpenAI counts as reasoning; always 0 here.
        public var reasoningTokens: Int

        /// Makes a count of tokens.
        public init(inputTokens: Int, cachedTokens: Int = 0, outputTokens: Int, reasoningTokens: Int = 0) {
            self.inputTokens = inputTokens
            self.cachedTokens = cachedTokens
            self.outputTokens = outputTokens
            self.reasoningTokens = reasoningTokens
        }
    }

    /// The times at which the batch reached its states; nil if it has not.
    public struct Times: Sendable, Hashable {
        /// It was submitted.
        public var created: Int64
        /// The first request began.
        public var inProgress: Int64?
        /// The end of the completion window.
        public var expires: Int64?
        /// The last request ended.
        public var finalizing: Int64?
        /// The output was ready.
        public var completed: Int64?
        /// The input file was rejected.
        public var failed: Int64?
        /// The completion window ended first.
        public var expired: Int64?
        /// The user cancelled it.
        public var cancelling: Int64?
        /// The cancellation was complete.
        public var cancelled: Int64?

        /// Makes the times of a batch that was only submitted.
        public init(created: Int64) {
            self.created = created
        }
    }

    /// `batch_…`
    public var id: String
    /// The endpoint of the requests.
    public var endpoint: Endpoint
    /// The requests' model.
    public var model: String?
    /// Why the input file was rejected.
    public var errors: [InputError] = []
    /// The identifier of the submitted file.
    public var inputFileID: String
    /// The time that the batch may run after its submission, in the client's words; nil: it is computed.
    public var window: String?
    /// The time that the batch may run after its submission, e.g. "24h" or "90m"; "none" without a deadline, because
    /// OpenAI's type requires a string.
    public var completionWindow: String {
        if let window { return window }
        guard let expires = times.expires else { return "none" }
        let minutes = max(1, (expires - times.created + 30) / 60)
        return minutes % 60 == 0 ? "\(minutes / 60)h" : "\(minutes)m"
    }

    /// The status of the batch.
    public var status: Status
    /// The file of results, once it exists.
    public var outputFileID: String?
    /// The file of errors, once it exists.
    public var errorFileID: String?
    /// When it reached its states.
    public var times: Times
    /// The numbers of its requests, by result.
    public var requestCounts: RequestCounts?
    /// The tokens of its requests.
    public var usage: Usage?
    /// At most 16 pairs, in this order.
    public var metadata: [JSONValue.Member] = []

    /// Makes a batch without the optional members.
    public init(id: String, endpoint: Endpoint, inputFileID: String, status: Status, createdAt: Int64) {
        self.id = id
        self.endpoint = endpoint
        self.inputFileID = inputFileID
        self.status = status
        times = Times(created: createdAt)
    }

    /// The object as JSON, with members in the order of OpenAI's reference; absent values are null.
    public var json: JSONValue {
        [
            "id": .string(id),
            "object": "batch",
            "endpoint": .string(endpoint.rawValue),
            "model": optional(model),
            "errors": errors.isEmpty ? nil : ["object": "list", "data": .array(errors.map(\.json))],
            "input_file_id": .string(inputFileID),
            "completion_window": .string(completionWindow),
            "status": .string(status.rawValue),
            "output_file_id": optional(outputFileID),
            "error_file_id": optional(errorFileID),
            "created_at": .int(times.created),
            "in_progress_at": optional(times.inProgress),
            "expires_at": optional(times.expires),
            "finalizing_at": optional(times.finalizing),
            "completed_at": optional(times.completed),
            "failed_at": optional(times.failed),
            "expired_at": optional(times.expired),
            "cancelling_at": optional(times.cancelling),
            "cancelled_at": optional(times.cancelled),
            "request_counts": requestCounts?.json ?? nil,
            "usage": usage?.json ?? nil,
            "metadata": metadata.isEmpty ? nil : .object(metadata),
        ]
    }

    /// Appends the object as JSON without spaces or a line end.
    public func encode(into output: inout [UInt8]) {
        json.encode(into: &output)
    }
}

private func optional(_ value: String?) -> JSONValue { value.map { .string($0) } ?? nil }
private func optional(_ value: Int64?) -> JSONValue { value.map { .int($0) } ?? nil }

extension [BatchObject.InputError] {
    /// The errors as a JSON array, for stores.
    public var json: String { JSONValue.array(map(\.json)).text }

    /// Parses what `json` writes; nil if the text is not such.
    public init?(json text: String) {
        guard case .array(let elements)? = try? JSONValue(parsing: Array<UInt8>(text.utf8)) else { return nil }
        self = elements.compactMap { element in
            guard case .string(let code)? = element["code"], case .string(let message)? = element["message"] else {
                return nil
            }
            var error = BatchObject.InputError(code: code, message: message)
            if case .string(let param)? = element["param"] { error.param = param }
            if case .int(let line)? = element["line"] { error.line = Int(line) }
            return error
        }
    }
}

extension BatchObject.InputError {
    fileprivate var json: JSONValue {
        [
            "code": .string(code), "message": .string(message), "param": optional(param),
            "line": optional(line.map { Int64($0) }),
        ]
    }
}

extension BatchObject.RequestCounts {
    fileprivate var json: JSONValue {
        ["total": .int(Int64(total)), "completed": .int(Int64(completed)), "failed": .int(Int64(failed))]
    }
}

extension BatchObject.Usage {
    fileprivate var json: JSONValue {
        [
            "input_tokens": .int(Int64(inputTokens)),
            "input_tokens_details": ["cached_tokens": .int(Int64(cachedTokens))],
            "output_tokens": .int(Int64(outputTokens)),
            "output_tokens_details": ["reasoning_tokens": .int(Int64(reasoningTokens))],
            "total_tokens": .int(Int64(inputTokens + outputTokens)),
        ]
    }
}
