// How an attempt at a job ended: a text or an error, what it cost, and where the time went.

/// Why a job failed, for a person and for a program.
public struct JobError: Hashable, Sendable {
    /// A stable word, e.g. `context_length_exceeded`.
    public var code: String
    /// What happened and what can be done.
    public var message: String
    /// The HTTP status that the same request would have got, e.g. 400.
    public var status: Int
    /// The field of the request's body that is at fault, by its path: `temperature`, `messages[2].content`.
    public var param: String?

    /// Describes a failure.
    public init(code: String, message: String, status: Int, param: String? = nil) {
        self.code = code
        self.message = message
        self.status = status
        self.param = param
    }

    /// The code of a job that was in flight at too many crashes of the daemon or its device.
    public static let crashedDaemonRepeatedly = "crashed_daemon_repeatedly"
    /// The code of a job for which the device gave nothing that could be a token, too many times.
    public static let badOutput = "bad_output"
    /// The code of a job whose model could not be used.
    public static let modelUnavailable = "model_unavailable"
}

/// What a job generated.
public struct Generation: Hashable, Sendable {
    /// The generated text.
    public var text: String
    /// `stop` or `length`.
    public var finishReason: String
    /// What of the request ended the text; nil where the model's own end token or the length did.
    public var stopReason: StopReason?
    /// The prompt's tokens, where the request asked for them.
    public var promptTokenIDs: [Int32]?
    /// The generated tokens, where the request asked for them.
    public var tokenIDs: [Int32]?

    /// Describes a generated text.
    public init(
        text: String, finishReason: String, stopReason: StopReason? = nil, promptTokenIDs: [Int32]? = nil,
        tokenIDs: [Int32]? = nil
    ) {
        self.text = text
        self.finishReason = finishReason
        self.stopReason = stopReason
        self.promptTokenIDs = promptTokenIDs
        self.tokenIDs = tokenIDs
    }
}

/// What of a request ended its text.
public enum StopReason: Hashable, Sendable {
    /// One of its stop strings, which is not part of the text.
    case string(String)
    /// One of its stop tokens.
    case token(Int32)
}

/// The tokens that a job cost.
public struct TokenUsage: Hashable, Sendable {
    /// Tokens of the prompt.
    public var promptTokens: Int
    /// Of these, tokens whose keys and values were in the cache already.
    public var cachedTokens: Int
    /// Tokens generated.
    public var completionTokens: Int

    /// Counts tokens.
    public init(promptTokens: Int = 0, cachedTokens: Int = 0, completionTokens: Int = 0) {
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.completionTokens = completionTokens
    }
}

/// Where the time of a job went, in milliseconds.
public struct JobTimings: Hashable, Sendable {
    /// From enqueue to the start of its (last) prefill.
    public var queuedMS: Int64
    /// In prefill steps.
    public var prefillMS: Int64
    /// From the first token to the last.
    public var decodeMS: Int64
    /// From enqueue to the end.
    public var totalMS: Int64

    /// Describes where the time went.
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

        /// The state that the job is in from then on.
        public var state: JobState {
            switch self {
            case .succeeded: .succeeded
            case .failed: .failed
            case .expired: .expired
            }
        }
    }

    /// The attempt.
    public var ticket: ClaimTicket
    /// How it ended.
    public var outcome: Outcome
    /// What it cost.
    public var usage: TokenUsage
    /// Where the time went; nil if it never reached the device.
    public var timings: JobTimings?

    /// Describes the end of an attempt.
    public init(ticket: ClaimTicket, outcome: Outcome, usage: TokenUsage = TokenUsage(), timings: JobTimings? = nil) {
        self.ticket = ticket
        self.outcome = outcome
        self.usage = usage
        self.timings = timings
    }
}

/// What became of a group of completions.
public struct FinishReport: Hashable, Sendable {
    /// How many were stored.
    public var finished: Int
    /// Those that came too late: the job was cancelled, or is no longer this attempt's. Nothing of them was stored.
    public var stale: [ClaimTicket]
    /// Batches whose last job this was.
    public var closedBatches: [BatchID]

    /// For stores, and for tests of what reads them.
    public init(finished: Int, stale: [ClaimTicket], closedBatches: [BatchID]) {
        self.finished = finished
        self.stale = stale
        self.closedBatches = closedBatches
    }
}
