// Translates `config.json` to the keys that describe a model.

import Foundation
import JSONText

extension HuggingFaceConfig {
    /// What the configuration says of the computation. Keys that transformers' class does not have are only reported, since
    /// it ignores them.
    ///
    /// - Throws: `ModelFileError` for what would be computed in another way than transformers does.
    func keys(_ weights: ModelWeights, warnings: inout [String]) throws(ModelFileError) -> ModelKeys {
        let configClass = try checkedClass()
        try refuseQuantization()
        var translation = try KeyTranslation(self, configClass, weights)
        try translation.translate()
        if let warning = translation.warning { warnings.append(warning) }
        return translation.keys
    }

    /// The class of the text model, if the model generates text as that class does.
    private func checkedClass() throws(ModelFileError) -> ConfigClass {
        guard let configClass, let family else {
            let named = modelType.map { "model_type \(Excerpt.quoted($0))" } ?? "a config.json without model_type"
            let known = ConfigClass.all.map(\.modelType).joined(separator: ", ")
            throw .unsupported(path: path, what: "\(named) (supported: \(known))")
        }
        let classes = family.classes + (isComposite ? ConfigClass.compositeClasses : [])
        if let name = architectures.first, !classes.contains(name) {
            throw .unsupported(
                path: path,
                what: "architecture \(Excerpt.quoted(name)) (supported for \(configClass.modelType): "
                    + family.classes.joined(separator: ", ") + ")")
        }
        return configClass
    }

    private func refuseQuantization() throws(ModelFileError) {
        for keys in isComposite ? [top, text] : [top] {
            guard let quantization = try keys.object("quantization_config") else { continue }
            let method = try quantization.string("quant_method")
            throw .quantized(path: path, method: Excerpt.shortened(method ?? "an unknown method (quantization_config)"))
        }
    }
}

/// The translation of one configuration.
private struct KeyTranslation {
    private let config: HuggingFaceConfig
    private let configClass: ConfigClass
    private let text: ConfigKeys
    private let weights: ModelWeights
    private let layers: Int
    private var values: [String: GGUFValue] = [:]
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

    private mutating func set(_ usual: String, _ value: GGUFValue, from key: String, in keys: ConfigKeys? = nil) {
        values[usual] = value
        spellings[usual] = (keys ?? text).spelling(key)
    }

    private mutating func set(_ usual: String, _ size: Int, from key: String) {
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

    private func unsupported(_ key: String, _ value: String) -> ModelFileError {
        .unsupported(path: config.path, what: "\(text.spelling(key)) of \(value)")
    }
}

// Which layers attend to a window.
extension KeyTranslation {
    private mutating func addWindows() throws(ModelFileError) {
        if case .whereNotRotated = configClass.windows { try addRotatedLayers() }
        let window = try text.size("sliding_window")
        let layers = try windowedLayers(hasWindow: window != nil)
        try checkUnrotatedLayers(layers, hasWindow: window != nil)
        guard layers.contains(true) else { return }
        guard let window else {
            throw .wrongValue(
                path: config.path, key: text.spelling("sliding_window"), found: "null",
                expected: "the window of "
                    + "layers that attend to one")
        }
        set("attention.sliding_window", window, from: "sliding_window")
        set("attention.sliding_window_pattern", .integers(layers.map { $0 ? 1 : 0 }), from: "layer_types")
    }

    /// Whether each layer attends to a window.
    private func windowedLayers(hasWindow: Bool) throws(ModelFileError) -> [Bool] {
        let given = try layerTypes()
        func all(_ value: Bool) -> [Bool] { Array(repeating: value, count: layers) }
        switch configClass.windows {
        case .none: return all(false)
        case .everyLayer:
            // The class does not look at the layers' types.
            if let given, hasWindow, given.contains(false) { throw unsupported("layer_types", "full_attention") }
            return all(hasWindow)
        case .fromLayer:
            guard try text.flag("use_sliding_window") ?? false, hasWindow else {
                if let given, given.contains(true) {
                    throw unsupported("layer_types", "sliding_attention without a window")
                }
                return all(false)
            }
            let first = try text.integer("max_window_layers") ?? 0
            return given ?? (0..<layers).map { $0 >= first }
        case .whereNotRotated:
            guard try text.flag("use_sliding_window") ?? false, hasWindow else { return all(false) }
            let rotated = try rotatedLayers()
            return given ?? rotated.map(!)
        case .butEvery(let usual, let isGiven):
            if let given { return given }
            guard hasWindow || configClass.modelType != "exaone4" else { return all(false) }
            let interval = isGiven ? try text.size("sliding_window_pattern") ?? usual : usual
            return (1...layers).map { $0 % interval != 0 }
        }
    }

