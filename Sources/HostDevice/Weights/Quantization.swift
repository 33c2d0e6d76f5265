// What float weights can become when a model is loaded.

import ModelFiles

/// A type to which a model's float weights are quantised while they are packed, with the bits of ggml's reference.
enum Quantization: String, Sendable, CaseIterable {
    /// 8 bits and a scale for 32 weights.
    case q8_0
    /// 4 bits and a scale for 32 weights.
    case q4_0

    /// The GGUF element type of the result.
    var type: TensorType {
        switch self {
        case .q8_0: .q8_0
        case .q4_0: .q4_0
        }
    }

    /// Whether rows of `inputs` weights of `type` can be quantised: floats, in whole blocks.
    func applies(to type: TensorType, inputs: Int) -> Bool {
        type.blockElements == 1 && inputs % self.type.blockElements == 0
    }
}
