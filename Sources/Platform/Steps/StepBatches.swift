// The input and output tensors of a step, with their shapes.

public import Sampling

/// The blocks of each row's sequence in each group of the KV cache: `[groups, rows, width]` (TT contract §1.3).
///
/// Entries that a step does not need are 0: those after the sequence, and those before the first block that the row's
/// next token attends to.
public struct PageTable: Sendable, Equatable {
    /// Maximum number of blocks of a row.
    public let width: Int
    /// Rows of the table.
    public let rowCount: Int
    /// Block ids, group by group and row by row.
    public var blocks: [Int32]

    /// A table of `groups` × `rows` × `width` zeros.
    public init(rows: Int, width: Int, groups: Int = 1) {
        self.width = width
        rowCount = rows
        blocks = Array(repeating: 0, count: groups * rows * width)
    }

    /// Groups of the KV cache.
    public var groupCount: Int { groupStride == 0 ? 0 : blocks.count / groupStride }
    /// Entries of a group.
    public var groupStride: Int { rowCount * width }

    /// The block ids of `row` in `group`.
    public subscript(row: Int, group group: Int = 0) -> ArraySlice<Int32> {
        let start = group * groupStride + row * width
        return blocks[start..<start + width]
    }

    /// Replaces the row's ids in `group`: entries for `KVCacheShape.noBlock`, and those after `ids`, become 0.
    public mutating func setRow(_ row: Int, group: Int = 0, to ids: some Sequence<Int32>) {
        let start = group * groupStride + row * width
        var index = start
        for id in ids {
            blocks[index] = max(id, 0)
            index += 1
        }
        while index < start + width {
            blocks[index] = 0
            index += 1
        }
    }

    /// Clears entry `column` of the row in `group`.
    public mutating func clear(_ row: Int, group: Int, column: Int) {
        blocks[group * groupStride + row * width + column] = 0
    }
}

/// How a row's next token is chosen in a step.
public enum RowSampling: Sendable, Equatable {
    /// On the device.
    case onDevice(TokenDraw)
    /// On the host: the row's logits come back.
    case onHost
    /// Not at all: no token is wanted.
    case nothing

    /// On the device with these parameters, from the logits as they are.
    public static func onDevice(_ params: TTSamplingParams) -> RowSampling { .onDevice(TokenDraw(params)) }
}

/// A block whose keys and values of all layers of a group are copied to another one.
public struct BlockCopy: Sendable, Equatable {
    /// The group of the KV cache.
    public var group: Int
    /// The block that is read.
    public var source: Int32
    /// The block that is written.
    public var target: Int32

    /// A copy of the block `source` to the block `target`.
    public init(source: Int32, target: Int32, group: Int = 0) {
        self.group = group
        self.source = source
        self.target = target
    }
}

/// A further output for the last token of a prefilled row, for another row that continues with the same tokens.
public struct PrefillFork: Sendable, Equatable {
    /// The row of the batch.
    public var row: Int
    /// The batch slot that the other row will decode in.
    public var slot: Int
    /// How the first token is sampled.
    public var sampling: RowSampling
    /// Blocks to copy after the prefill.
    public var copies: [BlockCopy]

    /// A further output for the last token of `row`.
    public init(row: Int, slot: Int, sampling: RowSampling, copies: [BlockCopy]) {
        self.row = row
        self.slot = slot
        self.sampling = sampling
        self.copies = copies
    }
}

/// Prompts to prefill, ragged: for row *i* the tokens from `startPositions[i]` on are computed (TT contract §1.3).
public struct PrefillBatch: Sendable, Equatable {
    /// Blocks to copy first, one after the other; only for models whose prefix sharing is `anywhere`.
    public var copies: [BlockCopy]
    /// Each row's whole sequence, including cached tokens: a device may have to recompute some of them.
    public var tokens: [[Int32]]
    /// Position of the first token to compute of each row `[N]`; the tokens before it are in the row's blocks.
    public var startPositions: [Int32]
    /// `[groups, N, W]`; covers each row's whole sequence.
    public var pageTable: PageTable
    /// The batch slot that each row will decode in `[N]`, so that the device can place the slot's state.
    public var slots: [Int]
    /// How each row's first token is sampled.
    public var sampling: [RowSampling]
    /// Further outputs for the last tokens of rows; only for models whose prefix sharing is `anywhere`.
    public var forks: [PrefillFork]
    /// The logprobs of prompts that are wanted, by row; only for models that can tell them.
    public var scoring: [Int: PromptLogprobsRequest]

