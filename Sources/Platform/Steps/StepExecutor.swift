// What runs the steps that the engine schedules, and the sizes that bound them.

/// What the engine needs of a worker; `TTWorker` is the one in use, tests script others.
public protocol StepExecutor: AnyObject {
    /// The sizes that bound every step.
    var limits: StepLimits { get }
    /// Whether a step that was begun goes on by itself, so that the host can do something else until `finish`.
    var runsStepsAsync: Bool { get }
    /// Prepares a step and, where it goes on by itself, starts it. `finish` follows before the next step begins.
    func begin(_ step: ScheduledStep) throws(DeviceFault)
    /// Waits for the step that was begun, and gives one output for each of its rows, in their order. A row that got no token
    /// leaves with the next step.
    func finish() throws(DeviceFault) -> [RequestOutput]
}

/// The bounds of every step.
public struct StepLimits: Sendable, Equatable {
    /// Rows of the device batch.
    public var maxNumSeqs: Int
    /// Longest sequence, prompt and generated tokens together.
    public var maxModelLen: Int
    /// Whether that is less than the model could do, because `max_model_len` says so.
    public var canRaiseMaxModelLen: Bool
    /// Most tokens in one prefill step, padded ones included; at least the longest sequence's.
    public var maxNumBatchedTokens: Int
    /// The KV pool.
    public var kvCache: KVCacheShape
    /// Tokens of the model's vocabulary.
    public var vocabularySize: Int
    /// Where a row may begin behind blocks that another one has computed.
    public var prefixSharing: PrefixSharing
    /// What the device pads rows of a prefill to; the token budget counts that.
    public var prefillPadding: PrefillPadding
    /// Whether rows with different temperature, top-k or top-p may be in the batch together.
    public var mixesSampling: Bool

    /// Limits as given.
    public init(
        maxNumSeqs: Int, maxModelLen: Int, maxNumBatchedTokens: Int, kvCache: KVCacheShape, vocabularySize: Int,
        canRaiseMaxModelLen: Bool = false, prefixSharing: PrefixSharing = .none, prefillPadding: PrefillPadding = .none,
        mixesSampling: Bool = true
    ) {
        self.canRaiseMaxModelLen = canRaiseMaxModelLen
        self.mixesSampling = mixesSampling
        self.maxNumSeqs = maxNumSeqs
        self.maxModelLen = maxModelLen
        self.maxNumBatchedTokens = maxNumBatchedTokens
        self.kvCache = kvCache
        self.vocabularySize = vocabularySize
        self.prefixSharing = prefixSharing
        self.prefillPadding = prefillPadding
    }
}
