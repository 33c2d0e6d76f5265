// The data that change from step to step: the input tokens and the output rows.

import Platform
import Sampling

/// An input token of a step.
struct StepToken: BitwiseCopyable {
    let token: Int32
    /// Position in its sequence.
    let position: Int32
    /// Offset of its row in the step's page table.
    let tableOffset: Int32
}

/// An output row: a token that went through the layers, whose next token is chosen.
struct StepOutputRow: BitwiseCopyable {
    /// The position that the new token will have.
    let position: Int32
    /// How the token is chosen on the device; `nil` if it is not.
    var sampling: TTSamplingParams?
    /// The token of which logprobs are wanted instead; −1 if a token is to be chosen.
    var scored: Int32 = -1
    /// The changes to the row's logits; set by `prepareOutput`.
    var edits = RowEdits()
    /// The logprobs that are told of the token; set by `prepareOutput`.
    var logprobs: RowLogprobs?
}

/// `LogitEdits` as plain data; an element of each array belongs to a panel of the vocabulary.
struct RowEdits: BitwiseCopyable {
    var constraint: UnsafePointer<UInt32>?
    var allowed: UnsafePointer<UInt32>?
    /// The changes, and where those of each panel begin; the last element is their number.
    var changes: UnsafePointer<LogitChange>?
    var starts: UnsafePointer<Int32>?
    var penalties = Penalties.none

    /// Whether logits of a panel change after logprobs have been taken.
    @inline(__always)
    func changeAfterLogprobs(_ panel: Int) -> Bool {
        if allowed != nil { return true }
        guard let starts else { return false }
        return starts[panel] != starts[panel + 1]
    }
}

/// `LogprobsRequest` as plain data.
struct RowLogprobs: BitwiseCopyable {
    let top: Int
    let requested: UnsafeBufferPointer<Int32>
    let wantsRank: Bool
    /// Whether the summaries for sampling are also those for logprobs, where the row's logits are not changed between.
    var sharesSummaries = false
}

/// What an output row is to give.
enum OutputChoice {
    /// Its logits, to the host.
    case logits
    /// A token.
    case draw(TokenDraw)
    /// The logprobs of a token that follows.
    case score(Int32, LogprobsRequest)
}

/// A tile's inputs, at fixed addresses that traces refer to.
final class StepInputs {
    /// The tile's tokens.
    let tokens: DeviceBuffer<StepToken>
    /// The tokens of the output rows, from this tile or earlier ones.
    let outputTokens: DeviceBuffer<StepToken>
    /// The output rows of `outputTokens`.
    let outputRows: DeviceBuffer<StepOutputRow>
    /// The scale for the weights in the summaries of each output row's logits; see `TokenSampler.weightScale`.
    let weightScales: DeviceBuffer<Float>
    /// One element: whether the logits of all rows are kept, for the host or for filters that read many of them.
    let wantsLogits: DeviceBuffer<Bool>
    /// One element: whether any row has edits or wants logprobs.
    let hasEdits: DeviceBuffer<Bool>
    /// Tokens chosen for `outputRows`; undefined if the host chooses, `notNumbers` or `excluded` if there is none.
    let chosen: DeviceBuffer<Int32>
    /// `[outputRows, mostLogprobs]`: the logprobs of the rows that want any.
    let logprobs: DeviceBuffer<TokenLogprob>
    /// What each output row is to give, set before `prepareOutput`.
    var choices: [OutputChoice]
    /// The logit of each output row's scored token, if its rank is wanted.
    let scoredLogits: DeviceBuffer<Float>
    /// `[outputRows, panels]`: how many logits of a panel are at least as high as that.
    let ranks: DeviceBuffer<Int32>
    private var editMemory = EditMemory()
    private let panels: Int

    /// In `chosen`: the logits are not numbers.
    static let notNumbers: Int32 = -1
    /// In `chosen`: every token is excluded.
    static let excluded: Int32 = -2
    /// Most logprobs of a row; requests for more are answered with fewer.
    static let mostLogprobs = 160
    /// The running step's page table of each group of the KV cache.
    let pageTable: DeviceBuffer<UnsafePointer<Int32>?>

