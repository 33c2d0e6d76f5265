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
    /// How the token is chosen on the device; `nil` if the host needs the logits.
    let sampling: TTSamplingParams?
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
}

/// `LogprobsRequest` as plain data.
struct RowLogprobs: BitwiseCopyable {
    let top: Int
    let requested: UnsafeBufferPointer<Int32>
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
    /// How the token of each output row is chosen, set before `prepareOutput`; `nil` if the host needs the logits.
    var draws: [TokenDraw?]
    private var editMemory = EditMemory()

    /// In `chosen`: the logits are not numbers.
    static let notNumbers: Int32 = -1
    /// In `chosen`: every token is excluded.
    static let excluded: Int32 = -2
    /// Most logprobs of a row; requests for more are answered with fewer.
    static let mostLogprobs = 160
    /// The running step's page table of each group of the KV cache.
    let pageTable: DeviceBuffer<UnsafePointer<Int32>?>

    /// Room for `tokens` tokens and `outputRows` output rows, with blocks of `cacheGroups` groups.
    init(tokens: Int, outputRows: Int, cacheGroups: Int) throws(HostDeviceError) {
        self.tokens = try DeviceBuffer(count: tokens)
        outputTokens = try DeviceBuffer(count: outputRows)
        self.outputRows = try DeviceBuffer(count: outputRows)
        weightScales = try DeviceBuffer(count: outputRows)
        wantsLogits = try DeviceBuffer(count: 1)
        hasEdits = try DeviceBuffer(count: 1)
        chosen = try DeviceBuffer(count: outputRows)
        logprobs = try DeviceBuffer(count: outputRows * Self.mostLogprobs)
        draws = Array(repeating: nil, count: outputRows)
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
        return TokenLogprobs(
            UnsafeBufferPointer(
                start: logprobs.base + index * Self.mostLogprobs, count: 1 + row.requested.count + row.top),
            requested: row.requested.count)
    }

    /// Sets what the logits' stage needs, from the draws of the first `rows` output rows.
    func prepareOutput(rows: Int, vocabulary: Int) {
        (wantsLogits.base.pointee, hasEdits.base.pointee) = (false, false)
        editMemory.reserve(for: draws[..<rows], vocabulary: vocabulary)
        for row in 0..<rows {
            guard let draw = draws[row] else {
                weightScales.base[row] = 0
                wantsLogits.base.pointee = true
                continue
            }
            weightScales.base[row] = TokenSampler.weightScale(draw.params, vocabulary: vocabulary)
            // Every token may be needed to find the typical ones.
            if draw.params.typicalP < 1 { wantsLogits.base.pointee = true }
            guard !draw.edits.isEmpty || draw.logprobs != nil else { continue }
            hasEdits.base.pointee = true
            outputRows.base[row].edits = editMemory.rowEdits(draw.edits, vocabulary: vocabulary)
            outputRows.base[row].logprobs = draw.logprobs.map { request in
                let tokens = request.tokens.prefix(Self.mostLogprobs - 1)
                return RowLogprobs(
                    top: min(request.top, vocabulary, Self.mostLogprobs - 1 - tokens.count),
                    requested: editMemory.tokens(tokens))
            }
        }
    }
}

extension RowSampling {
    /// How the token is chosen on the device; `nil` if the host samples.
    var draw: TokenDraw? {
        if case .onDevice(let draw) = self { draw } else { nil }
    }
}
