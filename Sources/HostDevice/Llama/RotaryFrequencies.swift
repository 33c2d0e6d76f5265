// The angles of the rotary position embedding (RoPE, arXiv 2104.09864).

import Glibc
import ModelFiles

/// The frequency of each rotated pair of a head.
///
/// Cosines and sines are computed for the tokens of a tile, not kept for every position: a model file may claim any
/// context length. Frequencies and angles are rounded to float, as Hugging Face transformers rounds them, so that long
/// positions agree.
struct RotaryFrequencies: Sendable {
    private let frequencies: [Float]

    /// Rotated pairs of a head.
    var pairs: Int { frequencies.count }

    init(_ rope: ModelConfig.RotaryEmbedding) {
        frequencies = (0..<rope.dimensions / 2).map { pair in
            let exponent = Float(2 * pair) / Float(rope.dimensions)
            let frequency = 1 / Float(pow(Double(rope.theta), Double(exponent)))
            return frequency / (rope.frequencyFactors?[pair] ?? 1)
        }
    }

    /// Writes the `[pairs]` cosines and sines of a position.
    func write(position: Int, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>) {
        for (pair, frequency) in frequencies.enumerated() {
            let angle = Double(Float(position) * frequency)
            cosines[pair] = Float(cos(angle))
            sines[pair] = Float(sin(angle))
        }
    }
}
