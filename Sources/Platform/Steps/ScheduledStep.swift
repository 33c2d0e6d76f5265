// A step that the engine's scheduler passes to the worker.

public import Sampling

/// One step: prefill only or decode only, never mixed.
public struct ScheduledStep: Sendable, Equatable {
    /// The work of a step.
    public enum Work: Sendable, Equatable {
        /// Rows that join the batch: new requests, and preempted ones with the tokens that they had generated.
        case prefill([PrefillRow])
        /// All rows of the batch; each gets one token.
        case decode([DecodeRow])
    }

    /// Requests whose rows leave the batch before the step: finished, cancelled or preempted.
    public var leaving: [RequestID]
    /// The rows to run.
    public var work: Work

    /// A step that runs `work` after the rows of `leaving` have left.
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
    /// The number of `tokens` that belong to the prompt.
    public var promptLength: Int
    /// Leading tokens whose keys and values are already in the row's blocks; less than `tokens.count`.
    public var computedTokens: Int
    /// If the computed tokens do not fill their last block: the blocks that hold them, one of each group of the KV
    /// cache, to be copied to the row's own blocks; otherwise empty.
    /// Blocks are copied in the order of the rows, before anything else in the step.
    public var copiedBlocks: [Int32]
    /// KV blocks of the row in each group, enough for all `tokens`; `KVCacheShape.noBlock` before the first block that
    /// the first token to compute attends to.
    public var blocks: [[Int32]]
    /// How its tokens are chosen.
    public var sampling: SamplingParams
    /// Other requests with the same tokens, which join the batch with this prefill.
    public var forks: [ForkedRow]

    /// A row with the request's whole sequence, the blocks for it, and the number of tokens that are computed already.
    public init(
        id: RequestID, tokens: [Int32], promptLength: Int, computedTokens: Int = 0, copiedBlocks: [Int32] = [],
        blocks: [[Int32]], sampling: SamplingParams, forks: [ForkedRow] = []
    ) {
        self.id = id
        self.tokens = tokens
        self.promptLength = promptLength
        self.computedTokens = computedTokens
        self.copiedBlocks = copiedBlocks
        self.blocks = blocks
        self.sampling = sampling
        self.forks = forks
    }

    /// The requests that get an output of the row, in the order of their outputs.
    public var ids: [RequestID] { [id] + forks.map(\.id) }
    /// The first token of which logprobs are wanted; nil if they are not, or were told before a preemption.
    public var firstScoredToken: Int? {
        tokens.count == promptLength ? sampling.promptLogprobs?.firstToken : nil
    }
}

/// A row that joins the batch with the tokens of another one, which is prefilled for both.
public struct ForkedRow: Sendable, Equatable {
    /// The request.
    public var id: RequestID
    /// Its KV blocks in each group: those of the other row, but for a last one that the tokens do not fill. That is
    /// copied after the prefill.
    public var blocks: [[Int32]]
    /// How its tokens are chosen.
    public var sampling: SamplingParams

    /// The row of the request `id`.
    public init(id: RequestID, blocks: [[Int32]], sampling: SamplingParams) {
        self.id = id
        self.blocks = blocks
        self.sampling = sampling
    }
}

/// A row that decodes one token.
///
/// It has given up the blocks of each group before the first one that this token attends to.
public struct DecodeRow: Sendable, Equatable {
    /// The request.
    public var id: RequestID
    /// Blocks appended to the row since its last step, for each group of the KV cache; empty if there are none.
    public var newBlocks: [[Int32]]

    /// The row of the request `id`, which gets `newBlocks`.
    public init(id: RequestID, newBlocks: [[Int32]] = []) {
        self.id = id
        self.newBlocks = newBlocks
    }
}
