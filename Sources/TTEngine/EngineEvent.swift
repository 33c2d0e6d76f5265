// What a step of the engine did, for the caller to write down and to time.

public import TTWorker

/// What one step of the engine did.
public struct StepReport: Sendable, Equatable {
    /// The kinds of step; never mixed.
    public enum Kind: Sendable, Equatable {
        /// Rows joined the batch and each got a token.
        case prefill
        /// All rows of the batch that were not preempted got a token.
        case decode
    }

    /// What ran.
    public var kind: Kind
    /// What happened, in this order: preemptions, then what was found in the cache, then for each row its token and, where
    /// that was the last, its end.
    public var events: [EngineEvent]
}

/// Something that happened to a request.
public enum EngineEvent: Sendable, Equatable {
    /// A token was generated; it is part of the text.
    case token(RequestID, Int32)
    /// The token that ends the request: it counts as generated and is one of its token ids, but is not part of the
    /// text. A `finished` event follows.
    case stopToken(RequestID, Int32)
    /// The request has ended and is no longer in flight.
    case finished(RequestID, FinishReason)
    /// The device gave the request something that is no token. It is no longer in flight, and nothing of it is kept.
    case badOutput(RequestID, BadOutput)
    /// The request joined the batch, and so many of its first tokens, at least one, were in the KV cache already.
    case cached(RequestID, tokens: Int)
    /// The request lost its blocks; it waits, and is prefilled again with everything it has.
    case preempted(RequestID)
}

/// Why a request ended by itself.
public enum FinishReason: Sendable, Equatable {
    /// The model's end-of-generation token, told by a `stopToken` event before.
    case endOfGeneration(token: Int32)
    /// One of the request's stop tokens, told likewise.
    case stop(token: Int32)
    /// `max_tokens`, the model's length or the whole KV pool was reached.
    case length
}
