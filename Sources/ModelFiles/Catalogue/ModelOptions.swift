// What the configuration says of one model, besides where it lies.

/// Settings of one model; `nil` leaves it to the model's files.
public struct ModelOptions: Sendable, Hashable {
    /// The name of the pre-tokeniser, where the file names none or an unknown one.
    public var preTokenizer: String?
    /// A file with the chat template to use instead of the model's own.
    public var templatePath: String?
    /// Longest sequence in tokens, instead of the engine's setting.
    public var maxModelLen: Int?
    /// What float weights are quantised to when they are loaded; `nil` leaves them as they are.
    public var quantize: Quantization?
    /// How it writes calls of tools, instead of what its chat template shows.
    public var toolCalls: ToolCallFormat?
    /// How it marks its reasoning, instead of what its chat template shows.
    public var reasoning: ReasoningFormat?
    /// Sampling of requests that do not say.
    public var defaults = SamplingDefaults()

    /// Everything as in the model's files.
    public init() {}
}

/// A type to which float weights are quantised when they are loaded, with the bits of ggml's reference.
public enum Quantization: String, Sendable, Hashable, CaseIterable {
    /// 8 bits and a scale for 32 weights.
    case q8_0
    /// 4 bits and a scale for 32 weights.
    case q4_0

    /// The element type of the result.
    public var type: TensorType {
        switch self {
        case .q8_0: .q8_0
        case .q4_0: .q4_0
        }
    }

    /// Whether rows of `inputs` weights of `type` can be quantised: floats, in whole blocks.
    public func applies(to type: TensorType, inputs: Int) -> Bool {
        type.blockElements == 1 && inputs % self.type.blockElements == 0
    }
}

/// Sampling of requests that do not say.
public struct SamplingDefaults: Sendable, Hashable {
    /// Temperature.
    public var temperature: Double?
    /// The number of most probable tokens that are sampled from; 0 for all.
    public var topK: Int?
    /// The probability that the sampled tokens have together.
    public var topP: Double?
    /// The least probability of a sampled token, as a part of the highest one.
    public var minP: Double?
    /// The factor by which tokens that appeared before become less probable.
    public var repetitionPenalty: Double?
    /// The most tokens to generate.
    public var maxTokens: Int?

    /// No defaults.
    public init() {}
}

extension SamplingDefaults {
    /// These, and what they do not say from a model's files.
    ///
    /// A model that its makers do not sample from at all is sampled greedily. Their limit of tokens is not taken: it is an
    /// example's, not the model's.
    func completed(by files: GenerationDefaults) -> SamplingDefaults {
        var completed = self
        completed.repetitionPenalty = repetitionPenalty ?? files.repetitionPenalty
        if files.samples == false {
            completed.temperature = temperature ?? 0
            return completed
        }
        completed.temperature = temperature ?? files.temperature
        completed.topK = topK ?? files.topK
        completed.topP = topP ?? files.topP
        completed.minP = minP ?? files.minP
        return completed
    }

    /// Defaults that change the model's probabilities, which few expect: evaluations have been wrong because of them.
    var unexpected: [String] {
        guard let repetitionPenalty, repetitionPenalty != 1 else { return [] }
        return [
            "requests that do not say have a repetition_penalty of \(repetitionPenalty), as the model's files or the "
                + "configuration recommend; defaults.repetition_penalty: 1 changes that"
        ]
    }
}
