// Rows of weights on their way into a packed matrix: checked, and quantised if asked, a panel at a time.

import CHostKernels
import ModelFiles
import Synchronization

/// Rows of weights of a GGUF element type, one for each output.
struct PackedRows {
    /// Why rows cannot be packed; places are bytes from the first row on.
    enum Fault: Error, Equatable {
        /// A weight, or a scale, is not a finite number.
        case notFinite(place: Int)
        /// Weights are too large for the scales of the type that they are to be quantised to.
        case tooLarge(place: Int)
        /// The packed matrix has no room.
        case device(HostDeviceError)
    }

    /// The type of the weights in `bytes`.
    let type: TensorType
    let bytes: UnsafeRawBufferPointer
    let inputs: Int
    let outputs: Int
    /// What the weights become; nil if they stay what they are.
    let quantization: Quantization?

    /// - Precondition: `bytes` has `outputs` rows of `inputs` weights.
    init(
        type: TensorType, bytes: UnsafeRawBufferPointer, inputs: Int, outputs: Int, quantization: Quantization? = nil
    ) {
        self.type = type
        self.bytes = bytes
        self.inputs = inputs
        self.outputs = outputs
        self.quantization = quantization?.applies(to: type, inputs: inputs) == true ? quantization : nil
        precondition(bytes.count == outputs * rowBytes && inputs % type.blockElements == 0)
    }

    /// The type whose blocks are packed.
    var packedType: TensorType { quantization?.type ?? type }

    private var rowBytes: Int { inputs / type.blockElements * type.blockBytes }

    /// Packs all panels of `matrix` in parallel.
    func pack(into matrix: UnsafePointer<hk_matrix>, panels: Int, pool: ThreadPool) throws(Fault) {
        // The first fault of each kind, whichever thread finds it.
        let notFinite = Atomic(bytes.count)
        let tooLarge = Atomic(bytes.count)
        pool.forEach(panels) { _, part in
            let blocks = quantization.map { _ in PanelBlocks(rowBytes: packedRowBytes) }
            for panel in part {
                let first = panel * Int(HK_PANEL)
                let rows = first * rowBytes..<min(first + Int(HK_PANEL), outputs) * rowBytes
                let weights = UnsafeRawBufferPointer(rebasing: bytes[rows])
                let fault = hk_first_fault(type.rawValue, weights.baseAddress!, weights.count)
                if fault < weights.count {
                    notFinite.min(rows.lowerBound + fault, ordering: .relaxed)
                } else if let blocks {
                    if let fault = quantize(weights, to: blocks) {
                        tooLarge.min(rows.lowerBound + fault, ordering: .relaxed)
                    }
                    hk_pack(packedType.rawValue, blocks.base, packedRowBytes, matrix, panel, panel + 1)
                } else {
                    hk_pack(type.rawValue, weights.baseAddress!, rowBytes, matrix, panel, panel + 1)
                }
            }
        }
        if case let place = notFinite.load(ordering: .relaxed), place < bytes.count { throw .notFinite(place: place) }
        if case let place = tooLarge.load(ordering: .relaxed), place < bytes.count { throw .tooLarge(place: place) }
    }

    private var packedRowBytes: Int { inputs / packedType.blockElements * packedType.blockBytes }

    /// Quantises a panel's rows; the place of the first weights that are too large, in bytes.
    private func quantize(_ weights: UnsafeRawBufferPointer, to blocks: PanelBlocks) -> Int? {
        for row in 0..<weights.count / rowBytes {
            let done = hk_quantize_row(
                type.rawValue, weights.baseAddress! + row * rowBytes, inputs, packedType.rawValue,
                blocks.base + row * packedRowBytes)
            if done < inputs { return row * rowBytes + done * type.blockBytes }
        }
        return nil
    }
}

/// The quantised blocks of one panel's rows.
private final class PanelBlocks {
    let base: UnsafeMutableRawPointer

    init(rowBytes: Int) { base = .allocate(byteCount: rowBytes * Int(HK_PANEL), alignment: 64) }

    deinit { base.deallocate() }
}
