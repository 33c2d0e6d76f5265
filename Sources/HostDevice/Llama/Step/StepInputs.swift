// What changes from step to step: the tokens that go in, and the rows that something is wanted of.

import TTPlatform

/// A token on its way through the layers.
struct StepToken: BitwiseCopyable {
    let token: Int32
    /// Position in its sequence.
    let position: Int32
    /// Offset of its row in the step's page table.
    let tableOffset: Int32
}

/// A row of the tile whose next token is wanted.
struct StepOutputRow: BitwiseCopyable {
    /// Its row in the tile.
    let tileRow: Int32
    /// The position that the new token will have.
    let position: Int32
    /// How the token is chosen on the device; `nil` where the host wants the logits.
    let sampling: TTSamplingParams?
}

/// A tile's inputs, at fixed addresses that traces know.
final class StepInputs {
    /// The tile's tokens.
    let tokens: DeviceBuffer<StepToken>
    /// The tile's rows that something is wanted of.
    let outputRows: DeviceBuffer<StepOutputRow>
    /// What the summaries of each output row's logits are weighed with.
    let weightScales: DeviceBuffer<Float>
    /// One cell: somebody wants the logits themselves.
    let wantsLogits: DeviceBuffer<Bool>
    /// Tokens chosen for `outputRows`, anything where the host chooses; −1 where the logits are not numbers.
    let chosen: DeviceBuffer<Int32>
    /// One cell: the page table of the running step.
    let pageTable: DeviceBuffer<UnsafePointer<Int32>?>

    /// Room for `tokens` tokens.
    init(tokens: Int) throws(HostDeviceError) {
        self.tokens = try DeviceBuffer(count: tokens)
        outputRows = try DeviceBuffer(count: tokens)
        weightScales = try DeviceBuffer(count: tokens)
        wantsLogits = try DeviceBuffer(count: 1)
        chosen = try DeviceBuffer(count: tokens)
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
