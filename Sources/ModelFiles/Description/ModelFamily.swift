// A family of models: its names, and what its files leave unsaid.

import Foundation

/// An architecture that can be described.
struct ModelFamily: Sendable {
    /// Its name as GGUF's `general.architecture`.
    let name: String
    /// Class names of Hugging Face transformers; files of the family are theirs in the sense of the first.
    let classes: [String]
    /// Which elements of a head are rotated together, as transformers orders them.
    var pairs = RotaryEmbedding.Pairs.halves
    /// The same in GGUF files: converters reorder the rows of queries and keys of some families.
    var pairsInGGUF = RotaryEmbedding.Pairs.halves
    /// If some layers have a window and the file does not say which: every n-th layer has none.
    var fullLayerInterval: Int?
    /// Scaling of the rotary embedding changes only the layers without a window.
    var scalesFullLayersOnly = false
    /// The norm of the residual stream.
    var norm = ModelDescription.Norm.Kind.rms
    /// Norms multiply by 1 + w. GGUF files contain the sum.
    var normAddsOne = false
    /// Tensors of GGUF files with another meaning than usual: the usual name to the file's, without the layer.
    var renamed: [String: String] = [:]
    /// Modules of a layer in Hugging Face folders with another meaning than in most families: the module to the usual name.
    var tensorNames: [String: String] = [:]
    /// Changes the description where the family differs from what `ModelDescription(base:)` makes of the keys.
    var describe: @Sendable (ModelKeys, inout ModelDescription) throws(ModelFileError) -> Void = { _, _ in }

    /// The family of a GGUF architecture.
    static func named(_ name: String) -> ModelFamily? { all.first { $0.name == name } }

    /// The error that there is no family of a GGUF architecture.
    static func unknown(_ name: String, path: String) -> ModelFileError {
        let names = all.map(\.name).joined(separator: ", ")
        return .unsupported(path: path, what: "architecture \"\(name)\" (supported: \(names))")
    }

}

extension ModelDescription {
    /// Class names of Hugging Face transformers that can be described.
    public static var classes: [String] { ModelFamily.all.flatMap(\.classes) }

    /// Describes a model by its keys. What describes the computation and is not understood is refused.
    ///
    /// - Throws: `ModelFileError`, if the family is not known, or a key is missing, contradicts another or is not supported.
    init(_ keys: ModelKeys, vocabularySize: Int, warnings: inout [String]) throws(ModelFileError) {
        guard let family = ModelFamily.named(keys.architecture) else {
            throw ModelFamily.unknown(keys.architecture, path: keys.path)
        }
        if let experts = try keys.integer("expert_count"), experts > 0 {
            throw .unsupported(path: keys.path, what: "a mixture of \(experts) experts")
        }
        try self.init(base: keys, family, vocabularySize: vocabularySize)
        try family.describe(keys, &self)
        try keys.refuseUnread(warnings: &warnings)
    }

