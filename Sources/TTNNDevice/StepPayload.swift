// The payloads of steps: what goes to the bridge, and what comes back (`bridge/PROTOCOL.md`).

import TTPlatform

extension [UInt8] {
    /// Appends a prefill step.
    mutating func append(prefill batch: PrefillBatch, onDevice: Bool) {
        let total = batch.tokens.reduce(0) { $0 + $1.count }
        append(raw: [UInt32(batch.tokens.count), UInt32(batch.pageTable.width), onDevice ? 1 : 0, UInt32(total)])
        append(raw: batch.startPositions)
        append(raw: batch.tokens.map { Int32($0.count) })
        append(raw: batch.slots.map(Int32.init))
        append(raw: batch.pageTable.blocks)
        for tokens in batch.tokens { append(raw: tokens) }
        if onDevice { append(sampling: batch.sampling) }
    }

    /// Appends a decode step with what its plan takes from the host.
    mutating func append(decode batch: DecodeBatch, _ plan: DecodePlan, onDevice: Bool) {
        let flags = DecodeFlags(plan, onDevice: onDevice)
        append(raw: [UInt32(batch.tokens.count), UInt32(batch.pageTable.width), flags.rawValue, 0])
        append(raw: batch.tokens)
        append(raw: batch.positions)
        if let remap = plan.slotRemap { append(raw: remap.map(Int32.init)) }
        if plan.inputs != .keep { append(raw: batch.pageTable.blocks) }
        if flags.contains(.reloadSampling) { append(sampling: batch.sampling) }
    }

    /// Appends the rows' parameters; greedy ones in the one form that every device takes for it.
    private mutating func append(sampling rows: [RowSampling]) {
        let params = rows.map { row in
            guard case .onDevice(let params) = row, !params.isGreedy else {
                return TTSamplingParams(temperature: 0, topK: 1, topP: 1)
            }
            return params
        }
        append(raw: params.map(\.temperature))
        append(raw: params.map(\.topK))
        append(raw: params.map(\.topP))
        append(raw: params.map(\.seed))
        append(raw: params.map { $0.isGreedy ? UInt8(0) : 1 })
    }
}

/// What a decode step is told, as bits.
private struct DecodeFlags: OptionSet {
    let rawValue: UInt32

    static let reloadInputs = DecodeFlags(rawValue: 1)
    static let reloadPageTable = DecodeFlags(rawValue: 2)
    static let sampleOnDevice = DecodeFlags(rawValue: 4)
    static let reloadSampling = DecodeFlags(rawValue: 8)
    static let resetSampling = DecodeFlags(rawValue: 16)
    static let slotRemap = DecodeFlags(rawValue: 32)

    init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The plan's; sampling is not spoken of in a step that the host samples (contract §1.6).
    init(_ plan: DecodePlan, onDevice: Bool) {
        self = []
        switch plan.inputs {
        case .reloadAll: insert(.reloadInputs)
        case .reloadPageTable: insert(.reloadPageTable)
        case .keep: break
        }
        if plan.slotRemap != nil { insert(.slotRemap) }
        guard onDevice else { return }
        insert(.sampleOnDevice)
        if plan.reloadSamplingParams { insert(.reloadSampling) }
        if plan.resetSamplingState { insert(.resetSampling) }
    }
}

/// A step's answer.
struct StepAnswer {
    static let headSize = 16
    let rows: StepOutput
    /// Time that the model's own calls took.
    let modelNanoseconds: Int64

    /// Reads a payload for rows of which those in use are marked.
    init(
        _ bytes: UnsafeRawBufferPointer, isActive: [Bool], onDevice: Bool, vocabulary: Int
    ) throws(BridgeError) {
        let width = onDevice ? 1 : vocabulary
        guard bytes.count == Self.headSize + 4 * isActive.count * width else {
            throw .malformed("\(bytes.count) bytes for \(isActive.count) rows of \(width)")
        }
        let (count, kind) = (bytes.load(as: UInt32.self), bytes.load(fromByteOffset: 4, as: UInt32.self))
        guard count == isActive.count, kind == (onDevice ? 1 : 0) else {
            throw .malformed("\(count) rows of kind \(kind) for \(isActive.count) rows")
        }
        modelNanoseconds = Int64(clamping: bytes.load(fromByteOffset: 8, as: UInt64.self))
        rows = StepOutput(
            rows: isActive.enumerated().map { index, isActive in
                guard isActive else { return .padding }
                let start = Self.headSize + 4 * index * width
                if onDevice { return .token(bytes.load(fromByteOffset: start, as: Int32.self)) }
                return .logits(
                    [Float](unsafeUninitializedCapacity: width) { buffer, count in
                        UnsafeMutableRawBufferPointer(buffer).copyMemory(
                            from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + 4 * width]))
                        count = width
                    })
            })
    }
}

/// How long decode steps take outside the model's own calls: both sides' work on frames, and the way between.
struct StepOverhead {
    private static let most = 4096
    private var microseconds: [Float] = []
    private var count = 0

    mutating func add(total: Duration, inModel: Duration) {
        let value = Float((total - inModel) / .microseconds(1))
        if microseconds.count < Self.most {
            microseconds.append(value)
        } else {
            microseconds[count % Self.most] = value
        }
        count += 1
    }

    /// Median and 99th percentile of the last steps; nil where there were none.
    var summary: String? {
        guard !microseconds.isEmpty else { return nil }
        let sorted = microseconds.sorted()
        let (median, high) = (sorted[sorted.count / 2], sorted[sorted.count * 99 / 100])
        return
            "\(count) decode steps; outside the model's own calls: median \(Int(median)) µs, 99 % below \(Int(high)) µs"
    }
}
