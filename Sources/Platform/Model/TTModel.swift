// The model contract: what the worker and runner ask of a model on a device (TT contract §1).

/// A model on a device.
///
/// The order of calls is: make it through `ModelRegistry`, `allocateKVCache`, `warmUp`, then any sequence of
/// `prefillForward` and `decodeForward`/`readDecodeOutput`. A model is used from one thread at a time.
public protocol TTModel: AnyObject {
    /// What this model can do on its device.
    var capabilities: ModelCapabilities { get }

    /// Bytes that one KV block of `blockSize` tokens takes over all layers, to size the pool by the memory there is.
    func kvCacheBytes(blockSize: Int) -> Int

    /// Allocates the paged KV cache (TT contract §1.2); called once, before the first step.
    func allocateKVCache(_ shape: KVCacheShape) throws(DeviceFault)

    /// Runs and, with tracing, captures the steps' shapes (TT contract §1.7), so that no request pays for it.
    func warmUp(_ plan: WarmUpPlan) throws(DeviceFault)

    /// Writes prompts' keys and values into their blocks; gives each row's output for its last token (TT contract §1.3).
    func prefillForward(_ batch: PrefillBatch) throws(DeviceFault) -> StepOutput

    /// Starts one decode step of the fixed batch (TT contract §1.4, §1.6). The step may run on after this returns.
    func decodeForward(_ batch: DecodeBatch, plan: DecodePlan) throws(DeviceFault)

    /// Waits for the decode step that was started last and gives its output (TT contract §1.5).
    func readDecodeOutput() throws(DeviceFault) -> StepOutput
}

/// What the rows of one step can have different where the device samples.
public enum DeviceSamplingScope: Sendable, Equatable {
    /// Everything: each row is sampled by itself, on the device or on the host.
    case row
    /// Their parameters: a step is sampled on the device or on the host as a whole.
    case step
    /// Nothing: a step has one set of temperature, top-k and top-p, and is sampled in one place.
    case oneSetAStep
}

/// What a model can do on its device (TT contract §1.9).
public struct ModelCapabilities: Sendable, Equatable {
    /// Tokens can be sampled inside the step.
    public var supportsSampleOnDevice: Bool
    /// Largest `top_k` the device can sample; `nil` where there is no limit, also not for "all of them".
    public var maxDeviceTopK: Int?
    /// What rows of a step can have different.
    public var deviceSamplingScope = DeviceSamplingScope.row
    /// A decode step can go on from the tokens and positions that the last one left on the device.
    public var keepsDecodeInputs = true
    /// A decode step goes on while the host does something else.
    public var runsDecodeAsync = false
    /// Which draws the device can make.
    public var deviceDraws: DeviceDraws
    /// Where a prefill may begin behind blocks that another request has computed.
    public var prefixSharing: PrefixSharing
    /// What a row of a prefill is padded to on the device.
    public var prefillPadding = PrefillPadding.none
    /// The device writes padding through a page table's empty places, so that block 0 must belong to no row.
    public var needsNullBlock = false
    /// Batch sizes the model accepts; `nil` for any.
    public var supportedBatchSizes: [Int]?

    /// Capabilities as given.
    public init(
        supportsSampleOnDevice: Bool, maxDeviceTopK: Int? = nil, deviceDraws: DeviceDraws = .unseeded,
        prefixSharing: PrefixSharing = .none, supportedBatchSizes: [Int]? = nil
    ) {
        self.supportsSampleOnDevice = supportsSampleOnDevice
        self.maxDeviceTopK = maxDeviceTopK
        self.deviceDraws = deviceDraws
        self.prefixSharing = prefixSharing
        self.supportedBatchSizes = supportedBatchSizes
    }
}

/// Which random draws a device can make by itself.
public enum DeviceDraws: String, Decodable, Sendable, Equatable {
    /// None that can be relied on: it only finds the most probable token.
    case none
    /// From a generator that takes no request's seed.
    case unseeded
    /// From its own generator, whose state is the request's seed and the token's position: tokens repeat on this device,
    /// and are others than the host's.
    case byPosition = "by_position"
    /// From `SampleStream` with the request's seed: its tokens equal the host's.
    case sampleStream = "sample_stream"
}

/// The paged KV cache: a pool of blocks shared by all rows (TT contract §1.2, §2.4).
public struct KVCacheShape: Sendable, Equatable {
    /// Blocks that rows can own.
    public var blockCount: Int
    /// Tokens in a block.
    public var blockSize: Int
    /// Block 0 is one more, which no row ever owns. The empty places of page tables name it, and what a device writes or
    /// reads through them harms nobody.
    public var hasNullBlock: Bool

    /// A pool of `blockCount` blocks of `blockSize` tokens.
    public init(blockCount: Int, blockSize: Int, hasNullBlock: Bool = false) {
        self.blockCount = blockCount
        self.blockSize = blockSize
        self.hasNullBlock = hasNullBlock
    }

    /// Blocks to allocate.
    public var allocatedCount: Int { blockCount + (hasNullBlock ? 1 : 0) }
    /// The blocks that rows can own, as page tables name them.
    public var blocks: Range<Int32> { (hasNullBlock ? 1 : 0)..<Int32(allocatedCount) }
}

/// What to prepare before the first request (TT contract §1.7).
public struct WarmUpPlan: Sendable, Equatable {
    /// Rows of every decode step.
    public var decodeBatchSize: Int
    /// Columns of every page table.
    public var pageTableWidth: Int
    /// Whether steps are captured as traces.
    public var traceMode: Bool
    /// Prefill steps sample on the device (`sample_on_device_mode` is `all`).
    public var samplePrefillOnDevice: Bool
    /// Decode steps sample on the device (`all` or `decode_only`).
    public var sampleDecodeOnDevice: Bool

    /// A plan as given.
    public init(
        decodeBatchSize: Int, pageTableWidth: Int, traceMode: Bool, samplePrefillOnDevice: Bool,
        sampleDecodeOnDevice: Bool
    ) {
        self.decodeBatchSize = decodeBatchSize
        self.pageTableWidth = pageTableWidth
        self.traceMode = traceMode
        self.samplePrefillOnDevice = samplePrefillOnDevice
        self.sampleDecodeOnDevice = sampleDecodeOnDevice
    }
}
