// The `config.json` of a Hugging Face folder, as transformers 4 and 5 write it.

import JSONText

/// The configuration of a folder's model. Nothing in it is refused before it is described, since other devices have models
/// of their own for it.
struct HuggingFaceConfig: Sendable {
    /// The file.
    let path: String
    /// All of the file's keys.
    let top: ConfigKeys
    /// The keys of the text model: `text_config` if there is one, else all, with the defaults of its class.
    let text: ConfigKeys
    /// The model reads pictures or sound too.
    let isComposite: Bool
    /// Names of the model's classes, the best first.
    let architectures: [String]
    /// The `model_type` of the text model.
    let modelType: String?
    /// The class of the text model, if it is one that can be described.
    let configClass: ConfigClass?

    /// Reads `config.json` in `folder`.
    ///
    /// - Throws: `ModelFileError`.
    init(folder: String) throws(ModelFileError) {
        path = folder + "/config.json"
        top = try ConfigKeys(fileAt: path)
        let nested = try top.object("text_config")
        isComposite = nested != nil
        architectures = try top.strings("architectures") ?? []
        let outer = try top.string("model_type")
        modelType =
            try nested.map { nested throws(ModelFileError) in
                try nested.string("model_type") ?? outer.flatMap { ConfigClass.composites[$0] }
            } ?? outer
        configClass = modelType.flatMap(ConfigClass.named)
        text = (nested ?? top).with(defaults: configClass?.defaults ?? [:])
    }

    /// The family of the model, if it can be described.
    var family: ModelFamily? { configClass.flatMap { ModelFamily.named($0.family) } }

    /// The error that models of this class cannot be described.
    var unknownClass: ModelFileError {
        let named = modelType.map { "model_type \(Excerpt.quoted($0))" } ?? "a config.json without model_type"
        let known = ConfigClass.all.map(\.modelType).joined(separator: ", ")
        return .unsupported(path: path, what: "\(named) (supported: \(known))")
    }

    /// The size at `key`, which only a class that is known can leave unsaid.
    func requiredSize(_ key: String) throws(ModelFileError) -> Int {
        guard let size = try text.size(key) else {
            throw configClass == nil ? unknownClass : text.missing(key, "a whole number")
        }
        return size
    }

    /// The names of the tensors, if they are known.
    var tensorNames: TensorNames? { family.map { TensorNames(family: $0, isComposite: isComposite) } }

    /// The width of a head, if the file tells one.
    func headSize() throws(ModelFileError) -> Int {
        if let size = try text.size("head_dim") { return size }
        return try requiredSize("hidden_size") / requiredSize("num_attention_heads")
    }

    /// ε of the norms; classes call it by different names.
    func normEpsilon() throws(ModelFileError) -> Float {
        for key in [
            configClass?.epsilon ?? "rms_norm_eps", "rms_norm_eps", "layer_norm_eps", "norm_eps", "norm_epsilon",
        ] {
            if let epsilon = try text.number(key) { return Float(epsilon) }
        }
        return 1e-5
    }

    /// Base of the rotary embedding's frequencies, in layers without a window.
    func ropeTheta() throws(ModelFileError) -> Float {
        let given = try text.object("rope_parameters")
        for keys in [try given?.object("full_attention"), given, text] {
            if let theta = try keys?.number("rope_theta") { return Float(theta) }
        }
        return Float(configClass?.rotary.theta ?? 10_000)
    }

    /// Whether the logits are made by the token embeddings.
    func tiesEmbeddings() throws(ModelFileError) -> Bool {
        guard isComposite else { return try text.flag("tie_word_embeddings") ?? false }
        if let tied = try top.flag("tie_word_embeddings") { return tied }
        return text.contains("tie_word_embeddings") ? try text.flag("tie_word_embeddings") ?? true : true
    }
}

extension ModelConfig {
    /// The configuration of a folder's model.
    ///
    /// - Throws: `ModelFileError` if a size is missing or impossible.
    init(folder: String, _ config: HuggingFaceConfig, _ weights: ModelWeights) throws(ModelFileError) {
        let text = config.text
        let hidden = try config.requiredSize("hidden_size")
        let heads = try config.requiredSize("num_attention_heads")
        let vocabulary = try config.requiredSize("vocab_size")
        if let embedding = weights["token_embd.weight"], embedding.shape != [hidden, vocabulary] {
            throw .wrongShape(
                path: folder, name: embedding.name, expected: [hidden, vocabulary], found: embedding.shape)
        }
        var architectures = config.architectures
        if architectures.isEmpty, let name = config.family?.classes.first { architectures = [name] }
        self.init(
            name: Self.name(of: folder), path: folder, architectures: architectures,
            weightType: weights.commonTypeName ?? "unknown", parameterCount: weights.parameterCount,
            hiddenSize: hidden, intermediateSize: try text.size("intermediate_size") ?? 0,
            layerCount: try config.requiredSize("num_hidden_layers"), attentionHeadCount: heads,
            keyValueHeadCount: try text.size("num_key_value_heads") ?? heads, headSize: max(1, try config.headSize()),
            vocabularySize: vocabulary, contextLength: try config.requiredSize("max_position_embeddings"),
            normEpsilon: try config.normEpsilon(), ropeTheta: try config.ropeTheta())
    }
}
