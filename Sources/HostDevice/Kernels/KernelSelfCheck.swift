// A check at load of a few milliseconds: a kernel set must compute the same bits as the portable kernels before it is
// used.

import CHostKernels
import ModelFiles
import Platform

/// Compares a kernel set with the portable one on small pseudo-random data.
enum KernelSelfCheck {
    /// Whether every kernel of `set` computes the same bits as the portable kernel.
    static func passes(_ set: KernelSet) -> Bool {
        guard let results = try? results(of: set) else { return false }
        return results == (try? self.results(of: .portable))
    }

    /// The bit patterns of every kernel's results.
    static func results(of set: KernelSet) throws -> [UInt32] {
        var bits: [UInt32] = []
        // Their packed formats are I4 and U4, U8, S8, S7, and U7 and U4.
        for type: TensorType in [.q4_1, .q5_1, .q8_0, .q6_K, .q2_K] { bits += try products(set, type) }
        bits += rowKernels(set)
        for type in KVCacheDType.allCases { bits += try attention(set, type) }
        return bits
    }

    /// Products of quantised random weights: every tile's full and partial shapes, one row, rows that begin within a
    /// tile, and more groups than are unpacked at a time.
    private static func products(_ set: KernelSet, _ type: TensorType) throws -> [UInt32] {
        let (inputs, outputs, rows) = (1024, 40, 13)
        var random = SmallRandom(seed: UInt64(type.rawValue))
        var bytes = (0..<inputs / type.blockElements * type.blockBytes * outputs).map { _ in
            UInt8(truncatingIfNeeded: random.next())
        }
        // Scales with small exponents; random ones may be infinite.
        let scales = type == .q6_K ? [209] : type == .q2_K ? [81, 83] : type == .q8_0 ? [1] : [1, 3]
        for block in stride(from: 0, to: bytes.count, by: type.blockBytes) {
            for scale in scales { bytes[block + scale] = 0x2c }
        }
        func matrix(int8: Bool) throws -> PackedMatrix {
            try bytes.withUnsafeBytes { bytes in
                let rows = PackedRows(type: type, bytes: bytes, inputs: inputs, outputs: outputs)
                return try PackedMatrix(rows, int8: int8, pool: ThreadPool(threadCount: 1))
            }
        }
        let exact = try matrix(int8: false)
        let x = random.floats(rows * inputs)
        let stride = exact.paddedOutputs
        var y = [Float](repeating: 0, count: rows * stride)
        var scratch = [Float](repeating: 0, count: Int(HK_SCRATCH_FLOATS))
        set.table.matmul_float(exact.descriptor, 0, exact.panels, x, inputs, rows, &y, stride, &scratch)
        var bits = y.map(\.bitPattern)
        let matrix = try matrix(int8: true)
        guard matrix.takesInt8 else { return bits }
        let activations = try QuantizedBuffer(rows: rows, width: inputs)
        for peak in [HK_INT8_PEAK, HK_INT7_PEAK] {
            var quantized = activations.view(width: inputs, peak: peak)
            set.table.quantize(x, inputs, rows, inputs, &quantized, 0, 0)
            for part in [0..<rows, 5..<8, 7..<8] {
                set.table.matmul_int8(
                    matrix.descriptor, 0, matrix.panels, &quantized, part.lowerBound, part.count, &y, stride, nil, nil)
                bits += y.map(\.bitPattern)
            }
        }
        var activated = activations.view(width: inputs, peak: HK_INT8_PEAK)
        set.table.activate_quantize(Int32(HK_SILU), x, x, inputs, rows, inputs, &activated, 0, 0)
        set.table.matmul_int8(matrix.descriptor, 0, matrix.panels, &activated, 0, rows, &y, stride, nil, nil)
        bits += y.map(\.bitPattern)
        return bits
    }

