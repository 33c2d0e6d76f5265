// The architectures that a device has models for, and how a model is created (TT contract §1.1).

public import ModelFiles

/// What a model is initialised with (TT contract §1.1).
public struct ModelInitialization: Sendable {
    /// The model's configuration and the location of its weights.
    public var config: ModelConfig
    /// Rows of a decode step, `max_num_seqs`. Each replica has its own model, so the batch is not divided between them.
    public var maxBatchSize: Int
    /// Longest sequence, in tokens.
    public var maxSequenceLength: Int
    /// Tokens in a KV block.
    public var blockSize: Int
    /// The trade-off between speed and precision; `nil` leaves it to the model.
    public var optimizations: Optimizations?
    /// Which steps run as traces.
    public var traceMode: TraceMode
    /// Data type of the cached keys and values; `nil` leaves it to the model.
    public var kvCacheDType: KVCacheDType?

    /// Initialises the model of `config`; by default with blocks of 16 tokens, all steps as traces, and the data type
    /// of the KV cache left to the model.
    public init(
        config: ModelConfig, maxBatchSize: Int, maxSequenceLength: Int, blockSize: Int = 16,
        optimizations: Optimizations?, traceMode: TraceMode = .all, kvCacheDType: KVCacheDType? = nil
    ) {
        self.kvCacheDType = kvCacheDType
        self.traceMode = traceMode
        self.config = config
        self.maxBatchSize = maxBatchSize
        self.maxSequenceLength = maxSequenceLength
        self.blockSize = blockSize
        self.optimizations = optimizations
    }
}

/// The trade-off between speed and precision, `optimizations` in the configuration.
public enum Optimizations: String, Sendable, CaseIterable {
    /// Activations may be quantised.
    case performance
    /// Weights and activations keep the file's precision; sums are computed in float.
    case accuracy
}

/// Data type of the cached keys and values, `kv_cache_dtype` in the configuration.
public enum KVCacheDType: String, Sendable, CaseIterable {
    /// 32-bit floats.
    case float32
    /// 16-bit floats.
    case float16
    /// 8-bit integers, with a scale for each position of a head.
    case int8
}

/// The model classes of a kind of device, by architecture.
public struct ModelRegistry<Device: MeshDevice>: Sendable {
    /// Creates a model on an opened device and reads its weights.
    public typealias Factory = @Sendable (ModelInitialization, Device) throws -> any TTModel

    private var factories: [String: Factory] = [:]
    private var factoryForAll: Factory?

    /// An empty registry.
    public init() {}

    /// Registered architecture names, sorted; each begins with `TT`.
    public var architectures: [String] { factories.keys.sorted() }

    /// Adds a model for `architecture`, for example `TTLlamaForCausalLM`.
    public mutating func register(_ architecture: String, _ factory: @escaping Factory) {
        precondition(architecture.hasPrefix("TT"), "TT models' names begin with TT")
        factories[architecture] = factory
    }

    /// Uses `factory` for every architecture instead of the registered ones: the operator has named a class.
    public mutating func registerForAll(_ factory: @escaping Factory) { factoryForAll = factory }

    /// The factory for `architecture`, or `nil`.
    public subscript(architecture: String) -> Factory? { factoryForAll ?? factories[architecture] }
}
