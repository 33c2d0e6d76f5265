// What a request changes in the logits of every token that it generates, before a token is chosen.

/// Factors and terms against tokens that the sequence has already (arXiv 1909.05858 for repetition).
public struct Penalties: Sendable, Hashable, BitwiseCopyable {
    /// Divides the positive and multiplies the negative logits of tokens in prompt or answer; 1 changes nothing.
    public var repetition: Float
    /// Subtracted from a token's logit once for each time that the answer has it.
    public var frequency: Float
    /// Subtracted from the logit of each token that the answer has.
    public var presence: Float

    /// Penalties; none by default.
    public init(repetition: Float = 1, frequency: Float = 0, presence: Float = 0) {
        self.repetition = repetition
        self.frequency = frequency
        self.presence = presence
    }

    /// No penalties.
    public static let none = Penalties()
}

/// A request's changes to logits that are the same for all its tokens, or depend on the tokens before.
public struct LogitShaping: Sendable, Hashable {
    /// The penalties of tokens that the sequence has already.
    public var penalties: Penalties
    /// `logit_bias`: what is added to tokens' logits; each token at most once.
    public var bias: [Int32: Float]
    /// `allowed_token_ids`: the only tokens that may be chosen; nil for all.
    public var allowed: [Int32]?
    /// `bad_words`: the answer never contains one of these sequences, each with at least one token.
    public var badWords: [[Int32]]

    /// Changes; none by default.
    public init(
        penalties: Penalties = .none, bias: [Int32: Float] = [:], allowed: [Int32]? = nil, badWords: [[Int32]] = []
    ) {
        self.penalties = penalties
        self.bias = bias
        self.allowed = allowed
        self.badWords = badWords
    }

    /// No changes.
    public static let none = LogitShaping()
}