    /// What the keys say for most families: attention with a rotary embedding, and a dense feed-forward with a gate.
    private init(base keys: ModelKeys, _ family: ModelFamily, vocabularySize: Int) throws(ModelFileError) {
        let layerCount = try keys.layerCount()
        let hidden = try keys.requiredSize("embedding_length")
        guard let heads = try keys.layerSize("attention.head_count", layers: layerCount) else {
            throw keys.missing("attention.head_count", "a whole number")
        }
        let keyValueHeads = try keys.layerSize("attention.head_count_kv", layers: layerCount) ?? heads
        guard heads % keyValueHeads == 0 else {
            throw .unsupported(path: keys.path, what: "\(heads) heads with \(keyValueHeads) key/value heads")
        }
        let headSize = try keys.size("attention.key_length") ?? hidden / heads
        let valueSize = try keys.size("attention.value_length") ?? headSize
        let rotated = try keys.integer("rope.dimension_count") ?? headSize
        guard (2...1 << 16).contains(headSize), valueSize == headSize, (2...headSize).contains(rotated),
            rotated % 2 == 0
        else {
            throw .unsupported(path: keys.path, what: "key/value width \(headSize)/\(valueSize), rotated \(rotated)")
        }
        guard let width = try keys.layerSize("feed_forward_length", layers: layerCount) else {
            throw keys.missing("feed_forward_length", "a whole number")
        }
        let full = try RotaryEmbedding(keys, dimensions: rotated, family)
        let local = RotaryEmbedding(
            theta: try keys.number("rope.freq_base_swa") ?? full.theta, dimensions: rotated, pairs: full.pairs,
            scaling: family.scalesFullLayersOnly ? .none : full.scaling)
        let windows = try Self.windows(keys, family, layers: layerCount)
        let epsilon = try keys.number("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon")
        guard let epsilon, epsilon >= 0, epsilon < 1 else {
            throw keys.missing("attention.layer_norm_rms_epsilon", "a number below 1")
        }
        self.init(
            hiddenSize: hidden, vocabularySize: vocabularySize,
            norm: Norm(
                kind: family.norm, epsilon: epsilon,
                weightOffset: family.normAddsOne && keys.container == .huggingFace ? 1 : 0),
            layers: windows.map { window in
                var attention = Attention(
                    heads: heads, keyValueHeads: keyValueHeads, headSize: headSize,
                    rope: window == nil ? full : local)
                attention.window = window
                return Layer(
                    mixer: .attention(attention), feedForward: .dense(Dense(width: width, activation: .silu)))
            })
    }

    /// Each layer's window.
    private static func windows(
        _ keys: ModelKeys, _ family: ModelFamily, layers count: Int
    ) throws(ModelFileError) -> [Int?] {
        let key = "attention.sliding_window_pattern"
        let pattern = keys[key]
        guard try keys.integer("attention.sliding_window").map({ $0 > 0 }) == true,
            let window = try keys.size("attention.sliding_window")
        else { return Array(repeating: nil, count: count) }
        switch pattern {
        case .integers(let flags)? where flags.count == count: return flags.map { $0 != 0 ? window : nil }
        case .integer(let interval)? where (1...Int64(count)).contains(interval):
            return (1...count).map { $0 % Int(interval) != 0 ? window : nil }
        case nil:
            guard let interval = family.fullLayerInterval else { return Array(repeating: window, count: count) }
            return (1...count).map { $0 % interval != 0 ? window : nil }
        case .some(let other): throw keys.unsupported(key, other.excerpt)
        }
    }
}

extension RotaryEmbedding {
    /// The embedding of layers without a window.
    fileprivate init(_ keys: ModelKeys, dimensions: Int, _ family: ModelFamily) throws(ModelFileError) {
        let theta = try keys.number("rope.freq_base") ?? 10_000
        guard theta > 0, theta.isFinite else { throw keys.unsupported("rope.freq_base", "\(theta)") }
        self.init(
            theta: theta, dimensions: dimensions, pairs: keys.container == .gguf ? family.pairsInGGUF : family.pairs,
            scaling: try Self.scaling(keys, pairs: dimensions / 2))
    }

    private static func scaling(_ keys: ModelKeys, pairs: Int) throws(ModelFileError) -> Scaling {
        let kind = try keys.string("rope.scaling.type") ?? "none"
        let context = try keys.requiredSize("context_length")
        let original = try keys.size("rope.scaling.original_context_length") ?? context
        let factor = try keys.number("rope.scaling.factor")
        func positive(_ factor: Float?) throws(ModelFileError) -> Float {
            guard let factor, factor.isFinite, factor > 0 else {
                throw keys.unsupported("rope.scaling.factor", factor.map { "\($0)" } ?? "no number")
            }
            return factor
        }
        // Whether the weights were trained with the scaling; it does not change the computation.
        _ = try keys.flag("rope.scaling.finetuned")
        if let long = try longDivisors(keys, pairs: pairs) {
            return .longRoPE(try LongRoPE(keys, divisors: long, context: context, original: original))
        }
        switch kind {
        case "none", "default", "": break
        case "linear": return .linear(factor: try positive(factor))
        case "yarn": return .yarn(try YaRN(keys, factor: try positive(factor), original: original))
        case "llama3":
            return .llama3(
                Llama3(
                    factor: try positive(factor),
                    lowFrequencyFactor: try keys.requiredNumber("rope.scaling.low_freq_factor"),
                    highFrequencyFactor: try keys.requiredNumber("rope.scaling.high_freq_factor"),
                    originalContext: original))
        default: throw .unsupported(path: keys.path, what: "RoPE scaling \"\(kind)\"")
        }
        if let divisors = try keys.divisors("rope_freqs.weight", count: pairs) { return .divisors(divisors) }
        return .none
    }

