// The angles of the rotary position embedding (RoPE, arXiv 2104.09864).

import Glibc
import ModelFiles

/// Cosines and sines for every position: `[positions, pairs]`.
///
/// Frequencies and angles are rounded to float, as Hugging Face transformers rounds them, so that long positions agree.
struct RotaryTable: Sendable {
    /// Rotated pairs of a head.
    let pairs: Int
    private let cosines: DeviceBuffer<Float>
    private let sines: DeviceBuffer<Float>

    /// The table for `positions` positions.
    init(_ rope: ModelConfig.RotaryEmbedding, positions: Int, pool: ThreadPool) {
        let pairs = rope.dimensions / 2
        let cosines = DeviceBuffer<Float>(count: positions * pairs)
        let sines = DeviceBuffer<Float>(count: positions * pairs)
        let frequencies = (0..<pairs).map { pair in
            let exponent = Float(2 * pair) / Float(rope.dimensions)
            let frequency = 1 / Float(pow(Double(rope.theta), Double(exponent)))
            return frequency / (rope.frequencyFactors?[pair] ?? 1)
        }
        pool.forEach(positions, grain: 64) { _, part in
            for position in part {
                for pair in 0..<pairs {
                    let angle = Double(Float(position) * frequencies[pair])
                    cosines.base[position * pairs + pair] = Float(cos(angle))
                    sines.base[position * pairs + pair] = Float(sin(angle))
                }
            }
        }
        self.pairs = pairs
        self.cosines = cosines
        self.sines = sines
    }

    /// `[pairs]` cosines of a position.
    func cosines(at position: Int) -> UnsafePointer<Float> { UnsafePointer(cosines.base + position * pairs) }

    /// `[pairs]` sines of a position.
    func sines(at position: Int) -> UnsafePointer<Float> { UnsafePointer(sines.base + position * pairs) }
}
