// The angles of a rotary position embedding for the tokens of a step.

import CHostKernels
import ModelFiles

/// A rotary embedding's frequencies, and the cosines and sines of the tokens of a step.
///
/// They are computed for the tokens of a tile, not stored for every position, because a model file may claim any context
/// length.
struct RotaryTable: Sendable {
    private let frequencies: DeviceBuffer<Float>
    /// `[tokens, pairs]`
    private let cosines: DeviceBuffer<Float>
    /// `[tokens, pairs]`
    private let sines: DeviceBuffer<Float>
    private let magnitude: Float
    private let pairing: RotaryEmbedding.Pairs

    /// A table for up to `tokens` tokens of sequences of up to `longest`.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(_ rope: RotaryEmbedding, tokens: Int, longest: Int) throws(HostDeviceError) {
        let values = rope.frequencies(maxSequenceLength: longest)
        frequencies = try DeviceBuffer(count: values.count)
        frequencies.base.update(from: values, count: values.count)
        cosines = try DeviceBuffer(count: tokens * values.count)
        sines = try DeviceBuffer(count: tokens * values.count)
        magnitude = rope.magnitude
        pairing = rope.pairs
    }

    /// The stages' view.
    var angles: RotaryAngles {
        RotaryAngles(
            frequencies: UnsafeBufferPointer(start: frequencies.base, count: frequencies.count), magnitude: magnitude,
            isHalves: pairing == .halves, cosines: cosines.base, sines: sines.base)
    }
}
