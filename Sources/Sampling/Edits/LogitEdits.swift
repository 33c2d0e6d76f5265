// What is changed in a row's logits in one step. Host and device apply the same function, so both choose the same token.

/// What is added to one token's logit, and how often the sequence has the token.
public struct LogitChange: Sendable, Equatable, BitwiseCopyable {
    /// The token.
    public var token: Int32
    /// How often the answer has it; 0 if only the prompt has it, −1 if neither has.
    public var count: Int32
    /// Added before the penalties; −∞ excludes the token.
    public var bias: Float

    /// A change of `token`'s logit.
    public init(token: Int32, count: Int32 = -1, bias: Float = 0) {
        self.token = token
        self.count = count
        self.bias = bias
    }

    /// The changed logit: bias, then repetition, frequency and presence penalty, as in vLLM.
    public func applied(to logit: Float, _ penalties: Penalties) -> Float {
        var logit = logit + bias
        guard count >= 0 else { return logit }
        if penalties.repetition != 1 {
            logit = logit > 0 ? logit / penalties.repetition : logit * penalties.repetition
        }
        guard count > 0 else { return logit }
        logit -= penalties.frequency * Float(count)
        logit -= penalties.presence
        return logit
    }
}

/// The changes to a row's logits in one step, in the order in which they are applied.
///
/// The logprobs of a row are taken after the first of them.
public struct LogitEdits: Sendable, Equatable {
    /// The tokens that the row's constraint allows next; nil for all.
    public var constraint: TokenMask?
    /// The tokens that the request allows; nil for all.
    public var allowed: TokenMask?
    /// Changes of single logits, in the order of their tokens, each token at most once.
    public var changes: [LogitChange]
    /// The penalties of the changes with a count.
    public var penalties: Penalties

    /// Edits; none by default.
    public init(
        constraint: TokenMask? = nil, allowed: TokenMask? = nil, changes: [LogitChange] = [],
        penalties: Penalties = .none
    ) {
        self.constraint = constraint
        self.allowed = allowed
        self.changes = changes
        self.penalties = penalties
    }

    /// No changes.
    public static let none = LogitEdits()

    /// Whether the logits stay as they are.
    public var isEmpty: Bool { constraint == nil && allowed == nil && changes.isEmpty }
}

/// How a row's next token is chosen in a step, and what is told of it.
public struct TokenDraw: Sendable, Equatable {
    /// Temperature, filters and seed.
    public var params: TTSamplingParams
    /// The changes to the logits.
    public var edits: LogitEdits
    /// The logprobs that come with the token; nil for none.
    public var logprobs: LogprobsRequest?

    /// A draw; by default from the logits as they are, without logprobs.
    public init(_ params: TTSamplingParams, edits: LogitEdits = .none, logprobs: LogprobsRequest? = nil) {
        self.params = params
        self.edits = edits
        self.logprobs = logprobs
    }
}

extension UnsafeMutablePointer<Float> {
    /// Excludes the tokens that `mask` does not allow from a row of `vocabulary` logits.
    func keep(_ mask: TokenMask, vocabulary: Int) {
        mask.words.withUnsafeBufferPointer { words in
            for (tile, word) in words.enumerated() where word != .max {
                for index in tile * 32..<Swift.min(tile * 32 + 32, vocabulary) where word >> (index % 32) & 1 == 0 {
                    self[index] = -.infinity
                }
            }
        }
    }

    /// Applies everything but the constraint to a row of `vocabulary` logits.
    func apply(_ edits: LogitEdits, vocabulary: Int) {
        if let allowed = edits.allowed { keep(allowed, vocabulary: vocabulary) }
        for change in edits.changes {
            self[Int(change.token)] = change.applied(to: self[Int(change.token)], edits.penalties)
        }
    }
}
