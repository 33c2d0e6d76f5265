// What changes from step to step: the tokens that go in, and the rows that something is wanted of.

import Platform

/// A token on its way through the layers.
struct StepToken: BitwiseCopyable {
    let token: Int32
    /// Position in its sequence.
    let position: Int32
    /// Offset of its row in the step's page table.
    let tableOffset: Int32
}

/// What is wanted of an output row: a token that went through the layers, whose next one is to be chosen.
struct StepOutputRow: BitwiseCopyable {
    /// The position that the new token will have.
    let position: Int32
    /// How the token is chosen on the device; `nil` where the host wants the logits.
    let sampling: TTSamplingParams?
}

/// A tile's inputs, at fixed addresses that traces know.
final class StepInputs {
    /// The tile's tokens.
    let tokens: DeviceBuffer<StepToken>
    /// The tokens that something is wanted of, of this tile or those before it.
    let outputTokens: DeviceBuffer<StepToken>
    /// What is wanted of `outputTokens`.
    let outputRows: DeviceBuffer<StepOutputRow>
    /// What the summaries of each output row's logits are weighed with.
    let weightScales: DeviceBuffer<Float>
    /// One cell: somebody wants the logits themselves.
    let wantsLogits: DeviceBuffer<Bool>
    /// Tokens chosen for `outputRows`, anything where the host chooses; −1 where the logits are not numbers.
    let chosen: DeviceBuffer<Int32>
    /// One cell: the page table of the running step.
    let pageTable: DeviceBuffer<UnsafePointer<Int32>?>

    /// Room for `tokens` tokens and `outputRows` output rows.
    init(tokens: Int, outputRows: Int) throws(HostDeviceError) {
        self.tokens = try DeviceBuffer(count: tokens)
        outputTokens = try DeviceBuffer(count: outputRows)
        self.outputRows = try DeviceBuffer(count: outputRows)
        weightScales = try DeviceBuffer(count: outputRows)
        wantsLogits = try DeviceBuffer(count: 1)
        chosen = try DeviceBuffer(count: outputRows)
        pageTable = try DeviceBuffer(count: 1)
    }

    /// Derives from the first `rows` output rows what the logits' stage must know of them.
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
    /// The parameters to choose with on the device; `nil` where the host chooses.
    var deviceParams: TTSamplingParams? {
        if case .onDevice(let params) = self { params } else { nil }
    }
}
