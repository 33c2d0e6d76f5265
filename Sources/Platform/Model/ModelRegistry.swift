// Which architectures have a model on a device, and how one is made (TT contract §1.1).

public import ModelFiles

/// What a model is initialised with (TT contract §1.1).
public struct ModelInitialization: Sendable {
    /// The model's configuration and the place of its weights.
    public var config: ModelConfig
    /// Rows of a decode step, `max_num_seqs`. Replicas have a model each, so none divides its batch.
    public var maxBatchSize: Int
    /// Longest sequence, tokens.
    public var maxSequenceLength: Int
    /// Tokens in a KV block.
    public var blockSize: Int
    /// The trade between speed and precision; `nil` leaves it to the model.
    public var optimizations: Optimizations?
    /// Which steps run as traces.
    public var traceMode: TraceMode
    /// What keys and values are kept as; left to the model where `nil`.
    public var kvCacheDType: KVCacheDType?

    /// An initialisation as given.
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

/// The trade between speed and precision, `optimizations` in the configuration.
public enum Optimizations: String, Sendable, CaseIterable {
    /// Activations may be quantised.
    case performance
    /// Weights and activations keep the file's precision, sums are float.
    case accuracy
}

/// What a model keeps keys and values as, `kv_cache_dtype` in the configuration.
public enum KVCacheDType: String, Sendable, CaseIterable {
    /// 32-bit floats.
    case float32
    /// 16-bit floats.
    case float16
    /// Bytes, with a scale for each position of a head.
    case int8
}

/// The architectures that a kind of device has models for.
public struct ModelRegistry<Device: MeshDevice>: Sendable {
    /// Makes a model on an opened device; reads the weights.
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

    /// Adds a model for every architecture, in place of all others: the operator has named a class.
    public mutating func registerForAll(_ factory: @escaping Factory) { factoryForAll = factory }

    /// The factory for `architecture`, or `nil`.
    public subscript(architecture: String) -> Factory? { factoryForAll ?? factories[architecture] }
}
