// The rotary embeddings, by a `config.json` of transformers 4 or 5.
//
// Source: transformers 5.24, `RotaryEmbeddingConfigMixin` and `ROPE_INIT_FUNCTIONS`.

import Foundation
import JSONText

extension KeyTranslation {
    /// Adds the rotary embeddings.
    mutating func addRotary() throws(ModelFileError) {
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
