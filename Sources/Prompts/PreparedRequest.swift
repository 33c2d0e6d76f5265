// A request that is ready for an engine: tokens in, and what to make of the tokens that come out.

public import Platform

/// A request after its chat template and the tokenizer.
public struct PreparedRequest: Sendable {
    /// The whole prompt, template and special tokens included.
    public let promptTokens: [Int32]
    /// How tokens are chosen and when the engine stops.
    public let sampling: SamplingParams
    /// Texts that end the generation; they are not part of the result.
    public let stopStrings: [String]
    /// Whether the result carries the token ids.
    public let returnTokenIDs: Bool
    /// The request's field that the prompt came from.
    public let promptField: String

    /// A request of these tokens.
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
    /// The field of its body that is at fault; nil where it is not a field.
    public let param: String?
}