    /// Whether each layer attends to a window by `layer_types`, if they are given.
    private func layerTypes() throws(ModelFileError) -> [Bool]? {
        guard let types = try text.strings("layer_types") else { return nil }
        guard types.count == layers else {
            throw text.wrongValue("layer_types", "\(types.count) strings", "one for each of \(layers) layers")
        }
        var windowed: [Bool] = []
        for type in types {
            switch type {
            case "full_attention", "attention": windowed.append(false)
            case "sliding_attention": windowed.append(true)
            default: throw unsupported("layer_types", Excerpt.quoted(type))
            }
        }
        return windowed
    }

    /// Cohere 2 and EXAONE 4 rotate only where there is a window, even if no layer has one.
    private func checkUnrotatedLayers(_ windowed: [Bool], hasWindow: Bool) throws(ModelFileError) {
        let rotatesAll = configClass.modelType == "exaone4" && !hasWindow
        guard ["cohere2", "exaone4"].contains(configClass.modelType), !rotatesAll, !windowed.contains(true) else {
            return
        }
        throw unsupported("layer_types", "full_attention only")
    }

    private mutating func addRotatedLayers() throws(ModelFileError) {
        set("rope.layers", .integers(try rotatedLayers().map { $0 ? 1 : 0 }), from: "no_rope_layers")
    }

    /// Whether each layer has a rotary embedding: `no_rope_layers` is 1 where there is one.
    private func rotatedLayers() throws(ModelFileError) -> [Bool] {
        guard let flags = try text.numbers("no_rope_layers") else {
            let interval = try text.requiredSize("no_rope_layer_interval")
            return (1...layers).map { $0 % interval != 0 }
        }
        guard flags.count == layers else {
            throw text.wrongValue("no_rope_layers", "\(flags.count) numbers", "one for each of \(layers) layers")
        }
        return flags.map { $0 != 0 }
    }
}

// The rotary embedding.
extension KeyTranslation {
    private mutating func addRotary() throws(ModelFileError) {
        let scaling = try text.object("rope_scaling").flatMap { $0.names.isEmpty ? nil : $0 }
        var given = ConfigKeys(path: config.path, [:])
        if let object = try scaling == nil ? text.object("rope_parameters") : scaling { given = object }
        let isByType = given.contains("full_attention") || given.contains("sliding_attention")
        guard let localTheta = configClass.rotary.localTheta else {
            guard !isByType else { throw unsupported("rope_parameters", "different types of layers") }
            try addRotary(given)
            return
        }
        guard isByType || scaling != nil || given["rope_type"].map({ $0 == "default" }) ?? true else {
            // transformers reads nothing from these.
            throw unsupported("rope_parameters", "all layers instead of each type")
        }
        let full = isByType ? try given.object("full_attention") : given
        try addRotary(full ?? ConfigKeys(path: config.path, [:]))
        let local = isByType ? try given.object("sliding_attention") : nil
        if let local, let kind = try Self.kind(local), kind != "default" {
            throw .unsupported(
                path: config.path, what: "RoPE scaling \(Excerpt.quoted(kind)) of layers with a window")
        }
        let shared = configClass.modelType == "gemma3_text" ? "rope_local_base_freq" : "rope_theta"
        var theta = try text.number(shared) ?? localTheta
        if let own = try local?.number("rope_theta") { theta = own }
        set("rope.freq_base_swa", .float(theta), from: shared)
    }

