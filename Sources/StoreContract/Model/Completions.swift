// How an attempt at a job ended: a text or an error, its tokens and its times.

public import Sampling

/// Why a job failed, for people and for programs.
public struct JobError: Hashable, Sendable, Codable {
    /// A stable identifier of the reason, e.g. `context_length_exceeded`.
    public var code: String
    /// What happened and what the user can do.
    public var message: String
    /// The HTTP status that an API would give for the same request, e.g. 400.
    public var status: Int
    /// The path of the field in the request body that is at fault: `temperature`, `messages[2].content`.
    public var param: String?

    /// Makes the description of a failure.
    public init(code: String, message: String, status: Int, param: String? = nil) {
        self.code = code
        self.message = message
        self.status = status
        self.param = param
    }

    /// The code of a job that was in flight when the daemon or its device failed, too many times.
    public static let crashedDaemonRepeatedly = "crashed_daemon_repeatedly"
    /// The code of a job for which the device returned values that are no tokens, too many times.
    public static let badOutput = "bad_output"
    /// The code of a job whose request excludes every token.
    public static let noTokenAllowed = "no_token_allowed"
    /// The code of a job whose model could not be used.
    public static let modelUnavailable = "model_unavailable"
}

/// What a job generated: one choice, or several if its request wants so.
public struct Generation: Hashable, Sendable, Codable {
    /// The choices in the order of their indices; at least one.
    public var choices: [Choice]
    /// The seed of the first text, as a request would give it; nil if an earlier version made it.
    public var seed: Int64?
    /// The `SystemRecord` that made it; nil if an earlier version did.
    public var fingerprint: String?

    /// Makes the result of a job from its choices.
    public init(_ choices: [Choice], seed: Int64? = nil, fingerprint: String? = nil) {
        precondition(!choices.isEmpty, "a job that succeeds has a text")
        self.choices = choices
        self.seed = seed
        self.fingerprint = fingerprint
    }
}

/// One text that a job generated.
public struct Choice: Hashable, Sendable, Codable {
    /// The generated text, without reasoning and calls of tools.
    public var text: String
    /// The reasoning before it; nil if there is none.
    public var reasoning: String?
    /// The calls of tools, as JSON: `[{"name": …, "arguments": "…"}]`; nil if there are none.
    public var toolCalls: String?
    /// The probabilities of the values of a JSON text by their paths, as a JSON object; nil if they are not wanted or the
    /// text is not JSON.
    public var confidence: String?
    /// The scores of the texts that the request gave, as JSON: `[{"text": …, "logprob": …}]`; nil if the text was
    /// generated.
    public var scores: String?
    /// Why a part of the text that looks like a call is none, or could not be read; nil if there is no such part.
    public var unread: String?
    /// The reason for its end in the terms of the OpenAI API: `stop`, `length` or `tool_calls`.
    public var finishReason: String
    /// Whether the text is all that the request's grammar wants; nil if it has none.
    public var isComplete: Bool?
    /// Which part of the request ended the text; nil if the model's end token or the length did.
    public var stopReason: StopReason?
    /// The prompt's tokens; nil unless the request asked for them.
    public var promptTokenIDs: [Int32]?
    /// The generated tokens; nil unless the request asked for them.
    public var tokenIDs: [Int32]?
    /// The logprobs of the generated tokens; nil unless the request asked for them.
    public var logprobs: [ScoredPosition]?
    /// The logprobs of the prompt's tokens from the second one on; nil unless the request asked for them.
    public var promptLogprobs: [ScoredPosition]?

    /// Makes a text with what was asked for beside it.
    public init(
        text: String, reasoning: String? = nil, toolCalls: String? = nil, confidence: String? = nil,
        scores: String? = nil,
        unread: String? = nil, finishReason: String,
        isComplete: Bool? = nil, stopReason: StopReason? = nil,
        promptTokenIDs: [Int32]? = nil,
        tokenIDs: [Int32]? = nil, logprobs: [ScoredPosition]? = nil, promptLogprobs: [ScoredPosition]? = nil
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
        self.promptTokenIDs = promptTokenIDs
        self.tokenIDs = tokenIDs
        self.logprobs = logprobs
        self.promptLogprobs = promptLogprobs
    }
}

/// The part of a request that ended its text.
public enum StopReason: Hashable, Sendable, Codable {
    /// One of its stop strings. The string is not part of the text.
    case string(String)
    /// One of its stop tokens.
    case token(Int32)
}

/// The tokens of a job.
public struct TokenUsage: Hashable, Sendable, Codable {
    /// Tokens of the prompt.
    public var promptTokens: Int
    /// The prompt tokens whose keys and values were cached already.
    public var cachedTokens: Int
    /// Tokens that were generated.
    public var completionTokens: Int

    /// Makes a count of tokens.
    public init(promptTokens: Int = 0, cachedTokens: Int = 0, completionTokens: Int = 0) {
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.completionTokens = completionTokens
    }
}

/// Where the time of a job went, in milliseconds.
public struct JobTimings: Hashable, Sendable, Codable {
    /// From the enqueue to the start of the last prefill.
    public var queuedMS: Int64
    /// Time in prefill steps.
    public var prefillMS: Int64
    /// From the first token to the last.
    public var decodeMS: Int64
    /// From the enqueue to the end.
    public var totalMS: Int64

    /// Makes the times of a job, in milliseconds.
    public init(queuedMS: Int64, prefillMS: Int64, decodeMS: Int64, totalMS: Int64) {
        self.queuedMS = queuedMS
        self.prefillMS = prefillMS
        self.decodeMS = decodeMS
        self.totalMS = totalMS
    }
}

/// The end of an attempt.
public struct JobCompletion: Hashable, Sendable {
    /// How a job ended.
    public enum Outcome: Hashable, Sendable {
        case succeeded(Generation)
        case failed(JobError)
        case expired

        /// The state of a job that ended so.
        public var state: JobState {
            switch self {
            case .succeeded: .succeeded
            case .failed: .failed
            case .expired: .expired
            }
        }
    }

    /// The ticket of the attempt.
    public var ticket: ClaimTicket
    /// How it ended.
    public var outcome: Outcome
    /// The tokens of the job.
    public var usage: TokenUsage
    /// The times of the job; nil if it never reached the device.
    public var timings: JobTimings?

    /// Makes the completion of an attempt.
    public init(ticket: ClaimTicket, outcome: Outcome, usage: TokenUsage = TokenUsage(), timings: JobTimings? = nil) {
        self.ticket = ticket
        self.outcome = outcome
        self.usage = usage
        self.timings = timings
    }
}

/// What the store did with a group of completions.
public struct FinishReport: Hashable, Sendable {
    /// The number of completions that were stored.
    public var finished: Int
    /// Completions that came too late: the job was cancelled, or another attempt has it. They were not stored.
    public var stale: [ClaimTicket]
    /// Batches that ended with these jobs.
    public var closedBatches: [BatchID]

    /// For store implementations and tests.
    public init(finished: Int, stale: [ClaimTicket], closedBatches: [BatchID]) {
        self.finished = finished
        self.stale = stale
        self.closedBatches = closedBatches
    }
}
