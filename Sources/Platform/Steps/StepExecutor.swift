// The interface that runs the engine's scheduled steps, and the limits of every step.

/// What the engine needs from a worker. `TTWorker` implements it; tests use scripted ones.
public protocol StepExecutor: AnyObject {
    /// The limits of every step.
    var limits: StepLimits { get }
    /// Whether steps are async: a step that was begun runs while the host does other work until `finish`.
    var runsStepsAsync: Bool { get }
    /// Prepares a step and starts it if it is async. `finish` must be called before the next step begins.
    func begin(_ step: ScheduledStep) throws(DeviceFault)
    /// Waits for the step that was begun and returns what it gave. A row that got no token leaves with the next step.
    func finish() throws(DeviceFault) -> StepResult
}

/// The limits of every step.
public struct StepLimits: Sendable, Equatable {
    /// Rows of the device batch.
    public var maxNumSeqs: Int
    /// Longest sequence, prompt and generated tokens together.
    public var maxModelLen: Int
    /// Whether `max_model_len` makes that shorter than what the model supports.
    public var canRaiseMaxModelLen: Bool
    /// Maximum number of tokens in one prefill step, padding included; at least the length of the longest sequence,
    /// padded.
    public var maxNumBatchedTokens: Int
    /// The KV pools.
    public var kvCache: KVCacheShape
    /// Tokens of the model's vocabulary.
    public var vocabularySize: Int
    /// Where a row's prefill may begin after blocks that another row has computed.
    public var prefixSharing: PrefixSharing
    /// How the device pads the rows of a prefill; the token budget counts the padding.
    public var prefillPadding: PrefillPadding
    /// Whether rows of one batch may differ in temperature, top-k and top-p.
    public var mixesSampling: Bool
    /// Whether logprobs of prompts can be told.
    public var scoresPrompts: Bool

    /// Limits of a step; by default rows share no blocks, are not padded, may differ in sampling, and prompts get no
    /// logprobs.
    public init(
        maxNumSeqs: Int, maxModelLen: Int, maxNumBatchedTokens: Int, kvCache: KVCacheShape, vocabularySize: Int,
        canRaiseMaxModelLen: Bool = false, prefixSharing: PrefixSharing = .none, prefillPadding: PrefillPadding = .none,
        mixesSampling: Bool = true, scoresPrompts: Bool = false
    ) {
        self.scoresPrompts = scoresPrompts
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
