// The properties of a model that the modules above need: sizes, rotary embedding, limits.

/// The configuration of a decoder-only transformer, with the names of Hugging Face's `config.json`.
public struct ModelConfig: Sendable, Equatable {
    /// The model's name, for people and for the `model` field of requests.
    public var name: String
    /// The file or folder that holds the weights.
    public var path: String
    /// Architecture class names, best first, for example `LlamaForCausalLM`.
    public var architectures: [String]
    /// The most frequent tensor type of the weight matrices, for example `Q4_1`.
    public var weightType: String
    /// Number of weights.
    public var parameterCount: Int
    /// Width of the residual stream.
    public var hiddenSize: Int
    /// Width of the feed-forward layer.
    public var intermediateSize: Int
    /// Number of transformer layers.
    public var layerCount: Int
    /// Query heads.
    public var attentionHeadCount: Int
    /// Key/value heads; divides `attentionHeadCount`.
    public var keyValueHeadCount: Int
    /// Width of one head.
    public var headSize: Int
    /// Rows of the embedding table.
    public var vocabularySize: Int
    /// Longest sequence the model was trained for, tokens.
    public var contextLength: Int
    /// Epsilon of the RMS norms.
    public var rmsNormEpsilon: Float
    /// Rotary embedding (RoPE, arXiv 2104.09864).
    public var rope: RotaryEmbedding

    /// How positions are encoded.
    public struct RotaryEmbedding: Sendable, Equatable {
        /// Base of the frequencies.
        public var theta: Float
        /// The number of leading elements of a head that are rotated. Pairs are (0,1), (2,3) … in GGUF's llama layout.
        public var dimensions: Int
        /// Divisors of the frequencies, one per pair (`rope_freqs.weight`, for Llama 3's long contexts), or nil.
        public var frequencyFactors: [Float]?

        /// Makes a rotary embedding; without factors the frequencies are used unscaled.
        public init(theta: Float, dimensions: Int, frequencyFactors: [Float]? = nil) {
            self.theta = theta
            self.dimensions = dimensions
            self.frequencyFactors = frequencyFactors
        }
    }
}

extension ModelConfig {
    /// Reads the configuration from a GGUF file of the llama architecture.
    ///
    /// - Throws: `ModelFileError` if a key is missing, contradicts another, or needs a feature that is not supported.
    public init(gguf: GGUFFile) throws(ModelFileError) {
        let metadata = gguf.metadata
        let architecture = try metadata.requiredString("general.architecture")
        guard architecture == "llama" else {
            throw .unsupported(path: gguf.path, what: "architecture \"\(architecture)\" (only \"llama\" is)")
        }
        try Self.refuseUnsupported(gguf)
        let heads = try Self.size("llama.attention.head_count", of: gguf)
        let keyValueHeads = metadata.integer("llama.attention.head_count_kv") ?? heads
        let hidden = try Self.size("llama.embedding_length", of: gguf)
        guard keyValueHeads > 0, heads % keyValueHeads == 0 else {
            throw .unsupported(path: gguf.path, what: "\(heads) heads with \(keyValueHeads) key/value heads")
        }
        let headSize = metadata.integer("llama.attention.key_length") ?? hidden / heads
        let valueSize = metadata.integer("llama.attention.value_length") ?? headSize
        let rotated = metadata.integer("llama.rope.dimension_count") ?? headSize
        guard (2...1 << 16).contains(headSize), valueSize == headSize, (2...headSize).contains(rotated),
            rotated % 2 == 0
        else {
            throw .unsupported(path: gguf.path, what: "key/value width \(headSize)/\(valueSize), rotated \(rotated)")
        }
        let embedding = try gguf.tensor("token_embd.weight")
        guard embedding.shape.count == 2, embedding.shape[0] == hidden else {
            throw .wrongShape(path: gguf.path, name: embedding.name, expected: [hidden], found: embedding.shape)
        }
        self.init(
            name: Self.name(of: gguf), path: gguf.path, architectures: ["LlamaForCausalLM"],
            weightType: Self.commonType(of: gguf),
            parameterCount: gguf.tensors.values.reduce(0) { $0 + $1.elementCount },
            hiddenSize: hidden,
            intermediateSize: try Self.size("llama.feed_forward_length", of: gguf),
            layerCount: try Self.size("llama.block_count", of: gguf),
            attentionHeadCount: heads, keyValueHeadCount: keyValueHeads, headSize: headSize,
            vocabularySize: embedding.shape[1],
            contextLength: try Self.size("llama.context_length", of: gguf),
            rmsNormEpsilon: Float(try metadata.requiredNumber("llama.attention.layer_norm_rms_epsilon")),
            rope: RotaryEmbedding(
                theta: Float(metadata.number("llama.rope.freq_base") ?? 10_000), dimensions: rotated,
                frequencyFactors: try Self.frequencyFactors(of: gguf, pairs: rotated / 2)))
    }

    private static func frequencyFactors(of gguf: GGUFFile, pairs: Int) throws(ModelFileError) -> [Float]? {
        guard let tensor = gguf.tensors["rope_freqs.weight"] else { return nil }
        guard tensor.shape == [pairs] else {
            throw .wrongShape(path: gguf.path, name: tensor.name, expected: [pairs], found: tensor.shape)
        }
        guard tensor.type == .f32 else {
            throw .unsupported(path: gguf.path, what: "tensor \(tensor.name) of type \(tensor.type.name)")
        }
        let factors = (0..<pairs).map { tensor.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        guard factors.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw .unsupported(path: gguf.path, what: "a RoPE frequency factor that is not a positive number")
        }
        return factors
    }

    /// Throws for keys that would change the computation and that this program does not support.
    private static func refuseUnsupported(_ gguf: GGUFFile) throws(ModelFileError) {
        let metadata = gguf.metadata
        if let scaling = metadata.string("llama.rope.scaling.type"), scaling != "none" {
            throw .unsupported(path: gguf.path, what: "RoPE scaling \"\(scaling)\"")
        }
        if let experts = metadata.integer("llama.expert_count"), experts > 0 {
            throw .unsupported(path: gguf.path, what: "a mixture of \(experts) experts")
        }
    }

    /// A size from the metadata. It must be positive, and small enough that a product of a few sizes cannot overflow.
    private static func size(_ key: String, of gguf: GGUFFile) throws(ModelFileError) -> Int {
        let value = try gguf.metadata.requiredInteger(key)
        guard (1...1 << 28).contains(value) else { throw .unsupported(path: gguf.path, what: "\(key) of \(value)") }
        return value
    }

    private static func name(of gguf: GGUFFile) -> String {
        let file = gguf.path.split(separator: "/").last.map(String.init) ?? gguf.path
        return file.hasSuffix(".gguf") ? String(file.dropLast(5)) : file
    }

    private static func commonType(of gguf: GGUFFile) -> String {
        var elements: [TensorType: Int] = [:]
        for tensor in gguf.tensors.values where tensor.shape.count == 2 {
            elements[tensor.type, default: 0] += tensor.elementCount
        }
        return elements.max { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) }?.key.name ?? "F32"
    }
}
