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
    case iq2_XXS = 16
    case iq2_XS = 17
    case iq3_XXS = 18
    case iq1_S = 19
    case iq4_NL = 20
    case iq3_S = 21
    case iq2_S = 22
    case iq4_XS = 23
    case iq1_M = 29
    case bf16 = 30
    case tq1_0 = 34
    case tq2_0 = 35
    case mxfp4 = 39

    /// Weights in one block.
    public var blockElements: Int {
        switch self {
        case .f32, .f16, .bf16: 1
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .iq4_NL, .mxfp4: 32
        case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq2_XXS, .iq2_XS, .iq2_S, .iq3_XXS, .iq3_S, .iq1_S, .iq1_M, .iq4_XS,
            .tq1_0, .tq2_0:
            256
        }
    }

    /// Bytes of one block.
    public var blockBytes: Int {
        switch self {
        case .f32: 4
        case .f16, .bf16: 2
        case .mxfp4: 17
        case .q4_0, .iq4_NL: 18
        case .q4_1: 20
        case .q5_0: 22
        case .q5_1: 24
        case .q8_0: 34
        case .iq1_S: 50
        case .tq1_0: 54
        case .iq1_M: 56
        case .iq2_XXS, .tq2_0: 66
        case .iq2_XS: 74
        case .iq2_S: 82
        case .q2_K: 84
        case .iq3_XXS: 98
        case .q3_K, .iq3_S: 110
        case .iq4_XS: 136
        case .q4_K: 144
        case .q5_K: 176
        case .q6_K: 210
        }
    }

    /// The name as in the names of model files, e.g. `Q4_1`.
    public var name: String { String(describing: self).uppercased() }

    /// What ggml calls an element type that is not supported here, such as `NVFP4`; nil for a number without a name.
    static func unsupportedName(_ rawValue: UInt32) -> String? {
        switch rawValue {
        case 9: "Q8_1"
        case 15: "Q8_K"
        case 24: "I8"
        case 25: "I16"
        case 26: "I32"
        case 27: "I64"
        case 28: "F64"
        case 40: "NVFP4"
        case 41: "Q1_0"
        case 42: "Q2_0"
        // Types that ggml has given up: files with them have to be made again from the original weights.
        case 4: "Q4_2"
        case 5: "Q4_3"
        case 31: "Q4_0_4_4"
        case 32: "Q4_0_4_8"
        case 33: "Q4_0_8_8"
        case 36: "IQ4_NL_4_4"
        case 37: "IQ4_NL_4_8"
        case 38: "IQ4_NL_8_8"
        default: nil
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

    /// The path of its file.
    public var path: String { file.path }

    /// Its start in the file, in bytes.
    public var offset: Int { bytes.baseAddress! - file.bytes.baseAddress! }

    /// Throws if the file is not the one that was opened any more; see `MappedFile.checkUnchanged`.
    ///
    /// - Throws: `ModelFileError.changed`.
    public func checkUnchanged() throws(ModelFileError) { try file.checkUnchanged() }

    /// The number of elements.
    public var elementCount: Int { shape.reduce(1, *) }

    /// The bytes that its type and shape imply, which `bytes` has unless its reader has erred.
    public var expectedBytes: Int { elementCount / type.blockElements * type.blockBytes }
}