    private static func rowKernels(_ set: KernelSet) -> [UInt32] {
        let count = 77
        var random = SmallRandom(seed: 5)
        var residual = random.floats(count)
        let (delta, weight) = (random.floats(count), random.floats(count))
        var normed = residual
        set.table.add_norm(&residual, delta, weight, 1e-5, count, &normed)
        set.table.normalise(normed, 1, weight, delta, 1e-5, count, &normed)
        set.table.add_bias(&normed, 0, 1, count, delta)
        set.table.add_delta(&normed, delta, 0.22, count)
        var activated = [Float](repeating: 0, count: 3 * count)
        for (index, activation) in [HK_SILU, HK_GELU, HK_SQUARED_RELU].enumerated() {
            activated.withUnsafeMutableBufferPointer {
                let place = $0.baseAddress! + index * count
                set.table.activate(Int32(activation), residual, index == 2 ? nil : weight, 0, 1, count, place, 0)
            }
        }
        set.table.scale_and_cap(&activated, 0, 1, count, 3, 2)
        var rotated = random.floats(96)
        set.table.rotate(&rotated, 3, 32, delta, weight, 12)
        set.table.rotate_halves(&rotated, 3, 32, delta, weight, 12)
        var masked = Array(residual.prefix(Int(HK_PANEL)))
        set.table.mask(&masked, 0xA5F0_3C81)
        var tiles = [hk_logit_tile](repeating: hk_logit_tile(), count: 2)
        set.table.summarise(residual, 32, 2, 29, [0, 1.7], &tiles, 1)
        let summaries = tiles.flatMap { [$0.highest, $0.weight] }
        return (residual + normed + activated + rotated + masked + summaries).map(\.bitPattern)
    }

    /// Attention of three tokens over two spans, at once and span by span, without a window and with one.
    private static func attention(_ set: KernelSet, _ type: KVCacheDType) throws -> [UInt32] {
        try attention(set, type, window: Int.max, cap: 0) + attention(set, type, window: 100, cap: 1.5)
    }

    private static func attention(
        _ set: KernelSet, _ type: KVCacheDType, window: Int, cap: Float
    ) throws -> [UInt32] {
        let length = Int(HK_SPAN) + 59
        let (heads, size, group, blockSize) = (2, 48, 5, 24)
        let blockCount = length / blockSize + 2
        let shape = KVCacheGeometry(
            layers: 2, heads: heads, headSize: size, blockCount: blockCount, blockSize: blockSize, type: type)
        let store = try DeviceBuffer<UInt8>(count: shape.totalBytes)
        var cache = shape.layer(1, in: store)
        var random = SmallRandom(seed: 9)
        let blocks = (0..<blockCount).map { Int32(blockCount - 1 - $0) }
        for position in 0..<length + 2 {
            let (block, slot) = (Int(blocks[position / blockSize]), position % blockSize)
            for head in 0..<heads {
                set.table.store(&cache, head, block, slot, random.floats(size), random.floats(size))
            }
        }
        let (tokens, width) = (3, group * size)
        let queries = random.floats(tokens * width)
        let (whole, joined) = (
            try DeviceBuffer<Float>(count: tokens * width), try DeviceBuffer<Float>(count: tokens * width)
        )
        let scores = try DeviceBuffer<Float>(count: tokens * group * Int(HK_SPAN_SCORES))
        let partials = try DeviceBuffer<Float>(count: 2 * tokens * group * (size + Int(HK_PARTIAL_TOTALS)))
        queries.withUnsafeBufferPointer { queries in
            blocks.withUnsafeBufferPointer { blocks in
                var work = hk_attention(
                    tokens: tokens, group: group, length: length, window: window, origin_span: 0, first_span: 0,
                    end_span: 2,
                    blocks: blocks.baseAddress!, queries: queries.baseAddress!, query_stride: width, output: whole.base,
                    output_stride: width, scores: scores.base, partials: nil, scale: 0.3, cap: cap, next_head: 0,
                    next_length: 0,
                    next_blocks: blocks.baseAddress!)
                set.table.attend(&cache, 1, &work)
                work.output = joined.base
                work.partials = partials.base
                for span in [1, 0] {
                    (work.first_span, work.end_span) = (span, span + 1)
                    set.table.attend(&cache, 1, &work)
                }
                set.table.join(&cache, &work)
            }
        }
        return [whole, joined].flatMap { output in (0..<output.count).map { output.base[$0].bitPattern } }
    }
}

/// A small generator (SplitMix64), so that the check's data are the same on every machine.
struct SmallRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Numbers in [−1, 1).
    mutating func floats(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float(Int32(truncatingIfNeeded: next())) * 0x1p-31 }
    }
}
