// The report of a step, for the engine's clients.

public import Platform
public import Sampling

/// The results of one step of the engine.
public struct StepReport: Sendable, Equatable {
    /// The kinds of steps; they are never mixed.
    public enum Kind: Sendable, Equatable {
        /// Rows joined the batch and each got an output.
        case prefill
        /// All rows of the batch that were not preempted got an output.
        case decode
    }

    /// The kind of the step.
    public var kind: Kind
    /// Requests that were preempted before the step. They wait, and are prefilled again with all their tokens.
    public var preempted: [RequestID]
    /// The result for each request of the step.
    public var updates: [RequestUpdate]

    /// A report of a step of `kind`.
    public init(kind: Kind, preempted: [RequestID] = [], updates: [RequestUpdate] = []) {
        self.kind = kind
        self.preempted = preempted
        self.updates = updates
    }

    /// The part of the report for one client's requests.
    public func part(of client: ClientID) -> StepReport {
        StepReport(
            kind: kind, preempted: preempted.filter { $0.client == client },
            updates: updates.filter { $0.id.client == client })
    }
}

/// The result of a step for a request.
public struct RequestUpdate: Sendable, Equatable {
    /// The request.
    public var id: RequestID
    /// Leading tokens that were cached when it joined the batch; 0 in decode steps.
    public var cachedTokens: Int
    /// Its output. If that is no token, the request is no longer in flight; after a bad output, none of its blocks stay
    /// cached.
    public var output: RequestOutput
    /// Why it has ended with this token; nil if it continues.
    public var finishReason: FinishReason?
    /// The logprobs of its prompt that it wants, with its first output.
    public var promptLogprobs: [TokenLogprobs] = []

    /// An update of the request `id`.
    public init(
        id: RequestID, cachedTokens: Int = 0, output: RequestOutput, finishReason: FinishReason? = nil
    ) {
        self.id = id
        self.cachedTokens = cachedTokens
        self.output = output
        self.finishReason = finishReason
    }
}

/// Why a request ended without being cancelled.
public enum FinishReason: Sendable, Equatable {
    /// The model's end-of-generation token, which is the request's last token and not part of its text.
    case endOfGeneration(token: Int32)
    /// One of the request's stop tokens; also not part of its text.
    case stop(token: Int32)
    /// It repeats itself, as its `RepetitionLimit` says; the last token is part of the text.
    case repetition
    /// Its grammar allows nothing to follow; the last token is part of the text.
    case constraint
    /// `max_tokens`, the model's length or the whole KV pool was reached; the last token is part of the text.
    case length
}
