// A result as a value: what became of one request. Its encodings are in the files beside this one.

/// A line of a batch's output.
public struct OutputLine: Sendable, Hashable {
    /// The line's id, `batch_req_…`.
    public var id: String
    /// The request's `custom_id`.
    public var customID: String
    /// What became of the request.
    public var outcome: Outcome
    /// Where the job's time went; nil for a job that never ran.
    public var timings: Timings?

    /// What became of the request.
    public enum Outcome: Sendable, Hashable {
        case completed(Completion)
        /// The request was looked at and refused: an HTTP status of at least 400 and OpenAI's error object.
        case refused(Refusal)
        /// The request never ran to an end.
        case notRun(NotRunReason, message: String)
    }

    /// Where a job's time went, in milliseconds of wall-clock time.
    public struct Timings: Sendable, Hashable {
        /// From enqueuing to the first prefill step.
        public var queued: Int64
        /// In prefill steps.
        public var prefill: Int64
        /// From the first token to the last.
        public var decode: Int64
        /// From enqueuing to the end.
        public var total: Int64
        /// The attempt that gave this outcome, counted from 1.
        public var attempt: Int

        /// Times of one job.
        public init(queued: Int64, prefill: Int64, decode: Int64, total: Int64, attempt: Int) {
            self.queued = queued
            self.prefill = prefill
            self.decode = decode
            self.total = total
            self.attempt = attempt
        }
    }

    /// Joins a request and its outcome.
    public init(id: String, customID: String, outcome: Outcome, timings: Timings? = nil) {
        self.id = id
        self.customID = customID
        self.outcome = outcome
        self.timings = timings
    }
}

/// The text that a request got, and the facts of its OpenAI response object.
public struct Completion: Sendable, Hashable {
    /// Why the text ended.
    public enum FinishReason: String, Sendable, CaseIterable {
        /// The end-of-sequence token, or what the request named as a stop.
        case stop
        /// `max_tokens`, or the model's context was full.
        case length
    }

    /// What of the request ended the text, as vLLM's `stop_reason`.
    public enum StopReason: Sendable, Hashable {
        /// One of its stop strings.
        case string(String)
        /// One of its stop tokens.
        case token(Int32)
    }

    /// Decides the object: `text_completion` or `chat.completion`.
    public var endpoint: Endpoint
    /// `req_…`
    public var requestID: String
    /// `cmpl-…` or `chatcmpl-…`
    public var id: String
    /// Unix seconds.
    public var created: Int64
    /// The model that ran, as the request or the daemon names it.
    public var model: String
    /// What the model wrote.
    public var text: String
    /// Why it ended there.
    public var finishReason: FinishReason
    /// What of the request ended it; nil where the end-of-sequence token or the length did.
    public var stopReason: StopReason?
    /// Tokens of the prompt, as the model saw it.
    public var promptTokens: Int
    /// Of these, tokens that did not have to be computed again.
    public var cachedTokens: Int
    /// Tokens generated.
    public var completionTokens: Int
    /// Present where the request asked for `return_token_ids`.
    public var tokenIDs: TokenIDs?

    /// The ids of what went in and what came out.
    public struct TokenIDs: Sendable, Hashable {
        /// The ids of the prompt.
        public var prompt: [Int32]
        /// The ids generated.
        public var completion: [Int32]

        /// Joins both.
        public init(prompt: [Int32], completion: [Int32]) {
            self.prompt = prompt
            self.completion = completion
        }
    }

    /// A completion with one choice.
    public init(
        endpoint: Endpoint, requestID: String, id: String, created: Int64, model: String, text: String,
        finishReason: FinishReason, stopReason: StopReason? = nil, promptTokens: Int, cachedTokens: Int = 0,
        completionTokens: Int, tokenIDs: TokenIDs? = nil
    ) {
        self.endpoint = endpoint
        self.requestID = requestID
        self.id = id
        self.created = created
        self.model = model
        self.text = text
        self.finishReason = finishReason
        self.stopReason = stopReason
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.completionTokens = completionTokens
        self.tokenIDs = tokenIDs
    }
}

/// Why a request was refused, as an HTTP server would say it.
public struct Refusal: Sendable, Hashable {
    /// `req_…`
    public var requestID: String
    /// At least 400.
    public var status: Int
    /// For programs: `context_length_exceeded`.
    public var code: String?
    /// For people.
    public var message: String
    /// The field that is to blame.
    public var param: String?

    /// A refusal; `status` must be 400 to 599.
    public init(requestID: String, status: Int, code: String?, message: String, param: String? = nil) {
        precondition((400..<600).contains(status), "a refusal has an HTTP error status")
        self.requestID = requestID
        self.status = status
        self.code = code
        self.message = message
        self.param = param
    }

    /// OpenAI's error type for the status.
    var type: String { status < 500 ? "invalid_request_error" : "server_error" }
}

/// Why a request never ran to an end. The raw value is the line's error code.
public enum NotRunReason: String, Sendable, Hashable, CaseIterable {
    case expired = "batch_expired"
    case cancelled = "batch_cancelled"
    case failed = "batch_failed"
}

extension OutputLine {
    /// The job's final state: succeeded, failed, cancelled or expired.
    var state: String {
        switch outcome {
        case .completed: "succeeded"
        case .refused, .notRun(.failed, _): "failed"
        case .notRun(.cancelled, _): "cancelled"
        case .notRun(.expired, _): "expired"
        }
    }
}
