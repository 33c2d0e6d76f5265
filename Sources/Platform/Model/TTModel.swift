// The model contract: what the worker and runner require of a model on a device (TT contract §1).

/// A model on a device.
///
/// The order of calls is: creation through `ModelRegistry`, `allocateKVCache`, `warmUp`, then any sequence of
/// `prefillForward` and `decodeForward`/`readDecodeOutput`. A model is used by one thread at a time.
public protocol TTModel: AnyObject {
    /// The model's capabilities on its device.
    var capabilities: ModelCapabilities { get }

    /// Bytes of one KV block of `blockSize` tokens over all layers of a group of `capabilities.kvCacheWindows`, to size
    /// the pools by the available memory.
    func kvCacheBytes(blockSize: Int, group: Int) -> Int

    /// Allocates the paged KV cache (TT contract §1.2); called once, before the first step. `shape` has the groups of
    /// `capabilities.kvCacheWindows`, or one that keeps all tokens of all layers.
    func allocateKVCache(_ shape: KVCacheShape) throws(DeviceFault)

    /// Runs the steps' shapes and, with tracing, captures them (TT contract §1.7), so that no request waits for that.
    func warmUp(_ plan: WarmUpPlan) throws(DeviceFault)

    /// Writes the prompts' keys and values into their blocks; returns each row's output for its last token
    /// (TT contract §1.3).
    func prefillForward(_ batch: PrefillBatch) throws(DeviceFault) -> StepOutput

    /// Starts one decode step of the fixed batch (TT contract §1.4, §1.6). It may still run when this returns.
    func decodeForward(_ batch: DecodeBatch, plan: DecodePlan) throws(DeviceFault)

    /// Waits for the decode step that was started last and returns its output (TT contract §1.5).
    func readDecodeOutput() throws(DeviceFault) -> StepOutput
}

extension TTModel {
    /// Bytes of one KV block of `blockSize` tokens over all layers.
    public func kvCacheBytes(blockSize: Int) -> Int {
        capabilities.kvCacheWindows.indices.reduce(0) { $0 + kvCacheBytes(blockSize: blockSize, group: $1) }
    }
}

/// How the rows of one step can differ if the device samples.
public enum DeviceSamplingScope: Sendable, Equatable {
    /// In everything: each row is sampled by itself, on the device or on the host.
    case row
    /// In their parameters: a whole step is sampled on the device or on the host.
    case step
    /// Not at all: a step has one set of temperature, top-k and top-p, and is sampled in one place.
    case oneSetAStep
}

/// A model's capabilities on its device (TT contract §1.9).
public struct ModelCapabilities: Sendable, Equatable {
    /// Whether tokens can be sampled on the device.
    public var supportsSampleOnDevice: Bool
    /// Largest `top_k` the device can sample; `nil` for no limit, so that it can also sample from all tokens.
    public var maxDeviceTopK: Int?
    /// How the rows of a step can differ.
    public var deviceSamplingScope = DeviceSamplingScope.row
    /// Whether a decode step can continue from the tokens and positions that the last one left on the device.
    public var keepsDecodeInputs = true
    /// Whether decode steps are async: they run while the host does other work.
    public var runsDecodeAsync = false
    /// Which draws the device can make.
    public var deviceDraws: DeviceDraws
    /// Whether the device applies `LogitEdits`, min-p and typical-p, and tells logprobs.
    public var editsLogits = false
    /// Whether a prefill can tell logprobs of the prompt's tokens.
    public var scoresPrompts = false
    /// Where a prefill may begin after blocks that another request has computed.
    public var prefixSharing: PrefixSharing
    /// The groups of layers that the KV cache can have: the window of each; see `KVCacheShape.groups`.
    public var kvCacheWindows: [Int?] = [nil]
    /// How the device pads a row of a prefill.
    public var prefillPadding = PrefillPadding.none
    /// Whether the device writes padding through the unused entries of a page table, so that block 0 must belong to no
    /// row.
    public var needsNullBlock = false
    /// Batch sizes the model accepts; `nil` for any.
    public var supportedBatchSizes: [Int]?

    /// The given capabilities; the others keep their defaults.
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

/// Which random draws a device can make.
public enum DeviceDraws: String, Decodable, Sendable, Equatable {
    /// None that are reliable: it only finds the most probable token.
    case none
    /// From a generator that takes no request's seed.
    case unseeded
    /// From its own generator, keyed by a seed and the token's position: its tokens differ from the host's.
    case byPosition = "by_position"
    /// From `SampleStream` with the request's seed: its tokens equal the host's.
    case sampleStream = "sample_stream"
}

/// What to prepare before the first request (TT contract §1.7).
public struct WarmUpPlan: Sendable, Equatable {
    /// Rows of every decode step.
    public var decodeBatchSize: Int
    /// Columns of every page table.
    public var pageTableWidth: Int
    /// Whether steps are captured as traces.
    public var traceMode: Bool
    /// Whether prefill steps sample on the device (`sample_on_device_mode` is `all`).
    public var samplePrefillOnDevice: Bool
    /// Whether decode steps sample on the device (`all` or `decode_only`).
    public var sampleDecodeOnDevice: Bool

    /// A plan for batches of `decodeBatchSize` rows with `pageTableWidth` blocks each.
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
