// The sampling parameters that are sent to the device with a row (TT contract §1.8).

/// What a device needs to choose a row's next token from its logits.
public struct TTSamplingParams: Sendable, Hashable, BitwiseCopyable {
    /// Divides the logits; 0 is greedy.
    public var temperature: Float
    /// Keeps the k most probable tokens; 0 keeps all.
    public var topK: Int32
    /// Keeps the smallest set of most probable tokens whose probability reaches p (nucleus, arXiv 1904.09751); 1 keeps
    /// all.
    public var topP: Float
    /// Keeps the tokens that are at least this fraction as probable as the most probable one (arXiv 2407.01082); 0
    /// keeps all.
    public var minP: Float
    /// Keeps the tokens whose information is nearest to the expected one, the fewest whose probability reaches this
    /// (locally typical sampling, arXiv 2202.00666); 1 keeps all.
    public var typicalP: Float
    /// Key of the request's random stream.
    public var seed: UInt64

    /// Sampling at `temperature`; by default from all tokens, with the seed 0.
    public init(
        temperature: Float, topK: Int32 = 0, topP: Float = 1, minP: Float = 0, typicalP: Float = 1, seed: UInt64 = 0
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.typicalP = typicalP
        self.seed = seed
    }

    /// Always chooses the most probable token.
    public static let greedy = TTSamplingParams(temperature: 0)

    /// Whether the most probable token is taken.
    public var isGreedy: Bool { temperature == 0 || topK == 1 }
}
