// The payloads of steps to the bridge, and of its answers (bridge protocol §3).

import Platform
import Sampling

extension [UInt8] {
    /// Appends one call of a prefill step.
    mutating func append(_ call: PrefillCall, of batch: PrefillBatch, onDevice: Bool) {
        let total = call.rows.reduce(0) { $0 + batch.tokens[$1].count }
        append(raw: [UInt32(call.rows.count), UInt32(batch.pageTable.width), onDevice ? 1 : 0, UInt32(total)])
        append(raw: call.rows.map { batch.startPositions[$0] })
        append(raw: call.rows.map { row in Int32(batch.tokens[row].count) })
        append(raw: call.slots.map { Int32($0) })
        append(raw: call.rows.map { row in Int32(batch.slots[row]) })
        for row in call.rows { append(raw: [Int32](batch.pageTable[row])) }
        for row in call.rows { append(raw: batch.tokens[row]) }
        if onDevice { append(sampling: call.rows.map { batch.sampling[$0] }) }
    }

    /// Appends a decode step with the inputs that its plan takes from the host.
    mutating func append(decode batch: DecodeBatch, _ plan: DecodePlan, onDevice: Bool) {
        let flags = DecodeFlags(plan, onDevice: onDevice)
        append(raw: [UInt32(batch.tokens.count), UInt32(batch.pageTable.width), flags.rawValue, 0])
        append(raw: batch.tokens)
        append(raw: batch.positions)
        if plan.inputs != .keep { append(raw: batch.pageTable.blocks) }
        if flags.contains(.reloadSampling) { append(sampling: batch.sampling) }
    }

    /// Appends the rows' parameters; greedy ones in the form that every device accepts.
    private mutating func append(sampling rows: [RowSampling]) {
        let params = rows.map { row in
            guard case .onDevice(let draw) = row, !draw.params.isGreedy else {
                return TTSamplingParams(temperature: 0, topK: 1, topP: 1)
            }
            return draw.params
        }
        append(raw: params.map(\.temperature))
        append(raw: params.map(\.topK))
        append(raw: params.map(\.topP))
        append(raw: params.map(\.seed))
        append(raw: params.map { $0.isGreedy ? UInt8(0) : 1 })
    }
}

/// The flags of a decode step.
private struct DecodeFlags: OptionSet {
    let rawValue: UInt32

    static let reloadInputs = DecodeFlags(rawValue: 1)
    static let reloadPageTable = DecodeFlags(rawValue: 2)
    static let sampleOnDevice = DecodeFlags(rawValue: 4)
    static let reloadSampling = DecodeFlags(rawValue: 8)
    static let resetSampling = DecodeFlags(rawValue: 16)

    init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The flags of a plan; a step that the host samples has no sampling flags (TT contract §1.6).
    init(_ plan: DecodePlan, onDevice: Bool) {
        self = []
        switch plan.inputs {
        case .reloadAll: insert(.reloadInputs)
        case .reloadPageTable: insert(.reloadPageTable)
        case .keep: break
        }
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
    /// Time of the model's own calls.
    let modelNanoseconds: Int64

    /// Bytes of an answer: a token of every row, or the logits of the active rows.
    static func size(isActive: [Bool], onDevice: Bool, vocabulary: Int) -> Int {
        headSize + 4 * (onDevice ? isActive.count : isActive.count { $0 } * vocabulary)
    }

    /// Reads the payload of an answer; `isActive` marks the rows in use.
    init(
        _ bytes: UnsafeRawBufferPointer, isActive: [Bool], onDevice: Bool, vocabulary: Int
    ) throws(BridgeError) {
        let width = onDevice ? 1 : vocabulary
        let expected = onDevice ? isActive.count : isActive.count { $0 }
        guard bytes.count == Self.size(isActive: isActive, onDevice: onDevice, vocabulary: vocabulary) else {
            throw .malformed("\(bytes.count) bytes for \(expected) rows of \(width)")
        }
        let (count, kind) = (bytes.load(as: UInt32.self), bytes.load(fromByteOffset: 4, as: UInt32.self))
        guard count == expected, kind == (onDevice ? 1 : 0) else {
            throw .malformed("\(count) rows of kind \(kind) for \(expected) rows")
        }
        modelNanoseconds = Int64(clamping: bytes.load(fromByteOffset: 8, as: UInt64.self))
        var next = 0
        rows = StepOutput(
            rows: isActive.map { isActive in
                guard isActive || onDevice else { return .padding }
                let start = Self.headSize + 4 * next * width
                next += 1
                if onDevice {
                    return isActive ? .token(bytes.load(fromByteOffset: start, as: Int32.self)) : .padding
                }
                return .logits(
                    [Float](unsafeUninitializedCapacity: width) { buffer, count in
                        UnsafeMutableRawBufferPointer(buffer).copyMemory(
                            from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + 4 * width]))
                        count = width
                    })
            })
    }
}

/// The time of decode steps outside the model's own calls: both ends' work on frames, and the transfer.
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

    /// Median and 99th percentile of the last steps; nil if there were none.
    var summary: String? {
        guard !microseconds.isEmpty else { return nil }
        let sorted = microseconds.sorted()
        let (median, high) = (sorted[sorted.count / 2], sorted[sorted.count * 99 / 100])
        return
            "\(count) decode steps; outside the model's own calls: median \(Int(median)) µs, 99 % below \(Int(high)) µs"
    }
}
