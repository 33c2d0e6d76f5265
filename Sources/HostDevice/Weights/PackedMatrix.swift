// A weight matrix packed for the kernels.

import CHostKernels
import ModelFiles

/// A weight matrix `[outputs, inputs]` in panels of output channels; see `hk_matrix`.
final class PackedMatrix: @unchecked Sendable {
    /// The kernels' view; constant after packing.
    let descriptor: UnsafePointer<hk_matrix>
    /// Bytes of the packed weights, which a product reads.
    let byteCount: Int
    /// Keeps the weights and `descriptor` in memory.
    private let arena: DeviceArena

    /// Inputs of the product.
    var inputs: Int { descriptor.pointee.inputs }
    /// Panels of output channels.
    var panels: Int { (descriptor.pointee.outputs + Int(HK_PANEL) - 1) / Int(HK_PANEL) }
    /// Outputs rounded up to whole panels: the floats of a row of results.
    var paddedOutputs: Int { panels * Int(HK_PANEL) }
    /// Whether the product takes int8 activations; otherwise it takes floats.
    let takesInt8: Bool
    /// Whether its weights have 8 bits.
    var hasBytes: Bool { [Int32(HK_U8), Int32(HK_S8)].contains(descriptor.pointee.format) }

    /// Packs a tensor in parallel.
    ///
    /// - Parameter int8: packs for int8 activations if the element type supports them.
    /// - Throws: `HostDeviceError.outOfMemory`.
    convenience init(
        _ tensor: MappedTensor, int8: Bool, pool: ThreadPool, arena: DeviceArena
    ) throws(HostDeviceError) {
        try self.init(
            type: tensor.type.rawValue, rows: tensor.bytes, inputs: tensor.shape[0], outputs: tensor.shape[1],
            int8: int8, pool: pool, arena: arena)
    }

    /// Packs `outputs` rows of a GGUF element type.
    ///
    /// - Parameter int8: packs for int8 activations if the element type supports them.
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(
        type: UInt32, rows: UnsafeRawBufferPointer, inputs: Int, outputs: Int, int8: Bool, pool: ThreadPool,
        arena: DeviceArena = DeviceArena()
    ) throws(HostDeviceError) {
        var parts: Int32 = 0
        let format = hk_packed_format(type, int8 ? 1 : 0, &parts)
        takesInt8 =
            int8 && (format == Int32(HK_I4) || format == Int32(HK_S8) || format == Int32(HK_U8) && parts == 1)
        let panels = (outputs + Int(HK_PANEL) - 1) / Int(HK_PANEL)
        let panelBytes = hk_panel_bytes(format, parts, inputs)
        byteCount = panels * panelBytes
        self.arena = arena
        let values = try arena.allocate(byteCount)
        let size = MemoryLayout<hk_matrix>.stride
        let view = try UnsafeMutableRawPointer(arena.allocate(size)).bindMemory(to: hk_matrix.self, capacity: 1)
        view.pointee = hk_matrix(
            format: format, parts: parts, inputs: inputs, outputs: outputs, panel_bytes: panelBytes, values: values)
        descriptor = UnsafePointer(view)
        let rowBytes = rows.count / outputs
        pool.forEach(panels) { _, part in
            hk_pack(type, rows.baseAddress!, rowBytes, descriptor, part.lowerBound, part.upperBound)
        }
    }
}
