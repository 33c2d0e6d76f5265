// The result of one request as a value. Its encodings are in the other files of this folder.

public import Sampling

/// A line of a batch's output.
public struct OutputLine: Sendable, Hashable {
    /// The line's id, `batch_req_…`.
    public var id: String
    /// The request's `custom_id`.
    public var customID: String
    /// The result of the request.
    public var outcome: Outcome
    /// The times of the job; nil if it never ran.
    public var timings: Timings?

    /// The result of a request.
    public enum Outcome: Sendable, Hashable {
        case completed(Completion)
        /// The request was rejected, with an HTTP status of at least 400 and OpenAI's error object.
        case refused(Refusal)
        /// The request did not run to its end.
        case notRun(NotRunReason, message: String)
    }

    /// The times of a job, in milliseconds of wall-clock time.
    public struct Timings: Sendable, Hashable {
        /// From the enqueue to the first prefill step.
        public var queued: Int64
        /// Time in prefill steps.
        public var prefill: Int64
        /// From the first token to the last.
        public var decode: Int64
        /// From the enqueue to the end.
        public var total: Int64
        /// The number of the attempt that gave this result, from 1.
        public var attempt: Int

        /// Makes the times of one job.
        public init(queued: Int64, prefill: Int64, decode: Int64, total: Int64, attempt: Int) {
            self.queued = queued
            self.prefill = prefill
            self.decode = decode
            self.total = total
            self.attempt = attempt
        }
    }

    /// Makes the line of a request.
    public init(id: String, customID: String, outcome: Outcome, timings: Timings? = nil) {
        self.id = id
        self.customID = customID
        self.outcome = outcome
        self.timings = timings
    }
}

/// The generated texts of a request, and the other members of its OpenAI response object.
public struct Completion: Sendable, Hashable {
    /// The reason for the end of a text.
    public enum FinishReason: String, Sendable, CaseIterable {
        /// The end-of-sequence token, or a stop string or stop token of the request.
        case stop
        /// `max_tokens` was reached, or the model's context was full.
        case length
        /// The text calls tools.
        case toolCalls = "tool_calls"
    }

    /// Which part of the request ended a text, as vLLM's `stop_reason`.
    public enum StopReason: Sendable, Hashable {
        /// One of its stop strings.
        case string(String)
        /// One of its stop tokens.
        case token(Int32)
    }

    /// A text, and what was asked for beside it.
    public struct Choice: Sendable, Hashable {
        /// The generated text, without reasoning and calls.
        public var text: String
        /// The reasoning before it; nil if there is none.
        public var reasoning: String?
        /// The tools that it calls.
        public var toolCalls: [ToolCall]
        /// The probabilities of the values of a JSON text, as a JSON object; nil if they are not wanted or there are none.
        public var confidence: String?
        /// The scores of the texts that the request gave, as JSON; nil if the text was generated.
        public var scores: String?
        /// Why a part of the text that looks like a call is none, or could not be read; nil if there is no such part.
        public var unread: String?
        /// The reason for its end.
        public var finishReason: FinishReason
        /// Whether the text is all that the request's grammar wants; nil if it has none.
        public var isComplete: Bool?
        /// Which part of the request ended it; nil if the end-of-sequence token or the length did.
        public var stopReason: StopReason?
        /// Set if the request asked for `return_token_ids`.
        public var tokenIDs: TokenIDs?
        /// Set if the request asked for `logprobs`.
        public var logprobs: [ScoredPosition]?
        /// Set if the request asked for `prompt_logprobs`: those of the second token of the prompt and later ones.
        public var promptLogprobs: [ScoredPosition]?

        /// Makes a text.
        public init(
            text: String, reasoning: String? = nil, toolCalls: [ToolCall] = [], confidence: String? = nil,
            scores: String? = nil,
            unread: String? = nil,
            finishReason: FinishReason, isComplete: Bool? = nil, stopReason: StopReason? = nil,
            tokenIDs: TokenIDs? = nil,
            logprobs: [ScoredPosition]? = nil, promptLogprobs: [ScoredPosition]? = nil
        ) {
            self.text = text
            self.reasoning = reasoning
            self.toolCalls = toolCalls
            self.confidence = confidence
            self.scores = scores
            self.unread = unread
            self.finishReason = finishReason
            self.isComplete = isComplete
            self.stopReason = stopReason
            self.tokenIDs = tokenIDs
            self.logprobs = logprobs
            self.promptLogprobs = promptLogprobs
        }
    }

    /// It selects the object: `text_completion` or `chat.completion`.
    public var endpoint: Endpoint
    /// `req_…`
    public var requestID: String
    /// `cmpl-…` or `chatcmpl-…`
    public var id: String
    /// The time of creation, in Unix seconds.
    public var created: Int64
    /// The name of the model that ran, as in the request or in the daemon's configuration.
    public var model: String
    /// The texts; at least one.
    public var choices: [Choice]
    /// Tokens of the prompts after their chat templates.
    public var promptTokens: Int
    /// The tokens of the prompts that were cached.
    public var cachedTokens: Int
    /// Generated tokens.
    public var completionTokens: Int
    /// The seed of the first text, as a request would give it; nil if it is not known.
    public var seed: Int64?
    /// `fp_…`: what made it besides the request; nil if it is not known.
    public var fingerprint: String?

    /// The token ids of a prompt and its completion.
    public struct TokenIDs: Sendable, Hashable {
        /// The ids of the prompt.
        public var prompt: [Int32]
        /// The generated ids.
        public var completion: [Int32]

        /// Makes a pair of id lists.
        public init(prompt: [Int32], completion: [Int32]) {
            self.prompt = prompt
            self.completion = completion
        }
    }

    /// Makes a completion.
    public init(
        endpoint: Endpoint, requestID: String, id: String, created: Int64, model: String, choices: [Choice],
        promptTokens: Int, cachedTokens: Int = 0, completionTokens: Int, seed: Int64? = nil, fingerprint: String? = nil
    ) {
        self.endpoint = endpoint
        self.requestID = requestID
        self.id = id
        self.created = created
        self.model = model
        self.choices = choices
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.completionTokens = completionTokens
        self.seed = seed
        self.fingerprint = fingerprint
    }
}

/// Why a request was rejected, as an HTTP server would answer.
public struct Refusal: Sendable, Hashable {
    /// `req_…`
    public var requestID: String
    /// The HTTP status, at least 400.
    public var status: Int
    /// A code for programs, e.g. `context_length_exceeded`.
    public var code: String?
    /// A message for people.
    public var message: String
    /// The path of the field at fault.
    public var param: String?

    /// Makes a refusal; `status` must be 400 to 599.
    public init(requestID: String, status: Int, code: String?, message: String, param: String? = nil) {
        precondition((400..<600).contains(status), "a refusal has an HTTP error status")
        self.requestID = requestID
        self.status = status
        self.code = code
        self.message = message
        self.param = param
    }

    /// OpenAI's error type for the status.
    package var type: String { status < 500 ? "invalid_request_error" : "server_error" }
}

/// Why a request did not run to its end. The raw value is the error code of the line.
public enum NotRunReason: String, Sendable, Hashable, CaseIterable {
    case expired = "batch_expired"
    case cancelled = "batch_cancelled"
    case failed = "batch_failed"
}