    /// Room for `tokens` tokens and `outputRows` output rows of `panels` panels, with blocks of `cacheGroups` groups.
    init(tokens: Int, outputRows: Int, panels: Int, cacheGroups: Int) throws(HostDeviceError) {
        self.panels = panels
        self.tokens = try DeviceBuffer(count: tokens)
        outputTokens = try DeviceBuffer(count: outputRows)
        self.outputRows = try DeviceBuffer(count: outputRows)
        weightScales = try DeviceBuffer(count: outputRows)
        wantsLogits = try DeviceBuffer(count: 1)
        hasEdits = try DeviceBuffer(count: 1)
        chosen = try DeviceBuffer(count: outputRows)
        logprobs = try DeviceBuffer(count: outputRows * Self.mostLogprobs)
        choices = Array(repeating: .logits, count: outputRows)
        scoredLogits = try DeviceBuffer(count: outputRows)
        ranks = try DeviceBuffer(count: outputRows * panels)
        pageTable = try DeviceBuffer(count: cacheGroups)
    }

    /// Sets `pageTable` while the closure runs; `table` has all groups.
    func withPageTable(_ table: PageTable, _ body: () -> Void) {
        table.blocks.withUnsafeBufferPointer { blocks in
            for group in 0..<pageTable.count { pageTable.base[group] = blocks.baseAddress! + group * table.groupStride }
            body()
        }
    }

    /// The logprobs of output row `index`, which asked for them.
    func logprobs(of index: Int) -> TokenLogprobs {
        guard let row = outputRows.base[index].logprobs else { preconditionFailure("row \(index) wants no logprobs") }
        let places = ranks.base + index * panels
        return TokenLogprobs(
            UnsafeBufferPointer(
                start: logprobs.base + index * Self.mostLogprobs, count: 1 + row.requested.count + row.top),
            requested: row.requested.count,
            rank: row.wantsRank ? (0..<panels).reduce(0) { $0 + places[$1] } : nil)
    }

    /// Sets what the logits' stage needs, from the choices of the first `rows` output rows.
    ///
    /// - Returns: whether the rank of any token is wanted.
    func prepareOutput(rows: Int, vocabulary: Int) -> Bool {
        (wantsLogits.base.pointee, hasEdits.base.pointee) = (false, false)
        editMemory.reserve(for: choices[..<rows], vocabulary: vocabulary)
        var wantsRank = false
        for row in 0..<rows {
            weightScales.base[row] = 0
            switch choices[row] {
            case .logits: wantsLogits.base.pointee = true
            case .score(let token, let request):
                hasEdits.base.pointee = true
                outputRows.base[row].scored = token
                outputRows.base[row].logprobs = rowLogprobs(request, vocabulary)
                shareSummaries(row)
                if request.wantsRank { wantsRank = true }
            case .draw(let draw):
                outputRows.base[row].sampling = draw.params
                weightScales.base[row] = TokenSampler.weightScale(draw.params, vocabulary: vocabulary)
                // Every token may be needed to find the typical ones, and many to find a nucleus: to keep all logits costs
                // less than to compute those again.
                if !draw.params.isGreedy, draw.params.typicalP < 1 || draw.params.topP < 1 {
                    wantsLogits.base.pointee = true
                }
                guard !draw.edits.isEmpty || draw.logprobs != nil else { continue }
                hasEdits.base.pointee = true
                outputRows.base[row].edits = editMemory.rowEdits(draw.edits, vocabulary: vocabulary)
                outputRows.base[row].logprobs = draw.logprobs.map { rowLogprobs($0, vocabulary) }
                shareSummaries(row)
            }
        }
        return wantsRank
    }

    /// Summarises a row once for both purposes, if sampling needs no weights or the same ones.
    private func shareSummaries(_ row: Int) {
        let scale = weightScales.base[row]
        guard outputRows.base[row].logprobs != nil, scale == 0 || scale == TokenSampler.logprobScale else { return }
        weightScales.base[row] = TokenSampler.logprobScale
        outputRows.base[row].logprobs!.sharesSummaries = true
    }

    private func rowLogprobs(_ request: LogprobsRequest, _ vocabulary: Int) -> RowLogprobs {
        let tokens = request.tokens.prefix(Self.mostLogprobs - 1)
        return RowLogprobs(
            top: min(request.top, vocabulary, Self.mostLogprobs - 1 - tokens.count),
            requested: editMemory.tokens(tokens), wantsRank: request.wantsRank)
    }
}

extension RowSampling {
    /// What the row is to give; `nil` if nothing.
    var choice: OutputChoice? {
        switch self {
        case .onDevice(let draw): .draw(draw)
        case .onHost: .logits
        case .nothing: nil
        }
    }
}
