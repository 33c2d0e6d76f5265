// Natural logarithms of tokens' probabilities, as they come with a token.

/// Which logprobs come with a token, besides its own.
public struct LogprobsRequest: Sendable, Hashable {
    /// The number of most probable tokens.
    public var top: Int
    /// Tokens that are always among them (`logprob_token_ids`).
    public var tokens: [Int32]
    /// Whether the token's rank is wanted.
    public var wantsRank: Bool

    /// A request for the `top` most probable tokens.
    public init(top: Int = 0, tokens: [Int32] = [], wantsRank: Bool = false) {
        self.top = top
        self.tokens = tokens
        self.wantsRank = wantsRank
    }

    /// Most logprobs of one position: the token's own, `tokens` and `top`.
    public var count: Int { 1 + tokens.count + top }
}

/// Which logprobs of a prompt's tokens are wanted.
public struct PromptLogprobsRequest: Sendable, Hashable {
    /// The place of the first token of which they are wanted, at least 1: the first token of a prompt has none.
    public var firstToken: Int
    /// What comes with each token.
    public var logprobs: LogprobsRequest

    /// A request for the logprobs of all tokens of a prompt from `firstToken` on.
    public init(firstToken: Int = 1, _ logprobs: LogprobsRequest) {
        self.firstToken = firstToken
        self.logprobs = logprobs
    }
}

/// A token and the natural logarithm of its probability.
public struct TokenLogprob: Sendable, Hashable, BitwiseCopyable {
    /// The token's number in the vocabulary.
    public var token: Int32
    /// At most 0; −∞ if the token is excluded.
    public var logprob: Float

    /// The logprob of `token`.
    public init(token: Int32, logprob: Float) {
        self.token = token
        self.logprob = logprob
    }
}

/// The logprobs of one position of a sequence.
///
/// They are those of the model's logits, after a constraint's mask and before anything else that a request changes:
/// vLLM's `raw_logprobs`.
public struct TokenLogprobs: Sendable, Hashable {
    /// The token at this position.
    public var own: TokenLogprob
    /// The tokens that were asked for by their ids, in the order of the request.
    public var requested: [TokenLogprob]
    /// The most probable tokens, the most probable first; among equals the lowest id first.
    public var top: [TokenLogprob]
    /// The number of tokens that are at least as probable as the own one, itself included; nil if not asked for.
    public var rank: Int32?

    /// Logprobs of a position.
    public init(own: TokenLogprob, requested: [TokenLogprob] = [], top: [TokenLogprob] = [], rank: Int32? = nil) {
        self.own = own
        self.requested = requested
        self.top = top
        self.rank = rank
    }

    /// Logprobs in the order in which `TokenSampler` writes them: the own one, the requested ones, the top ones.
    public init(_ values: UnsafeBufferPointer<TokenLogprob>, requested count: Int, rank: Int32? = nil) {
        let top = 1 + count
        own = values[0]
        requested = Array(values[1..<top])
        self.top = Array(values[top...])
        self.rank = rank
    }
}

/// A chosen token, with what was asked for beside it.
public struct SampledToken: Sendable, Equatable {
    /// The token's number in the vocabulary.
    public var id: Int32
    /// Its logprobs, if the request wants any.
    public var logprobs: TokenLogprobs?
    /// Whether the text could end with it, if a grammar constrains the text.
    public var constraint: ConstraintState?

    /// The token numbered `id`.
    public init(_ id: Int32, logprobs: TokenLogprobs? = nil) {
        self.id = id
        self.logprobs = logprobs
    }

    /// What is asked of a step whose token will be `token`, whatever the model chooses.
    public static func request(forced token: Int32) -> LogprobsRequest { LogprobsRequest(top: 1, tokens: [token]) }

    /// The token `forced` in place of this one, which came with `request(forced:)`; nil if it came without.
    public func replaced(by forced: Int32) -> SampledToken? {
        guard let logprobs, let own = logprobs.requested.first, own.token == forced else { return nil }
        return SampledToken(forced, logprobs: TokenLogprobs(own: own, top: logprobs.top))
    }
}
