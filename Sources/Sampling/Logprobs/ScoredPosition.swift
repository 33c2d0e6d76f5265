// The logprobs of a text, with what tokens spell: the form in which results tell and keep them.

/// A token with the natural logarithm of its probability.
public struct ScoredToken: Sendable, Hashable {
    /// The token's number in the vocabulary.
    public var token: Int32
    /// The token's bytes, which need not be whole characters.
    public var bytes: [UInt8]
    /// At most 0; −∞ for a token that was excluded; nil for the first token of a prompt, before which there is nothing.
    public var logprob: Float?

    /// Makes a token with its logprob.
    public init(token: Int32, bytes: [UInt8], logprob: Float?) {
        self.token = token
        self.bytes = bytes
        self.logprob = logprob
    }
}

/// The logprobs of one position of a text.
public struct ScoredPosition: Sendable, Hashable {
    /// The token that the text has there.
    public var own: ScoredToken
    /// The most probable tokens, the most probable first; as many as were asked for.
    public var top: [ScoredToken]
    /// Tokens that were asked for by their ids.
    public var requested: [ScoredToken]
    /// The number of tokens that are at least as probable as the own one; nil if not asked for.
    public var rank: Int32?

    /// Makes the logprobs of a position.
    public init(own: ScoredToken, top: [ScoredToken] = [], requested: [ScoredToken] = [], rank: Int32? = nil) {
        self.own = own
        self.top = top
        self.requested = requested
        self.rank = rank
    }
}
