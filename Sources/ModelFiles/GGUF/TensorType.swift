// The element types of GGUF tensors and the layout of their blocks.

/// A GGUF element type. Quantised types store `blockElements` weights in `blockBytes` bytes.
///
/// Source: the GGUF specification and ggml's block layouts.
public enum TensorType: UInt32, Sendable, CaseIterable {
    case f32 = 0
    case f16 = 1
    case q4_0 = 2
    case q4_1 = 3
    case q5_0 = 6
    case q5_1 = 7
    case q8_0 = 8
    case q2_K = 10
    case q3_K = 11
    case q4_K = 12
    case q5_K = 13
    case q6_K = 14
    case bf16 = 30

    /// Weights in one block.
    public var blockElements: Int {
        switch self {
        case .f32, .f16, .bf16: 1
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0: 32
        case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K: 256
        }
    }

    /// Bytes of one block.
    public var blockBytes: Int {
        switch self {
        case .f32: 4
        case .f16, .bf16: 2
        case .q4_0: 18
        case .q4_1: 20
        case .q5_0: 22
        case .q5_1: 24
        case .q8_0: 34
        case .q2_K: 84
        case .q3_K: 110
        case .q4_K: 144
        case .q5_K: 176
        case .q6_K: 210
        }
    }

    /// The name as in the names of model files, e.g. `Q4_1`.
    public var name: String {
        switch self {
        case .f32: "F32"
        case .f16: "F16"
        case .bf16: "BF16"
        case .q4_0: "Q4_0"
        case .q4_1: "Q4_1"
        case .q5_0: "Q5_0"
        case .q5_1: "Q5_1"
        case .q8_0: "Q8_0"
        case .q2_K: "Q2_K"
        case .q3_K: "Q3_K"
        case .q4_K: "Q4_K"
        case .q5_K: "Q5_K"
        case .q6_K: "Q6_K"
        }
    }
}

/// A tensor in the mapped file.
public struct MappedTensor: @unchecked Sendable {
    /// The tensor's name in the file, for example `blk.0.attn_q.weight`.
    public let name: String
    /// The element type.
    public let type: TensorType
    /// Sizes, innermost (contiguous) first, as GGUF stores them: a weight matrix is `[inputs, outputs]`.
    public let shape: [Int]
    /// The raw blocks. They are valid while `file` exists, which this value retains.
    public let bytes: UnsafeRawBufferPointer
    let file: MappedFile

    /// Its start in the file, in bytes.
    public var offset: Int { bytes.baseAddress! - file.bytes.baseAddress! }

    /// Throws if the file is not the one that was opened any more; see `MappedFile.checkUnchanged`.
    ///
    /// - Throws: `ModelFileError.changed`.
    public func checkUnchanged() throws(ModelFileError) { try file.checkUnchanged() }

    /// The number of elements.
    public var elementCount: Int { shape.reduce(1, *) }
}
