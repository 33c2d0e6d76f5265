// A request that is ready for an engine: its tokens, and how to handle the generated ones.

public import Sampling

/// A request after the chat template and the tokenizer.
public struct PreparedRequest: Sendable {
    /// The whole prompt, including template text and special tokens.
    public let promptTokens: [Int32]
    /// How tokens are chosen and when the engine stops.
    public let sampling: SamplingParams
    /// Strings that end the generation; they are not part of the result.
    public let stopStrings: [String]
    /// Whether the result contains the token ids.
    public let returnTokenIDs: Bool
    /// The field of the request that contains the prompt.
    public let promptField: String

    /// Most tokens that it generates.
    public var maxTokens: Int { sampling.maxTokens }

    /// Makes a request from tokens.
    public init(
        promptTokens: [Int32], sampling: SamplingParams, stopStrings: [String] = [], returnTokenIDs: Bool = false,
        promptField: String = "prompt"
    ) {
        self.promptTokens = promptTokens
        self.sampling = sampling
        self.stopStrings = stopStrings
        self.returnTokenIDs = returnTokenIDs
        self.promptField = promptField
    }
}

/// A request that no engine of the model can run.
public struct UnfitRequest: Error, Equatable, CustomStringConvertible {
    /// Why, and what to do about it.
    public let description: String
    /// The field of the body at fault; nil if it is not a field.
    public let param: String?
}
