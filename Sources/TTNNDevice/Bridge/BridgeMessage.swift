// The frames and JSON headers of the bridge's protocol, version 2 (bridge protocol §1, §2).

import Foundation
import Platform

/// The kinds of requests. The answer's kind is the request's with the highest bit set, or `error`.
enum BridgeRequest: UInt16 {
    case hello = 1
    case describe = 2
    case open = 3
    case models = 4
    case load = 5
    case allocate = 6
    case warmUp = 7
    case prefill = 8
    case decode = 9
    case close = 10
    case choose = 11
    case limits = 12

    /// A name for messages.
    var operation: String {
        switch self {
        case .hello: "start of the bridge"
        case .describe: "search for chips"
        case .open: "opening of the mesh"
        case .models: "search for model classes"
        case .load: "loading of the model"
        case .allocate: "allocation of the KV cache"
        case .warmUp: "warm-up"
        case .prefill: "prefill step"
        case .decode: "decode step"
        case .close: "closing of the mesh"
        case .choose: "import of the model class"
        case .limits: "sizing of the KV cache"
        }
    }
}

/// The fixed beginning of a frame.
struct FrameHead {
    static let size = 20
    static let protocolVersion = 2
    static let maxHeaderBytes = 1 << 20
    static let errorKind: UInt16 = 0xFFFF
    static let replyBit: UInt16 = 0x8000

    let kind: UInt16
    let headerBytes: Int
    let payloadBytes: Int

    init(kind: UInt16, headerBytes: Int, payloadBytes: Int) {
        self.kind = kind
        self.headerBytes = headerBytes
        self.payloadBytes = payloadBytes
    }

    /// Reads a head; `nil` if the bytes are not a head.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.size, bytes.prefix(4).elementsEqual(Array("TTBB".utf8)),
            bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self) == 0
        else { return nil }
        kind = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
        headerBytes = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
        let payload = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt64.self))
        guard let payloadBytes = Int(exactly: payload) else { return nil }
        self.payloadBytes = payloadBytes
    }

    /// Appends the head to `bytes`.
    func append(to bytes: inout [UInt8]) {
        bytes += Array("TTBB".utf8)
        bytes.append(little: kind)
        bytes.append(little: UInt16(0))
        bytes.append(little: UInt32(headerBytes))
        bytes.append(little: UInt64(payloadBytes))
    }
}

extension [UInt8] {
    /// Appends a number in little-endian order.
    mutating func append(little number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    /// Appends numbers in this machine's byte order, which is little-endian; both ends of the socket are on this
    /// machine.
    mutating func append<Number: BitwiseCopyable>(raw numbers: [Number]) {
        numbers.withUnsafeBytes { append(contentsOf: $0) }
    }
}

// MARK: - Headers

/// The header of an error.
struct BridgeErrorHeader: Decodable {
    enum Kind: String, Decodable {
        /// A retry would fail in the same way.
        case refused
        /// The device or the model failed.
        case failed
    }

    let kind: Kind
    let message: String
}

struct NoHeader: Codable {}

struct HelloHeader: Encodable {
    let `protocol` = FrameHead.protocolVersion
    let maxPayloadBytes: Int
}

struct HelloAnswer: Decodable {
    let `protocol`: Int
    let python: String
}

struct DescribeAnswer: Decodable {
    let deviceIds: [Int]
    let architecture: String
    let clusterType: String
}

struct OpenHeader: Encodable {
    let rows: Int
    let columns: Int
    let fabricConfig: String?
    /// Whether the fabric that the model's class requires is used, because the configuration sets none.
    let usesClassFabric: Bool
    let fabricReliabilityMode: String?
    let traceRegionSize: Int?
    let workerL1Size: Int?
    let l1SmallSize: Int?
    let numCommandQueues: Int?
    let dispatchCoreAxis: String?
}

struct OpenAnswer: Decodable {
    let deviceCount: Int
}

struct ModelsHeader: Encodable {
    let extraModelsDir: String?
}

struct ModelsAnswer: Decodable {
    let classes: [String: String]
}

struct ChooseHeader: Encodable {
    let modelClass: String
    let hfModel: String?
}

struct ChooseAnswer: Decodable {
    /// The fabric that the class requires, by ttnn's name.
    let fabricConfig: String?
    let defaultTraceMode: String
}

struct LimitsHeader: Encodable {
    let numDevices: Int
    let ttDataParallel: Int
    let maxModelLen: Int
    let maxNumSeqs: Int
}

struct LimitsAnswer: Decodable {
    let maxTokensAllUsers: Int?
}

struct LoadHeader: Encodable {
    /// The model's sizes with Hugging Face's names.
    struct Config: Encodable {
        let _nameOrPath: String
        let architectures: [String]
        let vocabSize: Int
        let hiddenSize: Int
        let intermediateSize: Int
        let numHiddenLayers: Int
        let numAttentionHeads: Int
        let numKeyValueHeads: Int
        let headDim: Int
        let maxPositionEmbeddings: Int
        let rmsNormEps: Float
        let ropeTheta: Float
    }

    let config: Config
    let maxBatchSize: Int
    let maxSeqLen: Int
    let blockSize: Int
    let traceMode: String
    /// Each replica has its own model.
    let dataParallel = 1
    /// The configured value; `nil` leaves it to the class, and some classes accept nothing else.
    let optimizations: String?
}

/// The model's capabilities, as in the bridge's `Capabilities`.
struct LoadAnswer: Decodable {
    let age: String
    let decodeContract: Int
    let supportsSampleOnDevice: Bool
    let maxDeviceTopK: Int?
    let samplesPerRow: Bool
    let draws: DeviceDraws
    /// Pairs of a padded length and the multiple of tokens at which a prefill of that length can start.
    let prefixAlignment: [[Int]]
    let prefillSlots: PrefillSlots
    let largestPrefill: Int
    let prefillPadding: PrefillPadding
    let prefillChunk: Int?
    let supportsAsyncDecode: Bool
    let splitsRead: Bool
    let supportedBatchSizes: [Int]?
    let tensors: String
}

/// The meaning of the slots of a prefill for a model class; the bridge's `rules.py` decides it.
enum PrefillSlots: String, Decodable {
    /// They only number the rows of a call. If the device samples, rows in the slots 0, 1, … are batched and others run
    /// alone.
    case inOrder = "in_order"
    /// They are the rows' batch slots; several rows together cost a pass up to the highest slot.
    case spanning
    /// They are the rows' batch slots; the class divides the rows into passes itself.
    case own
}

struct AllocateHeader: Encodable {
    /// `[blocks, heads of a chip, block size, head size]`
    let shape: [Int]
    let layers: Int
    let pageTableWidth: Int
}

struct WarmUpHeader: Encodable {
    let samplePrefill: Bool
    let sampleDecode: Bool
}
