// Translates one `config.json`: sizes, and what is the same in all models of a class.

import JSONText

/// The translation of one configuration to the keys that describe a model.
struct KeyTranslation {
    let config: HuggingFaceConfig
    let configClass: ConfigClass
    let text: ConfigKeys
    private let weights: ModelWeights
    /// The number of layers.
    let layers: Int
    private var values: [String: MetadataValue] = [:]
    /// The keys in the file, by the usual ones.
    private var spellings: [String: String] = [:]

    init(_ config: HuggingFaceConfig, _ configClass: ConfigClass, _ weights: ModelWeights) throws(ModelFileError) {
        self.config = config
        self.configClass = configClass
        self.weights = weights
        text = config.text
        layers = try text.requiredSize("num_hidden_layers")
        try weights.checkLayerCount(layers, key: text.spelling("num_hidden_layers"))
    }

    /// The translated keys.
    var keys: ModelKeys {
        ModelKeys(
            path: config.path, container: .huggingFace, architecture: configClass.family, values: values,
            weights: weights, spelling: { [spellings] in spellings[$0] ?? $0 })
    }

    mutating func translate() throws(ModelFileError) {
        try checkWhatIsFixed()
        try addSizes()
        try addWindows()
        try addRotary()
        for (key, usual) in configClass.numbers {
            if let number = try text.number(key) { set(usual, .float(number), from: key) }
        }
    }

    /// Says `value` of `usual`, which is in the file at `key` of `keys`, or of the text model's.
    mutating func set(_ usual: String, _ value: MetadataValue, from key: String, in keys: ConfigKeys? = nil) {
        values[usual] = value
        spellings[usual] = (keys ?? text).spelling(key)
    }

    mutating func set(_ usual: String, _ size: Int, from key: String) {
        set(usual, .integer(Int64(size)), from: key)
    }

    private mutating func addSizes() throws(ModelFileError) {
        set("block_count", layers, from: "num_hidden_layers")
        set("embedding_length", try text.requiredSize("hidden_size"), from: "hidden_size")
        set("feed_forward_length", try text.requiredSize("intermediate_size"), from: "intermediate_size")
        set("context_length", try text.requiredSize("max_position_embeddings"), from: "max_position_embeddings")
        let heads = try text.requiredSize("num_attention_heads")
        set("attention.head_count", heads, from: "num_attention_heads")
        set("attention.head_count_kv", try text.size("num_key_value_heads") ?? heads, from: "num_key_value_heads")
        set("attention.key_length", try config.headSize(), from: "head_dim")
        set(
            "attention.layer_norm_rms_epsilon", .float(try text.requiredNumber(configClass.epsilon)),
            from: configClass.epsilon)
    }

    /// Throws for what a class could compute in other ways than its family is described.
    private func checkWhatIsFixed() throws(ModelFileError) {
        let keys = Set(["hidden_act", "hidden_activation"])
        for key in keys where key == configClass.activation || configClass.modelType == "gemma" {
            guard let name = try text.string(key), !configClass.activations.contains(name) else { continue }
            throw .unsupported(
                path: config.path,
                what: "\(text.spelling(key)) \(Excerpt.quoted(name)) (supported for \(configClass.modelType): "
                    + configClass.activations.sorted().joined(separator: ", ") + ")")
        }
        let switches = ["use_bidirectional_attention", "is_encoder_decoder", "add_cross_attention"]
        for key in switches where try text.flag(key) == true { throw unsupported(key, "true") }
        if try text.flag("is_causal") == false { throw unsupported("is_causal", "false") }
        for key in ["per_layer_config", "pruned_heads", "attn_logit_softcapping"]
        where configClass.numbers[key] == nil {
            if let value = text[key], !value.isNeutral { throw unsupported(key, value.excerpt) }
        }
    }

    /// The error that `key` has a value that is not supported.
    func unsupported(_ key: String, _ value: String) -> ModelFileError {
        .unsupported(path: config.path, what: "\(text.spelling(key)) of \(value)")
    }
}
