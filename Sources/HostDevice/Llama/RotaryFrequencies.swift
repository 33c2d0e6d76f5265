// The angles of the rotary position embedding (RoPE, arXiv 2104.09864).

import Glibc
import ModelFiles

/// The frequency of each rotated pair of a head.
///
/// Cosines and sines are computed for the tokens of a tile, not stored for every position, because a model file may
/// claim any context length. Frequencies and angles are rounded to float, as Hugging Face transformers rounds them, so
/// that the results agree at large positions.
struct RotaryFrequencies: Sendable {
    private let memory: DeviceBuffer<Float>

    /// Number of rotated pairs of a head.
    var pairs: Int { memory.count }
    /// Each pair's angle at position 1, in radians.
    var values: UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: memory.base, count: memory.count) }

    /// - Throws: `HostDeviceError.outOfMemory`.
    init(_ rope: ModelConfig.RotaryEmbedding) throws(HostDeviceError) {
        memory = try DeviceBuffer(count: rope.dimensions / 2)
        for pair in 0..<rope.dimensions / 2 {
            let exponent = Float(2 * pair) / Float(rope.dimensions)
            let frequency = 1 / Float(pow(Double(rope.theta), Double(exponent)))
            memory.base[pair] = frequency / (rope.frequencyFactors?[pair] ?? 1)
        }
    }
}
