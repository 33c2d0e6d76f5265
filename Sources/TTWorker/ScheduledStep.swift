// What the engine's scheduler tells the worker to run, and what comes back.

public import TTPlatform

/// A request in flight; unique for the life of an engine.
public struct RequestID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int

    /// The request numbered `rawValue`.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// Older requests come first.
    public static func < (left: RequestID, right: RequestID) -> Bool { left.rawValue < right.rawValue }

    /// `request 17`.
    public var description: String { "request \(rawValue)" }
}

/// One step: prefill only or decode only, never mixed.
public struct ScheduledStep: Sendable, Equatable {
    /// The work of a step.
    public enum Work: Sendable, Equatable {
        /// Rows that join the batch: new requests, and preempted ones again with all that they had generated.
        case prefill([PrefillRow])
        /// Rows that are in the batch already and get one token each: all of them.
        case decode([DecodeRow])
    }

    /// Requests whose rows leave the batch before the step: finished, cancelled or preempted.
    public var leaving: [RequestID]
    /// What to run.
    public var work: Work

    /// A step as given.
    public init(leaving: [RequestID], work: Work) {
        self.leaving = leaving
        self.work = work
    }
}

/// A row that joins the batch by a prefill.
public struct PrefillRow: Sendable, Equatable {
    /// The request.
    public var id: RequestID
    /// The whole sequence known so far: the prompt and, after a preemption, what was generated from it.
    public var tokens: [Int32]
    /// How many of `tokens` are the prompt.
    public var promptLength: Int
    /// Leading tokens whose keys and values are already in the row's blocks; less than `tokens.count`.
    public var computedTokens: Int
    /// Where the computed tokens do not fill their last block: the block that holds them, to be copied to the row's own. Copies
    /// are made in the order of the rows, before anything else of the step.
    public var copiedBlock: Int32?
    /// KV blocks of the row, enough for all `tokens`.
    public var blocks: [Int32]
    /// How its tokens are chosen.
    public var sampling: SamplingParams

    /// A row as given.
    public init(
        id: RequestID, tokens: [Int32], promptLength: Int, computedTokens: Int = 0, copiedBlock: Int32? = nil,
        blocks: [Int32], sampling: SamplingParams
    ) {
        self.id = id
        self.tokens = tokens
        self.promptLength = promptLength
        self.computedTokens = computedTokens
        self.copiedBlock = copiedBlock
        self.blocks = blocks
        self.sampling = sampling
    }
}

/// A row that decodes one token.
public struct DecodeRow: Sendable, Equatable {
    /// The request.
    public var id: RequestID
    /// Blocks appended to the row since its last step.
    public var newBlocks: [Int32]

    /// A row as given.
    public init(id: RequestID, newBlocks: [Int32] = []) {
        self.id = id
        self.newBlocks = newBlocks
    }
}

/// What a step gave to a request.
public struct SampledToken: Sendable, Equatable {
    /// The request.
    public var id: RequestID
    /// Its token, or why there is none.
    public var result: Result<Int32, BadOutput>

    /// `token` for `id`.
    public init(id: RequestID, token: Int32) {
        self.id = id
        result = .success(token)
    }

    /// No token for `id`.
    public init(id: RequestID, _ bad: BadOutput) {
        self.id = id
        result = .failure(bad)
    }
}

/// A row for which the device answered, but not with a token: nothing can be said against the other rows.
public struct BadOutput: Error, Equatable {
    /// What came instead, for a person.
    public var reason: String

    /// An output that is no token because of `reason`.
    public init(_ reason: String) {
        self.reason = reason
    }
}

/// What the engine needs of a worker; `TTWorker` is the one in use, tests script others.
public protocol StepExecutor: AnyObject {
    /// The sizes that bound every step.
    var limits: StepLimits { get }
    /// Whether a step that was begun goes on by itself, so that the host can do something else until `finish`.
    var runsApart: Bool { get }
    /// Prepares a step and, where it goes on by itself, starts it. `finish` follows before the next step begins.
    func begin(_ step: ScheduledStep) throws(DeviceFault)
    /// Waits for the step that was begun, and gives one token, or the reason why there is none, for each of its rows, in
    /// their order. A row without a token leaves with the next step.
    func finish() throws(DeviceFault) -> [SampledToken]
}

extension StepExecutor {
    /// Runs a step from its beginning to its end.
    public func execute(_ step: ScheduledStep) throws(DeviceFault) -> [SampledToken] {
        try begin(step)
        return try finish()
    }
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
