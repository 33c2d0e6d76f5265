// The engine's settings as a person gives them, in vLLM's words; `TTPlatform.checkAndUpdateConfig` turns them into sizes.

public import ModelFiles

/// Settings of an engine. What is `nil` is left to the model, the device or the platform's rules.
public struct EngineConfiguration: Sendable, Equatable {
    /// Platform to run on: a platform's name, or `auto`.
    public var device = "auto"
    /// Mesh to open: a board's name or a grid; all chips in one row where not given.
    public var meshDevice: MeshSelection?
    /// Threads of the host device, for each replica; one for each of its cores where not given.
    public var threads: Int?
    /// Whether the host device's threads are bound to cores: steadier where the machine does nothing else, slower where
    /// other programs use the same cores.
    public var bindThreads = false
    /// Longest sequence in tokens, prompt and generated together.
    public var maxModelLen = MaxModelLength.model
    /// Rows of the device batch; each replica has its own.
    public var maxNumSeqs = 32
    /// Tokens in a KV block; 16 where not given.
    public var blockSize: Int?
    /// Most tokens in one prefill step.
    public var maxNumBatchedTokens: Int?
    /// Bytes for the KV cache of each replica; by the device's memory and the contract's rule where not given.
    public var kvCacheMemoryBytes: Int?
    /// What keys and values are kept as; left to the model where not given.
    public var kvCacheDType: KVCacheDType?
    /// Blocks of the KV cache of each replica, whatever the memory; for tests and for those who measured.
    public var numBlocksOverride: Int?
    /// Chips that share each layer; only 1.
    public var tensorParallelSize = 1
    /// Chips that follow each other in layers; only 1.
    public var pipelineParallelSize = 1
    /// Replicas of the model, each on a device of its own: a group of the machine's cores, or of the visible cards.
    public var dataParallelSize = 1
    /// More replicas than any machine has room for.
    static let mostReplicas = 1024
    /// Prompts are prefilled in pieces; not supported.
    public var enableChunkedPrefill: Bool?
    /// Requests share the KV blocks of equal beginnings; where the model can, if not given.
    public var enablePrefixCaching: Bool?
    /// Draft model of speculative decoding; not supported.
    public var speculativeModel: String?
    /// Low-rank adapters; not supported.
    public var enableLoRA = false
    /// The `tt:` section.
    public var tt = TTConfig()

    /// All defaults.
    public init() {}

    /// The longest sequence that may be asked for, tokens: what is fitted to the KV cache can only become shorter.
    public func longestModelLen(of model: ModelConfig) -> Int {
        switch maxModelLen {
        case .tokens(let tokens), .fitted(let tokens): tokens
        case .model, .fit: model.contextLength
        }
    }

    /// Whether a longer sequence could be had by setting `max_model_len` alone.
    public func canRaiseMaxModelLen(for model: ModelConfig) -> Bool {
        if case .tokens(let tokens) = maxModelLen { tokens < model.contextLength } else { false }
    }
}

/// How the longest sequence is found.
public enum MaxModelLength: Sendable, Equatable, ExpressibleByIntegerLiteral {
    /// What the model was trained for.
    case model
    /// As much of that as the KV cache holds; −1 in the configuration.
    case fit
    /// What that came to on another replica.
    case fitted(Int)
    /// So many tokens.
    case tokens(Int)

    /// So many tokens.
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
    /// Keys of the section, besides those under `tt`.
    public static var keys: [String] { sectionKeys }

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
