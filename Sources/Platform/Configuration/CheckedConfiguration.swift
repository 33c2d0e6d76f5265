// A configuration that the platform's rules have checked and completed: every size is known. Only `TTPlatform` makes
// one.

/// The sizes and modes that an engine runs with.
public struct CheckedConfiguration: Sendable, Equatable {
    /// Class names to look for in a device's registry, best first, each beginning with `TT`.
    public let architectures: [String]
    /// Longest sequence, prompt and generated tokens together.
    public let maxModelLen: Int
    /// The KV pool may be too small for `maxModelLen`, which is lowered then.
    public let fitsModelLenToPool: Bool
    /// Rows of the device batch.
    public let maxNumSeqs: Int
    /// Maximum number of tokens in one prefill step; at least `maxModelLen`.
    public internal(set) var maxNumBatchedTokens: Int
    /// Tokens in a KV block.
    public let blockSize: Int
    /// What decides the number of KV blocks.
    public let blockSource: BlockSource
    /// Data type of the cached keys and values; `nil` leaves it to the model.
    public let kvCacheDType: KVCacheDType?
    /// Chips that the model runs on.
    public let deviceCount: Int
    /// Generation of the chips; `nil` where there are none.
    public let chipArchitecture: ChipArchitecture?
    /// How requests share the KV blocks of a common prefix; `none` until `TTPlatform.check` has asked the model.
    public internal(set) var prefixSharing = PrefixSharing.none
    /// Whether the configuration turns prefix sharing on or off; `nil` leaves it to the model.
    let requestedPrefixCaching: Bool?
    /// The `tt:` section.
    public internal(set) var tt: TTConfig
    /// Settings that were changed or have no effect, for the operator.
    public internal(set) var warnings: [ConfigurationWarning]

    /// What decides the number of KV blocks.
    public enum BlockSource: Sendable, Equatable {
        /// The contract's table, or the memory that the device has free.
        case rule
        /// A fixed amount of memory, in bytes.
        case bytes(Int)
        /// A fixed number of blocks.
        case blocks(Int)
    }

    init(
        architectures: [String], maxModelLen: Int, fitsModelLenToPool: Bool, maxNumSeqs: Int,
        maxNumBatchedTokens: Int, blockSize: Int,
        blockSource: BlockSource, kvCacheDType: KVCacheDType?, deviceCount: Int, chipArchitecture: ChipArchitecture?,
        requestedPrefixCaching: Bool?, tt: TTConfig,
        warnings: [ConfigurationWarning]
    ) {
        self.architectures = architectures
        self.maxModelLen = maxModelLen
        self.fitsModelLenToPool = fitsModelLenToPool
        self.maxNumSeqs = maxNumSeqs
        self.maxNumBatchedTokens = maxNumBatchedTokens
        self.blockSize = blockSize
        self.blockSource = blockSource
        self.kvCacheDType = kvCacheDType
        self.deviceCount = deviceCount
        self.chipArchitecture = chipArchitecture
        self.requestedPrefixCaching = requestedPrefixCaching
        self.tt = tt
        self.warnings = warnings
    }
}