    /// What the frequencies are changed by; older files have it at `type`.
    private static func kind(_ given: ConfigKeys) throws(ModelFileError) -> String? {
        if let kind = try given.string("rope_type") { return kind }
        return try given.string("type")
    }

    /// Adds the rotary embedding of layers without a window.
    private mutating func addRotary(_ given: ConfigKeys) throws(ModelFileError) {
        try addDimensions(given)
        let place = given["rope_theta"] != nil ? given : text
        let theta = try place.number("rope_theta") ?? configClass.rotary.theta
        set("rope.freq_base", .float(theta), from: "rope_theta", in: place)
        let kind = try Self.kind(given) ?? "default"
        switch kind {
        case "default": break
        case "linear": try addScaling("linear", given)
        case "su", "yarn", "longrope":
            try kind == "yarn" && !configClass.rotary.isPhi ? addYaRN(given) : addLongRoPE(given)
        case "llama3":
            try addScaling("llama3", given)
            try addOriginalContext(given)
            for key in ["low_freq_factor", "high_freq_factor"] {
                set("rope.scaling." + key, .float(try given.requiredNumber(key)), from: key, in: given)
            }
        case "dynamic" where configClass.rotary.hasAlpha:
            let size = Double(try config.headSize())
            guard let alpha = try given.number("alpha"), alpha > 0, size > 2 else { fallthrough }
            set("rope.freq_base", .float(theta * pow(alpha, size / (size - 2))), from: "alpha", in: given)
        default:
            throw .unsupported(
                path: config.path,
                what: "RoPE scaling \(Excerpt.quoted(kind)) (supported: default, linear, llama3, longrope, yarn)")
        }
        // Ministral's queries grow with the position.
        if configClass.family == "mistral3", let beta = try given.number("llama_4_scaling_beta") {
            set("attention.temperature_scale", .float(beta), from: "llama_4_scaling_beta", in: given)
            try addOriginalContext(given)
        }
    }

    private mutating func addDimensions(_ given: ConfigKeys) throws(ModelFileError) {
        let key = "partial_rotary_factor"
        let place = given[key] != nil ? given : text
        let part = try place.number(key) ?? configClass.rotary.partial ?? 1
        guard part > 0, part <= 1, configClass.rotary.partial != nil || part == 1 else {
            throw unsupported(key, "\(part)")
        }
        guard part < 1 else { return }
        set("rope.dimension_count", Int(Double(try config.headSize()) * part), from: key)
    }

    private mutating func addScaling(_ kind: String, _ given: ConfigKeys) throws(ModelFileError) {
        set("rope.scaling.type", .string(Array(kind.utf8)), from: "rope_type", in: given)
        var factor = try given.number("factor")
        if kind == "yarn", factor == nil, let original = try given.size("original_max_position_embeddings") {
            factor = Double(try text.requiredSize("max_position_embeddings")) / Double(original)
        }
        guard let factor else { throw given.missing("factor", "a number") }
        set("rope.scaling.factor", .float(factor), from: "factor", in: given)
    }

    private mutating func addOriginalContext(_ given: ConfigKeys) throws(ModelFileError) {
        let key = "original_max_position_embeddings"
        let keys = configClass.rotary.isPhi ? text : given
        guard let original = try keys.size(key) else { return }
        set("rope.scaling.original_context_length", .integer(Int64(original)), from: key, in: keys)
    }

    private mutating func addYaRN(_ given: ConfigKeys) throws(ModelFileError) {
        try addScaling("yarn", given)
        try addOriginalContext(given)
        for (key, usual) in [("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")] {
            if let beta = try given.number(key), beta != 0 {
                set("rope.scaling." + usual, .float(beta), from: key, in: given)
            }
        }
        // The class for layers of different types looks for it in another place than it writes it to.
        if let truncates = try given.flag("truncate") {
            guard truncates || configClass.rotary.localTheta == nil else { throw unsupported("truncate", "false") }
            set("rope.scaling.truncate", .bool(truncates), from: "truncate", in: given)
        }
        if let factor = try given.number("attention_factor") {
            set("rope.scaling.attention_factor", .float(factor), from: "attention_factor", in: given)
        } else if let one = try given.number("mscale"), let all = try given.number("mscale_all_dim"), one != 0, all != 0
        {
            set("rope.scaling.mscale", .float(one), from: "mscale", in: given)
            set("rope.scaling.yarn_log_multiplier", .float(all), from: "mscale_all_dim", in: given)
        }
    }

