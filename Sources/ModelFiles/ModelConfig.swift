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
    /// Epsilon of the norms.
    public var normEpsilon: Float
    /// Base of the rotary embedding's frequencies.
    public var ropeTheta: Float
    /// Longest sequence in tokens, instead of the engine's setting.
    public var maxModelLen: Int?
    /// What float weights are quantised to when they are loaded; `nil` leaves them as they are.
    public var quantize: Quantization?

    /// What transformers calls the model, if it is a Hugging Face folder: its name in the hub, or the folder.
    public var checkpoint: String? {
        guard MappedFile.isFolder(path) else { return nil }
        return HubCache.isModelName(name) ? name : path
    }
}

extension ModelConfig {
    /// Reads the configuration of a GGUF file. Sizes that a mixture or hybrid has in several values are the largest.
    ///
    /// - Throws: `ModelFileError` if a key is missing or contradicts another.
    init(_ metadata: GGUFMetadata, _ weights: ModelWeights) throws(ModelFileError) {
        let architecture = try metadata.requiredString("general.architecture")
        func size(_ key: String) throws(ModelFileError) -> Int? {
            do throws(ModelFileError) { return try metadata.largestSize("\(architecture).\(key)") } catch {
                // An architecture that nobody has heard of may have other keys, and other values of them.
                throw ModelFamily.named(architecture) == nil
                    ? ModelFamily.unknown(architecture, path: metadata.path) : error
            }
        }
        func number(_ key: String) -> Float? { metadata.number("\(architecture).\(key)").map { Float($0) } }
        func required(_ key: String) throws(ModelFileError) -> Int {
            guard let size = try size(key) else {
                if ModelFamily.named(architecture) == nil {
                    throw ModelFamily.unknown(architecture, path: metadata.path)
                }
                throw .missingKey(path: metadata.path, key: "\(architecture).\(key)", expected: "an integer")
            }
            return size
        }
        let heads = try required("attention.head_count")
        let hidden = try required("embedding_length")
        guard let embedding = weights["token_embd.weight"] else {
            throw .missingTensor(path: metadata.path, name: "token_embd.weight")
        }
        guard embedding.shape.count == 2, embedding.shape[0] == hidden else {
            throw .wrongShape(path: metadata.path, name: embedding.name, expected: [hidden], found: embedding.shape)
        }
        self.init(
            name: Self.name(of: metadata.path), path: metadata.path,
            architectures: [ModelFamily.named(architecture)?.classes.first ?? architecture],
            weightType: weights.commonTypeName ?? TensorType.f32.name, parameterCount: weights.parameterCount,
            hiddenSize: hidden,
            intermediateSize: try size("feed_forward_length") ?? 0, layerCount: try required("block_count"),
            attentionHeadCount: heads, keyValueHeadCount: try size("attention.head_count_kv") ?? heads,
            headSize: try size("attention.key_length") ?? hidden / heads, vocabularySize: embedding.shape[1],
            contextLength: try required("context_length"),
            normEpsilon: number("attention.layer_norm_rms_epsilon") ?? number("attention.layer_norm_epsilon") ?? 1e-5,
            ropeTheta: number("rope.freq_base") ?? 10_000)
    }

    /// The name that a file or folder gives its model: without its ending, or `org/name` in a cache of the Hugging Face hub.
    static func name(of path: String) -> String {
        if let name = HubCache.modelName(ofSnapshot: path) { return name }
        let file = path.split(separator: "/").last.map(String.init) ?? path
        if let part = SplitName(file) { return part.prefix }
        return file.hasSuffix(".gguf") ? String(file.dropLast(5)) : file
    }
}

extension GGUFMetadata {
    /// A size, the largest one if there is one for each layer. It must be positive, and small enough that a product of a few
    /// sizes cannot overflow.
    fileprivate func largestSize(_ key: String) throws(ModelFileError) -> Int? {
        let value: Int64
        switch self[key] {
        case nil: return nil
        case .integer(let number)?: value = number
        case .integers(let numbers)?: value = numbers.max() ?? 0
        default: throw .missingKey(path: path, key: key, expected: "an integer")
        }
        guard (1...1 << 28).contains(value) else { throw .unsupported(path: path, what: "\(key) of \(value)") }
        return Int(value)
    }
}
