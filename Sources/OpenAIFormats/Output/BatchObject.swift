// OpenAI's Batch object (`openai.types.Batch` of its Python package), for `show --json` and later the HTTP API.

/// A batch as OpenAI's API describes it. Times are Unix seconds.
public struct BatchObject: Sendable, Hashable {
    /// Where the batch stands.
    public enum Status: String, Sendable, CaseIterable {
        case validating, failed
        case inProgress = "in_progress"
        case finalizing, completed, expired, cancelling, cancelled
    }

    /// A problem of the input file.
    public struct InputError: Sendable, Hashable {
        /// For programs: `invalid_value`.
        public var code: String
        /// For people.
        public var message: String
        /// The field's path.
        public var param: String?
        /// The line of the input file, counted from 1.
        public var line: Int?

        /// Makes an error that need not belong to a line.
        public init(code: String, message: String, param: String? = nil, line: Int? = nil) {
            self.code = code
            self.message = message
            self.param = param
            self.line = line
        }

        /// The error of a line, as the object has it.
        public init(_ problem: RequestProblem, line: Int) {
            self.init(code: problem.code.rawValue, message: problem.message, param: problem.field, line: line)
        }
    }

    /// How many requests there are and how many have ended.
    public struct RequestCounts: Sendable, Hashable {
        /// All requests of the batch.
        public var total: Int
        /// Requests that have a text.
        public var completed: Int
        /// Requests that ended without one.
        public var failed: Int

        /// Counts requests.
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
        /// Those of them whose keys and values were found in the cache.
        public var cachedTokens: Int
        /// Tokens generated.
        public var outputTokens: Int
        /// Those of them that OpenAI would call reasoning; 0 here.
        public var reasoningTokens: Int

        /// Counts tokens.
        public init(inputTokens: Int, cachedTokens: Int = 0, outputTokens: Int, reasoningTokens: Int = 0) {
            self.inputTokens = inputTokens
            self.cachedTokens = cachedTokens
            self.outputTokens = outputTokens
            self.reasoningTokens = reasoningTokens
        }
    }

    /// When the batch reached each of its states; nil where it has not.
    public struct Times: Sendable, Hashable {
        /// Submitted.
        public var created: Int64
        /// The first request began.
        public var inProgress: Int64?
        /// The completion window ends.
        public var expires: Int64?
        /// The last request ended.
        public var finalizing: Int64?
        /// The output was ready.
        public var completed: Int64?
        /// The input file was refused.
        public var failed: Int64?
        /// The completion window ended first.
        public var expired: Int64?
        /// The user asked for an end.
        public var cancelling: Int64?
        /// It came to an end.
        public var cancelled: Int64?

        /// A batch that has only been submitted.
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
    /// Why the input file was refused.
    public var errors: [InputError] = []
    /// The submitted file.
    public var inputFileID: String
    /// How long after its submission the batch may run, in the form "24h" or "90m"; "none" where there is no deadline, since
    /// OpenAI's type wants a text.
    public var completionWindow: String {
        guard let expires = times.expires else { return "none" }
        let minutes = max(1, (expires - times.created + 30) / 60)
        return minutes % 60 == 0 ? "\(minutes / 60)h" : "\(minutes)m"
    }

    /// Where the batch stands.
    public var status: Status
    /// The file of texts, once there is one.
    public var outputFileID: String?
    /// The file of failures, once there is one.
    public var errorFileID: String?
    /// When it got there.
    public var times: Times
    /// How many requests have ended.
    public var requestCounts: RequestCounts?
    /// What they took.
    public var usage: Usage?
    /// At most 16 pairs, in this order.
    public var metadata: [JSONValue.Member] = []

    /// A batch of which nothing else is known yet.
    public init(id: String, endpoint: Endpoint, inputFileID: String, status: Status, createdAt: Int64) {
        self.id = id
        self.endpoint = endpoint
        self.inputFileID = inputFileID
        self.status = status
        times = Times(created: createdAt)
    }

    /// The object as JSON, members in the order of OpenAI's reference; absent values are null.
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