    private mutating func addLongRoPE(_ given: ConfigKeys) throws(ModelFileError) {
        for key in ["short_factor", "long_factor"] {
            guard let factors = try given.numbers(key) else { throw given.missing(key, "an array of numbers") }
            set("rope.scaling." + key, .floats(factors), from: key, in: given)
        }
        try addOriginalContext(given)
        let original = try (configClass.rotary.isPhi ? text : given).size("original_max_position_embeddings")
        if let factor = try given.number("attention_factor") {
            set("rope.scaling.attention_factor", .float(factor), from: "attention_factor", in: given)
        } else if let factor = try given.number("factor"), let original {
            let magnitude = factor > 1 ? (1 + log(factor) / log(Double(original))).squareRoot() : 1
            set("rope.scaling.attention_factor", .float(magnitude), from: "factor", in: given)
        }
    }
}

// Keys that are not read.
extension KeyTranslation {
    /// Tells which keys the class does not have and so ignores, but for those that say "no".
    var warning: String? {
        let ignored = text.names.filter { !isKnown($0) && text[$0].map { !$0.isNeutral } ?? false }
        guard !ignored.isEmpty else { return nil }
        let shown = ignored.prefix(8).map { Excerpt.shortened(text.spelling($0)) }.joined(separator: ", ")
        return "\(config.path): ignored, as transformers' class for \(configClass.modelType) does: \(shown)"
            + (ignored.count > 8 ? " and \(ignored.count - 8) more" : "")
    }

    private func isKnown(_ key: String) -> Bool {
        Self.read.contains(key) || Self.withoutMeaning.contains(key) || configClass.numbers[key] != nil
            || key == configClass.epsilon || key == configClass.activation
            || Self.withoutMeaningAtItsEnd.contains { key.hasSuffix($0) }
            || Self.generation.contains(key)
    }

    /// What is read for every class.
    private static let read: Set<String> = [
        "model_type", "architectures", "text_config", "quantization_config", "hidden_size", "intermediate_size",
        "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",
        "vocab_size", "tie_word_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq",
        "partial_rotary_factor", "original_max_position_embeddings", "sliding_window", "use_sliding_window",
        "max_window_layers", "layer_types", "no_rope_layers", "no_rope_layer_interval", "sliding_window_pattern",
        "_sliding_window_pattern",
    ]

    /// What changes no result: how a model was trained, saved or is run, and biases, which are there or not.
    private static let withoutMeaning: Set<String> = [
        "_name_or_path", "name_or_path", "transformers_version", "torch_dtype", "dtype", "auto_map",
        "initializer_range",
        "use_cache", "attention_dropout", "residual_dropout", "embedding_dropout", "resid_pdrop", "embd_pdrop",
        "hidden_dropout", "pretraining_tp", "attention_bias", "attention_out_bias", "mlp_bias", "use_bias",
        "chunk_size_feed_forward", "output_attentions", "output_hidden_states", "return_dict", "problem_type",
        "id2label",
        "label2id", "num_labels", "cache_implementation", "is_decoder", "is_causal", "task_specific_params",
        "torchscript",
        "gradient_checkpointing", "transformers.js_config", "_attn_implementation_autoset", "_attn_implementation",
        "attn_implementation", "use_flash_attn", "hidden_act", "hidden_activation", "unsloth_version", "unsloth_fixed",
    ]

    private static let withoutMeaningAtItsEnd = ["_token_id", "_token_index"]

    /// What older files say of generation. Only end tokens are read, where `generation_config.json` has none.
    private static let generation: Set<String> = [
        "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty",
        "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
        "return_dict_in_generate", "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens",
        "remove_invalid_values", "max_new_tokens",
    ]
}
