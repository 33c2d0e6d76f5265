// The engine's settings as configured, with vLLM's names; `TTPlatform.checkAndUpdateConfig` turns them into sizes.

public import ModelFiles

/// Settings of an engine. For a setting that is `nil`, the model, the device or the platform's rules decide.
public struct EngineConfiguration: Sendable, Equatable {
    /// Platform to run on: a platform's name, or `auto`.
    public var device = "auto"
    /// Mesh to open: a board's name or a grid; by default all chips in one row.
    public var meshDevice: MeshSelection?
    /// Threads of the host device, for each replica; by default one for each of its cores.
    public var threads: Int?
    /// Whether the host device's threads are bound to cores: steadier if the machine does nothing else, slower if other
    /// programs use the same cores.
    public var bindThreads = false
    /// Longest sequence in tokens, prompt and generated tokens together.
    public var maxModelLen = MaxModelLength.model
    /// Rows of the device batch; each replica has its own.
    public var maxNumSeqs = 32
    /// Tokens in a KV block; by default 16.
    public var blockSize: Int?
    /// Maximum number of tokens in one prefill step.
    public var maxNumBatchedTokens: Int?
    /// Bytes for the KV cache of each replica; by default the device's memory and the contract's rule decide.
    public var kvCacheMemoryBytes: Int?
    /// Data type of the cached keys and values; by default the model decides.
    public var kvCacheDType: KVCacheDType?
    /// Blocks of the KV cache of each replica, of its first group of layers, without regard to the memory; for tests, and
    /// for a size that was measured.
    public var numBlocksOverride: Int?
    /// Chips that share each layer; only 1 is supported.
    public var tensorParallelSize = 1
    /// Groups of chips that the layers are divided between; only 1 is supported.
    public var pipelineParallelSize = 1
    /// Replicas of the model, each on its own device: a group of the machine's cores or of the visible cards.
    public var dataParallelSize = 1
    /// Upper bound of `dataParallelSize`; no machine has room for that many replicas.
    static let mostReplicas = 1024
    /// Prompts are prefilled in pieces; not supported.
    public var enableChunkedPrefill: Bool?
    /// Requests share the KV blocks of a common prefix; by default if the model can.
    public var enablePrefixCaching: Bool?
    /// Draft model of speculative decoding; not supported.
    public var speculativeModel: String?
    /// Low-rank adapters; not supported.
    public var enableLoRA = false
    /// The `tt:` section.
    public var tt = TTConfig()

    /// All defaults.
    public init() {}

    /// The longest sequence that may be requested, in tokens; fitting it to the KV cache can only make it shorter.
    public func longestModelLen(of model: ModelConfig) -> Int {
        switch maxModelLen(of: model) {
        case .tokens(let tokens), .fitted(let tokens): min(tokens, model.contextLength)
        case .model, .fit: model.contextLength
        }
    }

    /// Whether raising `max_model_len` alone would allow longer sequences.
    public func canRaiseMaxModelLen(for model: ModelConfig) -> Bool {
        if case .tokens(let tokens) = maxModelLen(of: model) { tokens < model.contextLength } else { false }
    }

    /// What decides the longest sequence of a model: its own setting, or this one.
    func maxModelLen(of model: ModelConfig) -> MaxModelLength { model.maxModelLen.map { .tokens($0) } ?? maxModelLen }
}

/// What decides the longest sequence.
public enum MaxModelLength: Sendable, Equatable, ExpressibleByIntegerLiteral {
    /// The context length that the model was trained for.
    case model
    /// That, or less if the KV cache does not hold it; −1 in the configuration.
    case fit
    /// The length, in tokens, that `fit` gave on another replica.
    case fitted(Int)
    /// A fixed number of tokens.
    case tokens(Int)

    /// A fixed number of tokens.
    public init(integerLiteral tokens: Int) { self = .tokens(tokens) }

    init(_ reader: ConfigurationReader, _ key: String) throws(ConfigurationError) {
        switch reader.value(key) {
        case nil: self = .model
        case .integer(-1): self = .fit
        case .integer(let tokens) where tokens >= 2: self = .tokens(tokens)
        case .some(let other):
            throw .invalidValue(
                key: key, value: other, expected: "a whole number, at least 2, or -1 for as much as the KV cache holds")
        }
    }
}

extension EngineConfiguration: ConfigurationSection {
    /// Reads the engine's keys, and those of the `tt:` section.
    ///
    /// - Throws: `ConfigurationError` that names the key, the value and what is allowed.
    public init(
        parsing values: [String: ConfigurationValue], tt: [String: ConfigurationValue] = [:]
    ) throws(ConfigurationError) {
        try self.init(section: values)
        self.tt = try TTConfig(parsing: tt)
        if let replicas = self.tt.dataParallel {
            guard values["data_parallel_size"] == nil || dataParallelSize == replicas else {
                throw .contradiction(
                    "data_parallel_size is \(dataParallelSize) and data_parallel under tt is \(replicas)",
                    remedy: "give one of them")
            }
            dataParallelSize = replicas
        }
    }

    /// The keys of the section, and what their values may be.
    package mutating func read(_ reader: ConfigurationReader) throws(ConfigurationError) {
        device = try reader.string("device") ?? device
        if let value = reader.value("mesh_device") { meshDevice = try MeshSelection(parsing: value) }
        threads = try reader.integer("threads", in: 1...4096)
        bindThreads = try reader.boolean("bind_threads") ?? bindThreads
        maxModelLen = try MaxModelLength(reader, "max_model_len")
        maxNumSeqs = try reader.integer("max_num_seqs", in: 1...65_536) ?? maxNumSeqs
        blockSize = try reader.integer("block_size", in: 1...65_536)
        maxNumBatchedTokens = try reader.integer("max_num_batched_tokens", in: 1...Int.max)
        kvCacheMemoryBytes = try reader.integer("kv_cache_memory_bytes", in: 1...Int.max)
        kvCacheDType = try reader.choice("kv_cache_dtype")
        numBlocksOverride = try reader.integer("num_blocks_override", in: 1...Int(Int32.max))
        tensorParallelSize = try reader.integer("tensor_parallel_size", in: 1...Int.max) ?? 1
        pipelineParallelSize = try reader.integer("pipeline_parallel_size", in: 1...Int.max) ?? 1
        dataParallelSize = try reader.integer("data_parallel_size", in: 1...Self.mostReplicas) ?? 1
        enableChunkedPrefill = try reader.boolean("enable_chunked_prefill")
        enablePrefixCaching = try reader.boolean("enable_prefix_caching")
        speculativeModel = try reader.string("speculative_model")
        enableLoRA = try reader.boolean("enable_lora") ?? false
    }
}
