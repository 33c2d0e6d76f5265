// The data that change from step to step: the input tokens and the output rows.

import Platform

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
    /// One element: whether the host needs the logits of any row.
    let wantsLogits: DeviceBuffer<Bool>
    /// Tokens chosen for `outputRows`; undefined if the host chooses, −1 if the logits are not numbers.
    let chosen: DeviceBuffer<Int32>
    /// The running step's page table of each group of the KV cache.
    let pageTable: DeviceBuffer<UnsafePointer<Int32>?>

    /// Room for `tokens` tokens and `outputRows` output rows, with blocks of `cacheGroups` groups.
    init(tokens: Int, outputRows: Int, cacheGroups: Int) throws(HostDeviceError) {
        self.tokens = try DeviceBuffer(count: tokens)
        outputTokens = try DeviceBuffer(count: outputRows)
        self.outputRows = try DeviceBuffer(count: outputRows)
        weightScales = try DeviceBuffer(count: outputRows)
        wantsLogits = try DeviceBuffer(count: 1)
        chosen = try DeviceBuffer(count: outputRows)
        pageTable = try DeviceBuffer(count: cacheGroups)
    }

    /// Sets `pageTable` while the closure runs; `table` has all groups.
    func withPageTable(_ table: PageTable, _ body: () -> Void) {
        table.blocks.withUnsafeBufferPointer { blocks in
            for group in 0..<pageTable.count { pageTable.base[group] = blocks.baseAddress! + group * table.groupStride }
            body()
        }
    }

    /// Sets `weightScales` and `wantsLogits` from the first `rows` output rows, for the logits' stage.
    func prepareOutput(rows: Int, vocabulary: Int) {
        wantsLogits.base.pointee = false
        for row in 0..<rows {
            if let params = outputRows.base[row].sampling {
                weightScales.base[row] = TokenSampler.weightScale(params, vocabulary: vocabulary)
            } else {
                weightScales.base[row] = 0
                wantsLogits.base.pointee = true
            }
        }
    }
}

extension RowSampling {
    /// The parameters to sample with on the device; `nil` if the host samples.
    var deviceParams: TTSamplingParams? {
        if case .onDevice(let params) = self { params } else { nil }
    }
}
