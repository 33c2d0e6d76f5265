// The parameters of one request, with vLLM's names.

/// How a request's tokens are chosen and when it ends.
public struct SamplingParams: Sendable, Hashable {
    /// The parameters that go to the device with the row.
    public var token: TTSamplingParams
    /// The changes to logits before a token is chosen.
    public var shaping: LogitShaping
    /// Maximum number of tokens to generate; 0 if only logprobs of the prompt are wanted.
    public var maxTokens: Int
    /// End-of-generation and stop tokens cannot be sampled before this many tokens have been generated.
    public var minTokens: Int
    /// Tokens that end the request besides the model's own end-of-generation tokens.
    public var stopTokenIDs: Set<Int32>
    /// Whether end-of-generation tokens are emitted like any other and generation continues.
    public var ignoreEOS: Bool
    /// Whether the request gave the seed, so that its tokens must come from that seed's stream wherever they are
    /// sampled.
    public var givesSeed: Bool
    /// When the text ends because it repeats itself; nil for never.
    public var repetition: RepetitionLimit?
    /// What the text must be; nil for anything.
    public var grammar: GrammarReference?
    /// The logprobs that come with each token; nil for none.
    public var logprobs: LogprobsRequest?
    /// The logprobs of the prompt's tokens; nil for none.
    public var promptLogprobs: PromptLogprobsRequest?
    /// The tokens that come, whatever the model would choose; empty if it chooses. Each comes with its own logprob and the
    /// most probable token's; `maxTokens` is their number.
    public var forced: [Int32] = []

    /// Parameters of a request; by default it gives the seed, and no minimum or stop tokens.
    public init(
        token: TTSamplingParams, shaping: LogitShaping = .none, maxTokens: Int, minTokens: Int = 0,
        stopTokenIDs: Set<Int32> = [], ignoreEOS: Bool = false, givesSeed: Bool = true,
        repetition: RepetitionLimit? = nil, grammar: GrammarReference? = nil, logprobs: LogprobsRequest? = nil,
        promptLogprobs: PromptLogprobsRequest? = nil
    ) {
        self.repetition = repetition
        self.grammar = grammar
        self.promptLogprobs = promptLogprobs
        self.token = token
        self.shaping = shaping
        self.maxTokens = maxTokens
        self.minTokens = minTokens
        self.stopTokenIDs = stopTokenIDs
        self.ignoreEOS = ignoreEOS
        self.givesSeed = givesSeed
        self.logprobs = logprobs
    }
}
