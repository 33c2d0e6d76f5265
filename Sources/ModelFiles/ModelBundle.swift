// Everything that a model's files hold, whatever the container.

/// A model: its configuration, weights, and what its tokenizer and chat template are made of. Opening it reads headers only.
public struct ModelBundle: Sendable {
    /// Sizes and limits, for the rooms above.
    public let config: ModelConfig
    /// The tensors.
    public let weights: ModelWeights
    /// The metadata of the GGUF file, with the tokenizer and the chat template.
    public let metadata: GGUFMetadata

    /// Opens and checks a GGUF file.
    ///
    /// - Throws: `ModelFileError` naming the file, the place and what is wrong.
    public init(path: String) throws(ModelFileError) {
        let file = try GGUFFile(path: path)
        metadata = file.metadata
        weights = try file.weights()
        config = try ModelConfig(gguf: file, weights)
    }

    /// What the model computes.
    ///
    /// - Throws: `ModelFileError` if the architecture, or something in the configuration, is not supported.
    public func description() throws(ModelFileError) -> ModelDescription {
        var warnings: [String] = []
        return try description(warnings: &warnings)
    }

    /// What the model computes; appends what was ignored to `warnings`.
    ///
    /// - Throws: `ModelFileError` if the architecture, or something in the configuration, is not supported.
    public func description(warnings: inout [String]) throws(ModelFileError) -> ModelDescription {
        try ModelDescription(
            metadata.modelKeys(weights), vocabularySize: config.vocabularySize, warnings: &warnings)
    }
}
