// What a step of the engine did, for the clients.

public import Platform

/// What one step of the engine did.
public struct StepReport: Sendable, Equatable {
    /// The kinds of step; never mixed.
    public enum Kind: Sendable, Equatable {
        /// Rows joined the batch and each got an output.
        case prefill
        /// All rows of the batch that were not preempted got an output.
        case decode
    }

    /// What ran.
    public var kind: Kind
    /// Requests that lost their blocks before the step ran. They wait, and are prefilled again with everything they have.
    public var preempted: [RequestID]
    /// What the step did for each of its requests.
    public var updates: [RequestUpdate]

    /// A report of a step of `kind`.
    public init(kind: Kind, preempted: [RequestID] = [], updates: [RequestUpdate] = []) {
        self.kind = kind
        self.preempted = preempted
        self.updates = updates
    }

    /// The part that is about one client's requests.
    public func part(of client: ClientID) -> StepReport {
        StepReport(
            kind: kind, preempted: preempted.filter { $0.client == client },
            updates: updates.filter { $0.id.client == client })
    }
}

/// What a step did for a request.
public struct RequestUpdate: Sendable, Equatable {
    /// The request.
    public var id: RequestID
    /// Tokens at its beginning that were in the KV cache already when it joined the batch; 0 in decode steps.
    public var cachedTokens: Int
    /// What it got. After a bad output it is no longer in flight, and nothing of it is kept.
    public var output: RequestOutput
    /// Why it has ended with this token; nil where it goes on.
    public var finishReason: FinishReason?

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

/// Why a request ended by itself.
public enum FinishReason: Sendable, Equatable {
    /// The model's end-of-generation token, which is the request's last one and not part of its text.
    case endOfGeneration(token: Int32)
    /// One of the request's stop tokens, likewise.
    case stop(token: Int32)
    /// `max_tokens`, the model's length or the whole KV pool was reached; the last token is part of the text.
    case length
}
