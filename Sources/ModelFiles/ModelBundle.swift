// Everything that a model's files hold, whatever the container.

import Foundation

/// A model: its configuration, weights, and what its tokenizer and chat template are made of. Opening it reads headers only.
public struct ModelBundle: Sendable {
    /// Sizes and limits, for the rooms above.
    public private(set) var config: ModelConfig
    /// What the configuration says of the model.
    public private(set) var options = ModelOptions()
    /// The tensors.
    public let weights: ModelWeights
    /// How the model's makers recommend to sample.
    public let generationDefaults: GenerationDefaults
    let container: Container

    enum Container {
        case gguf(GGUFModel)
        case huggingFace(HuggingFaceFolder)
    }

    /// Opens and checks a GGUF file, any part of a split one, or a Hugging Face folder.
    ///
    /// A folder's model may be one that `description()` refuses, or have weights that only other devices read: then
    /// `weights` lacks them.
    ///
    /// - Throws: `ModelFileError` naming the file, the place and what is wrong.
    public init(path: String) throws(ModelFileError) {
        guard MappedFile.isFolder(path) else {
            let model = try GGUFModel(path: path)
            container = .gguf(model)
            weights = model.weights
            config = try ModelConfig(model.metadata, weights)
            generationDefaults = GenerationDefaults(model.metadata)
            return
        }
        let folder = try HuggingFaceFolder(path: path)
        container = .huggingFace(folder)
        weights = folder.weights
        config = try ModelConfig(folder: path, folder.config, weights)
        generationDefaults = try GenerationDefaults(folder: path, folder.config)
    }

    /// Opens a model of the catalogue, with its settings.
    ///
    /// - Throws: `ModelFileError` naming the file, the place and what is wrong.
    public init(_ entry: CatalogueEntry) throws(ModelFileError) {
        try self.init(path: entry.path)
        options = entry.options
        config.maxModelLen = options.maxModelLen
        config.quantize = options.quantize
    }

    /// Sampling of requests that do not say.
    public var samplingDefaults: SamplingDefaults { options.defaults.completed(by: generationDefaults) }

    /// What the files say and this program does not do, though nothing is refused for it.
    public var warnings: [String] {
        var warnings: [String] = []
        // What is refused is the device's matter.
        _ = try? description(warnings: &warnings)
        return warnings + samplingDefaults.unexpected
    }

    /// What the files call the model's architecture: `general.architecture` or `model_type`.
    public var architecture: String? {
        switch container {
        case .gguf(let model): model.metadata.string("general.architecture")
        case .huggingFace(let folder): folder.config.modelType
        }
    }

    /// The name of the family that describes the model; `nil` if there is none.
    public var family: String? {
        switch container {
        case .gguf: architecture.flatMap { ModelFamily.named($0)?.name }
        case .huggingFace(let folder): folder.config.family?.name
        }
    }

    /// What the tokenizer and the chat template are made of. Files of a folder are read anew.
    ///
    /// - Throws: `ModelFileError` if a file cannot be read.
    public func tokenizerFiles() throws(ModelFileError) -> TokenizerFiles {
        switch container {
        case .gguf(let model): .gguf(model.metadata)
        case .huggingFace(let folder):
            .huggingFace(
                try HuggingFaceTokenizerFiles(folder: folder.path, endTokens: generationDefaults.endTokens))
        }
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
        let keys =
            switch container {
            case .gguf(let model): try model.keys()
            case .huggingFace(let folder): try folder.keys(warnings: &warnings)
            }
        return try ModelDescription(keys, vocabularySize: config.vocabularySize, warnings: &warnings)
    }
}
