// Random blocks of every GGUF element type, for tests of kernels.

import ModelFiles

@testable import HostDevice

/// A GGUF element type of which random rows are made.
struct BlockType: Sendable, CustomStringConvertible {
    let type: TensorType
    var description: String { type.name }

    static let all = TensorType.allCases.map(BlockType.init)

    /// The places of a block's f16 scales.
    private var halves: [Int] {
        switch type {
        case .f32, .bf16, .mxfp4, .iq1_M: []
        case .f16, .q4_0, .q5_0, .q8_0, .iq2_XXS, .iq2_XS, .iq2_S, .iq3_XXS, .iq3_S, .iq1_S, .iq4_NL, .iq4_XS: [0]
        case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
        case .q2_K: [80, 82]
        case .q3_K: [108]
        case .q6_K: [208]
        case .tq1_0: [52]
        case .tq2_0: [64]
        }
    }

    /// Rows of random weights of moderate size. `Golden/make_gguf_blocks.py` makes the same blocks of quantised types.
    func rows(_ outputs: Int, inputs: Int) -> [UInt8] {
        var random = SmallRandom(seed: UInt64(type.rawValue) + 1)
        if type == .f32 { return random.floats(outputs * inputs).withUnsafeBytes(Array.init) }
        if type == .bf16 {
            return random.floats(outputs * inputs).map { UInt16($0.bitPattern >> 16) }.withUnsafeBytes(Array.init)
        }
        let count = outputs * inputs / type.blockElements * type.blockBytes
        var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        // The exponents of scales are small: random ones may be infinite.
        for block in stride(from: 0, to: count, by: type.blockBytes) {
            for half in halves { bytes[block + half + 1] = bytes[block + half + 1] & 0x83 | 0x24 }
            if type == .mxfp4 { bytes[block] = bytes[block] & 0x07 | 0x78 }
            // The scale's bits are spread over four words.
            if type == .iq1_M { bytes[block + 55] = bytes[block + 55] & 0x8f | 0x20 }
        }
        return bytes
    }
}