    private static func longDivisors(
        _ keys: ModelKeys, pairs: Int
    ) throws(ModelFileError) -> (short: [Float], long: [Float])? {
        func divisors(_ length: String) throws(ModelFileError) -> [Float]? {
            guard let given = try keys.numbers("rope.scaling.\(length)_factor") else {
                return try keys.divisors("rope_factors_\(length).weight", count: pairs)
            }
            guard given.count == pairs, given.allSatisfy({ $0.isFinite && $0 > 0 }) else {
                throw keys.unsupported("rope.scaling.\(length)_factor", "\(given.count) numbers for \(pairs) pairs")
            }
            return given
        }
        guard let short = try divisors("short"), let long = try divisors("long") else { return nil }
        return (short, long)
    }
}

extension RotaryEmbedding.YaRN {
    fileprivate init(_ keys: ModelKeys, factor: Float, original: Int) throws(ModelFileError) {
        let extrapolation = try keys.number("rope.scaling.yarn_ext_factor") ?? 1
        guard extrapolation == 1 else { throw keys.unsupported("rope.scaling.yarn_ext_factor", "\(extrapolation)") }
        // A weight of the magnitude over all dimensions divides it (DeepSeek's mscale_all_dim).
        let all = try keys.number("rope.scaling.yarn_log_multiplier") ?? 0
        let one = try keys.number("rope.scaling.mscale") ?? 1
        let standard = Self.standardMagnitude(factor: factor, weight: one)
        let magnitude = all == 0 ? standard : standard / Self.standardMagnitude(factor: factor, weight: all)
        // GGUF files have transformers' `attention_factor`, which is the whole magnitude, under `yarn_attn_factor`.
        let given = try keys.number("rope.scaling.attention_factor", "rope.scaling.yarn_attn_factor")
        self.init(
            factor: factor, originalContext: original,
            betaFast: try keys.number("rope.scaling.yarn_beta_fast") ?? 32,
            betaSlow: try keys.number("rope.scaling.yarn_beta_slow") ?? 1,
            truncates: try keys.flag("rope.scaling.truncate") ?? true,
            magnitude: given ?? magnitude)
    }
}

extension RotaryEmbedding.LongRoPE {
    fileprivate init(
        _ keys: ModelKeys, divisors: (short: [Float], long: [Float]), context: Int, original: Int
    ) throws(ModelFileError) {
        let factor = Double(context) / Double(original)
        let magnitude = factor > 1 ? (1 + log(factor) / log(Double(original))).squareRoot() : 1
        self.init(
            shortDivisors: divisors.short, longDivisors: divisors.long, originalContext: original,
            magnitude: try keys.number("rope.scaling.attn_factor", "rope.scaling.attention_factor") ?? Float(magnitude))
    }
}

extension ModelKeys {
    /// Throws for keys that nobody has read: they would change the result. Those that say "no" are only reported.
    fileprivate func refuseUnread(warnings: inout [String]) throws(ModelFileError) {
        for name in unread where !Self.withoutMeaning.contains(name) {
            guard self.isNeutral(name) else {
                throw .unsupported(
                    path: path,
                    what: "\(spelling(of: name)), a key of the architecture that this program does not know,")
            }
            warnings.append("\(spelling(of: name)) is not known; it is off, so it was ignored")
        }
    }

    /// Keys that change no result.
    private static let withoutMeaning: Set<String> = ["vocab_size", "tensor_data_layout"]
}