    /// A batch of N rows; tokens, positions, slots and sampling have one element for each row.
    public init(
        copies: [BlockCopy] = [], tokens: [[Int32]], startPositions: [Int32], pageTable: PageTable, slots: [Int],
        sampling: [RowSampling], forks: [PrefillFork] = [], scoring: [Int: PromptLogprobsRequest] = [:]
    ) {
        self.forks = forks
        self.scoring = scoring
        self.copies = copies
        self.tokens = tokens
        self.startPositions = startPositions
        self.pageTable = pageTable
        self.slots = slots
        self.sampling = sampling
    }
}

/// One decode step of the fixed batch: B rows; padding rows have position −1 (TT contract §1.4).
public struct DecodeBatch: Sendable, Equatable {
    /// Input token of each row `[B]`, 0 in padding rows.
    public var tokens: [Int32]
    /// Position of the input token `[B]`, −1 in padding rows.
    public var positions: [Int32]
    /// `[groups, B, W]`, zeros in padding rows.
    public var pageTable: PageTable
    /// How each row's token is sampled `[B]`; padding rows are ignored.
    public var sampling: [RowSampling]

    /// A batch of B rows; all arrays have one element for each row.
    public init(tokens: [Int32], positions: [Int32], pageTable: PageTable, sampling: [RowSampling]) {
        self.tokens = tokens
        self.positions = positions
        self.pageTable = pageTable
        self.sampling = sampling
    }
}

/// What a decode step must take from the host, and what it continues from the device's state (TT contract §1.6).
public struct DecodePlan: Sendable, Equatable {
    /// Where tokens, positions and page table of the step come from.
    public enum Inputs: Sendable, Equatable {
        /// All three are taken from the batch.
        case reloadAll
        /// Tokens and positions continue on the device; the page table is taken from the batch.
        case reloadPageTable
        /// All three continue on the device: its last sampled tokens, positions advanced by one.
        case keep
    }

    /// Where tokens, positions and page table come from.
    public var inputs: Inputs
    /// Whether sampling parameters and seeds are taken from the batch.
    public var reloadSamplingParams: Bool
    /// Whether the random state is reset; only with `reloadAll`.
    public var resetSamplingState: Bool

    /// A plan that takes tokens, positions and page table from `inputs`.
    public init(inputs: Inputs, reloadSamplingParams: Bool, resetSamplingState: Bool) {
        self.inputs = inputs
        self.reloadSamplingParams = reloadSamplingParams
        self.resetSamplingState = resetSamplingState
    }

    /// Everything is taken from the host.
    public static let reloadEverything = DecodePlan(
        inputs: .reloadAll, reloadSamplingParams: true, resetSamplingState: true)
}

/// The output of one row of a step.
public enum RowOutput: Sendable, Equatable {
    /// Sampled on the device.
    case token(SampledToken)
    /// To be sampled on the host: `[vocabulary]`.
    case logits([Float])
    /// No token can be chosen: a logit is not a number.
    case notNumbers
    /// No token can be chosen: the row's edits exclude all of them.
    case excluded
    /// A padding row, or one of which no token is wanted.
    case padding

    /// The token numbered `id`.
    public static func token(_ id: Int32) -> RowOutput { .token(SampledToken(id)) }
}

/// A step's output.
public struct StepOutput: Sendable, Equatable {
    /// The outputs of the batch's rows, then those of a prefill's forks.
    public var rows: [RowOutput]
    /// The logprobs of each row in `PrefillBatch.scoring`, from the first wanted token to the last of the row; nil
    /// instead if they are not numbers.
    public var promptLogprobs: [Int: [TokenLogprobs]?]

    /// An output of `rows`.
    public init(rows: [RowOutput], promptLogprobs: [Int: [TokenLogprobs]?] = [:]) {
        self.rows = rows
        self.promptLogprobs = promptLogprobs
    }
}
