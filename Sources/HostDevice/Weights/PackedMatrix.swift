// A weight matrix packed for the kernels.

import CHostKernels
import ModelFiles

/// A weight matrix `[outputs, inputs]` in panels of output channels; see `hk_matrix`.
final class PackedMatrix: @unchecked Sendable {
    /// The kernels' view; constant after packing.
    let descriptor: UnsafePointer<hk_matrix>
    /// The form of the packed weights.
    let layout: PackedLayout
    /// Keeps the weights and `descriptor` in memory.
    private let arena: DeviceArena

    /// Panels of output channels.
    var panels: Int { layout.panels }
    /// Outputs rounded up to whole panels: the floats of a row of results.
    var paddedOutputs: Int { panels * Int(HK_PANEL) }
    /// Whether the product takes int8 activations; otherwise it takes floats.
    var takesInt8: Bool { layout.takesInt8 }
    /// Whether its weights have 8 bits, for which activations of 7 bits are faster.
    var hasBytes: Bool { [Int32(HK_U8), Int32(HK_S8)].contains(layout.format) }

    /// Packs a tensor in parallel.
    ///
    /// - Parameters:
    ///   - int8: packs for int8 activations if the element type supports them.
    ///   - quantization: what float weights become, a panel at a time, where it applies to them.
    /// - Throws: `ModelFileError.corrupt` if weights are not finite numbers, or the tensor's bytes are not what its type
    ///   and shape need; `.unsupported` if weights are too large to be quantised; `HostDeviceError.outOfMemory`.
    convenience init(
        _ tensor: MappedTensor, int8: Bool, quantization: Quantization? = nil, pool: ThreadPool, arena: DeviceArena
    ) throws {
        guard tensor.shape.count == 2, tensor.bytes.count == tensor.expectedBytes else {
            throw ModelFileError.corrupt(
                path: tensor.path, offset: tensor.offset,
                reason: "tensor \(tensor.name) has \(tensor.bytes.count) bytes, which is no matrix \(tensor.shape) of "
                    + tensor.type.name)
        }
        let rows = PackedRows(
            type: tensor.type, bytes: tensor.bytes, inputs: tensor.shape[0], outputs: tensor.shape[1],
            quantization: quantization)
        do throws(PackedRows.Fault) {
            try self.init(rows, int8: int8, pool: pool, arena: arena)
        } catch {
            switch error {
            case .notFinite(let place): throw tensor.notFinite(at: place)
            case .tooLarge(let place):
                throw ModelFileError.unsupported(
                    path: tensor.path,
                    what: "quantising tensor \(tensor.name) to \(rows.packedType.name), whose scales cannot hold the "
                        + "weights at byte \(tensor.offset + place),")
            case .device(let error): throw error
            }
        }
    }

    /// Packs rows of weights in parallel.
    ///
    /// - Throws: `PackedRows.Fault` naming the first weights that are not finite or that cannot be quantised.
    init(
        _ rows: PackedRows, int8: Bool, pool: ThreadPool, arena: DeviceArena = DeviceArena()
    ) throws(PackedRows.Fault) {
        layout = PackedLayout(rows.packedType, inputs: rows.inputs, outputs: rows.outputs, int8: int8)
        self.arena = arena
        do throws(HostDeviceError) {
            let values = try arena.allocate(layout.byteCount)
            let size = MemoryLayout<hk_matrix>.stride
            let view = try UnsafeMutableRawPointer(arena.allocate(size)).bindMemory(to: hk_matrix.self, capacity: 1)
            view.pointee = hk_matrix(
                format: layout.format, parts: layout.parts, inputs: layout.inputs, outputs: layout.outputs,
                panel_bytes: layout.panelBytes, values: values)
            descriptor = UnsafePointer(view)
        } catch {
            throw .device(error)
        }
        try rows.pack(into: descriptor, panels: layout.panels, pool: pool)
    }
}
