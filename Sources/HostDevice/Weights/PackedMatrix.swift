// A weight matrix packed for the kernels.

import CHostKernels
import ModelFiles

/// A weight matrix `[outputs, inputs]` in panels of output channels; see `hk_matrix`.
final class PackedMatrix: @unchecked Sendable {
    /// The kernels' view; constant after packing.
    var descriptor: hk_matrix
    private let values: DeviceBuffer<UInt8>
    private let scales: DeviceBuffer<Float>
    private let minimums: DeviceBuffer<Float>

    /// Inputs of the product.
    var inputs: Int { descriptor.inputs }
    /// Panels of output channels.
    var panels: Int { (descriptor.outputs + Int(HK_PANEL) - 1) / Int(HK_PANEL) }
    /// Outputs in whole panels: what a row of results takes.
    var paddedOutputs: Int { panels * Int(HK_PANEL) }
    /// Whether the product can be done with int8 activations.
    var takesInt8: Bool { descriptor.format >= Int32(HK_U4) && descriptor.parts == 1 }

    /// Packs a tensor in parallel.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    convenience init(_ tensor: MappedTensor, pool: ThreadPool) throws(HostDeviceError) {
        try self.init(
            type: tensor.type.rawValue, rows: tensor.bytes, inputs: tensor.shape[0], outputs: tensor.shape[1],
            pool: pool)
    }

    /// Packs `outputs` rows of a GGUF element type.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(
        type: UInt32, rows: UnsafeRawBufferPointer, inputs: Int, outputs: Int, pool: ThreadPool
    ) throws(HostDeviceError) {
        var parts: Int32 = 0
        let format = hk_packed_format(type, &parts)
        let elements = inputs * ((outputs + Int(HK_PANEL) - 1) / Int(HK_PANEL)) * Int(HK_PANEL)
        let quantized = format >= Int32(HK_U4)
        let bytes = [4 * elements, 2 * elements, 2 * elements, elements / 2, elements][Int(format)]
        values = try DeviceBuffer(count: bytes)
        scales = try DeviceBuffer(count: quantized ? elements / Int(HK_GROUP) * Int(parts) : 0)
        minimums = try DeviceBuffer(count: quantized ? elements / Int(HK_GROUP) * Int(parts) : 0)
        descriptor = hk_matrix(
            format: format, parts: parts, inputs: inputs, outputs: outputs, values: values.base,
            scales: scales.base, minimums: minimums.base)
        let rowBytes = rows.count / outputs
        let matrix = descriptor
        pool.forEach(panels) { _, part in
            withUnsafePointer(to: matrix) {
                hk_pack(type, rows.baseAddress!, rowBytes, $0, part.lowerBound, part.upperBound)
            }
        }
    }
}
