// The attention and row kernels against references in double precision.

import CHostKernels
import Foundation
import Platform
import Testing

@testable import HostDevice

/// A cache's middle layer, of one head, its positions filled with keys and values in scattered blocks.
private struct FilledCache {
    let set: KernelSet
    let headSize: Int
    let keys: [Float]
    let values: [Float]
    private let memory: DeviceBuffer<UInt8>
    private var blocks: [Int32]
    private var cache: hk_cache

    /// Of random keys and values.
    init(_ set: KernelSet, _ type: KVCacheDType, headSize: Int, blockSize: Int, positions: Int) throws {
        var random = SmallRandom(seed: 8)
        try self.init(
            set, type, headSize: headSize, blockSize: blockSize, keys: random.floats(positions * headSize),
            values: random.floats(positions * headSize))
    }

    /// Of the given keys and values, `headSize` of each for a position.
    init(
        _ set: KernelSet, _ type: KVCacheDType, headSize: Int, blockSize: Int, keys: [Float], values: [Float]
    ) throws {
        (self.set, self.headSize, self.keys, self.values) = (set, headSize, keys, values)
        let positions = keys.count / headSize
        let count = (positions + blockSize - 1) / blockSize
        let geometry = KVCacheGeometry(
            layers: 3, heads: 1, headSize: headSize, blockCount: count, blockSize: blockSize, type: type)
        memory = try DeviceBuffer(count: geometry.totalBytes)
        cache = geometry.layer(1, in: memory)
        blocks = (0..<count).map { Int32(count - 1 - $0) }
        for position in 0..<positions {
            let row = position * headSize..<(position + 1) * headSize
            let (block, blockOffset) = position.quotientAndRemainder(dividingBy: blockSize)
            set.table.store(&cache, 0, Int(blocks[block]), blockOffset, Array(keys[row]), Array(values[row]))
        }
    }

    /// Lets the first `count` entries of the page table name a block that does not exist.
    mutating func forgetBlocks(_ count: Int) { for index in 0..<count { blocks[index] = .max } }

    /// The outputs of `queries`, `group` heads a token, whose first token is at position `length` − 1: in the given pieces
    /// of spans, joined where there are several.
    mutating func attend(
        _ queries: [Float], group: Int, length: Int, scale: Float = 2, window: Int = .max, cap: Float = 0,
        pieces: [Range<Int>]? = nil
    ) throws -> [Float] {
        let tokens = queries.count / (group * headSize)
        let spans = (length + Int(HK_SPAN) - 1) / Int(HK_SPAN)
        let origin = window < length ? (length - window) / Int(HK_SPAN) : 0
        let output = try DeviceBuffer<Float>(count: queries.count)
        let scores = try DeviceBuffer<Float>(count: tokens * group * Int(HK_SPAN_SCORES))
        let partials = try DeviceBuffer<Float>(
            count: spans * tokens * group * ((headSize + 15) / 16 * 16 + Int(HK_PARTIAL_TOTALS)))
        let table = set.table
        queries.withUnsafeBufferPointer { queries in
            blocks.withUnsafeBufferPointer { blocks in
                var work = hk_attention(
                    tokens: tokens, group: group, length: length, window: window, origin_span: origin, first_span: 0,
                    end_span: spans,
                    blocks: blocks.baseAddress!, queries: queries.baseAddress!, query_stride: group * headSize,
                    output: output.base, output_stride: group * headSize, scores: scores.base,
                    partials: pieces == nil ? nil : partials.base, scale: scale, cap: cap, next_head: 0,
                    next_length: length,
                    next_blocks: blocks.baseAddress!)
                for piece in pieces ?? [origin..<spans] {
                    (work.first_span, work.end_span) = (piece.lowerBound, piece.upperBound)
                    table.attend(&cache, 0, &work)
                }
                if pieces != nil { table.join(&cache, &work) }
            }
        }
        return (0..<queries.count).map { output.base[$0] }
    }

    /// Softmax attention of one token in double precision.
    func expected(
        _ queries: [Float], group: Int, length: Int, window: Int = .max, cap: Double = 0
    ) -> [Double] {
        (0..<group).flatMap { head in
            let query = queries[head * headSize..<(head + 1) * headSize]
            let weights = (0..<length).map { position in
                let score =
                    2 * zip(query, keys[(position * headSize)...]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                return length - position > window ? 0 : exp(cap > 0 ? cap * tanh(score / cap) : score)
            }
            let total = weights.reduce(0, +)
            return (0..<headSize).map { d in
                (0..<length).reduce(0.0) { $0 + weights[$1] * Double(values[$1 * headSize + d]) } / total
            }
        }
    }
}

@Suite struct AttentionKernelTests {
    /// A cache's elements, and how far the output may be off for queries, keys and values below 1.
    static let tolerances: [(KVCacheDType, Double)] = [(.float32, 5e-6), (.float16, 2e-3), (.int8, 2e-2)]

    /// Head size, query heads of the group, positions, block size.
    @Test(arguments: [
        (8, 1, 1, 1), (16, 3, 40, 7), (64, 3, 130, 16), (80, 9, 65, 64), (128, 4, 33, 48), (16, 2, 1500, 20),
        (64, 3, 1025, 16), (20, 1, 512, 31),
    ])
    func attentionIsSoftmaxOfScoresTimesValues(_ headSize: Int, _ group: Int, _ length: Int, _ blockSize: Int) throws {
        for set in KernelSet.available {
            for (type, tolerance) in Self.tolerances {
                var random = SmallRandom(seed: 3)
                let queries = random.floats(group * headSize)
                var cache = try FilledCache(set, type, headSize: headSize, blockSize: blockSize, positions: length)
                let output = try cache.attend(queries, group: group, length: length)
                let worst = zip(output, cache.expected(queries, group: group, length: length))
                    .map { abs(Double($0) - $1) }.max()!
                #expect(worst < tolerance, "\(set.name), \(type)")
            }
        }
    }

    /// Head size, query heads of the group, positions, block size, window.
    @Test(arguments: [
        (64, 3, 130, 16, 1), (16, 2, 40, 7, 16), (64, 4, 700, 16, 512), (80, 9, 1500, 64, 100), (20, 1, 1200, 31, 700),
        (48, 3, 1025, 24, 513), (64, 2, 30, 16, 64),
    ])
    func aWindowIsThePositionsThatCount(
        _ headSize: Int, _ group: Int, _ length: Int, _ blockSize: Int, _ window: Int
    ) throws {
        for set in KernelSet.available {
            for (type, tolerance) in Self.tolerances {
                var random = SmallRandom(seed: 3)
                let queries = random.floats(group * headSize)
                var cache = try FilledCache(set, type, headSize: headSize, blockSize: blockSize, positions: length)
                // What lies behind the window may belong to others by now.
                cache.forgetBlocks(max(0, length - window) / blockSize)
                let output = try cache.attend(queries, group: group, length: length, window: window, cap: 1.5)
                let expected = cache.expected(queries, group: group, length: length, window: window, cap: 1.5)
                let worst = zip(output, expected).map { abs(Double($0) - $1) }.max()!
                #expect(worst < tolerance, "\(set.name), \(type)")
                let spans = max(0, length - window) / Int(HK_SPAN)..<(length + Int(HK_SPAN) - 1) / Int(HK_SPAN)
                let joined = try cache.attend(
                    queries, group: group, length: length, window: window, cap: 1.5,
                    pieces: spans.reversed().map { $0..<$0 + 1 })
                #expect(joined.map(\.bitPattern) == output.map(\.bitPattern), "\(set.name), \(type)")
            }
        }
    }

    /// Tokens, query heads of the group, first length, window; no further token begins a span or ends one.
    @Test(arguments: [
        (2, 3, 1, Int.max), (4, 3, 15, .max), (4, 3, 16, .max), (4, 1, 30, .max), (3, 5, 31, .max), (4, 2, 100, .max),
        (4, 3, 509, .max), (2, 1, 513, .max), (4, 2, 1021, .max), (4, 2, 100, 40), (4, 3, 14, 15), (4, 2, 1021, 300),
        (3, 1, 700, 33), (4, 2, 20, 1),
    ])
    func neighbouringTokensGetTheBitsThatTheyGetAlone(
        _ tokens: Int, _ group: Int, _ length: Int, _ window: Int
    ) throws {
        let (headSize, width) = (24, 24 * group)
        for set in KernelSet.available {
            for type in KVCacheDType.allCases {
                var random = SmallRandom(seed: 12)
                let queries = random.floats(tokens * width)
                var cache = try FilledCache(
                    set, type, headSize: headSize, blockSize: 16, positions: length + tokens - 1)
                let together = try cache.attend(queries, group: group, length: length, window: window)
                let alone = try (0..<tokens).flatMap { token in
                    try cache.attend(
                        Array(queries[token * width..<(token + 1) * width]), group: group, length: length + token,
                        window: window)
                }
                #expect(together.map(\.bitPattern) == alone.map(\.bitPattern), "\(set.name), \(type)")
            }
        }
    }

    /// Tokens, first length, block size.
    @Test(arguments: [(1, 513, 16), (3, 1200, 20), (4, 2045, 48), (1, 3000, 64)])
    func spansGiveTheSameBitsWhoeverComputesThem(_ tokens: Int, _ length: Int, _ blockSize: Int) throws {
        let (headSize, group) = (40, 3)
        let spans = (length + Int(HK_SPAN) - 1) / Int(HK_SPAN)
        for set in KernelSet.available {
            for type in KVCacheDType.allCases {
                var random = SmallRandom(seed: 4)
                let queries = random.floats(tokens * group * headSize)
                var cache = try FilledCache(
                    set, type, headSize: headSize, blockSize: blockSize, positions: length + tokens - 1)
                let whole = try cache.attend(queries, group: group, length: length).map(\.bitPattern)
                let each = (0..<spans).reversed().map { $0..<$0 + 1 }
                for pieces in [each, [spans / 2..<spans, 0..<spans / 2]] {
                    let joined = try cache.attend(queries, group: group, length: length, pieces: pieces)
                    #expect(joined.map(\.bitPattern) == whole, "\(set.name), \(type)")
                }
            }
        }
    }

    /// What attending to a single position of 16 keys and values, both `stored`, gives.
    private func outputs(
        _ set: KernelSet, _ type: KVCacheDType, _ stored: [Float], _ queries: [Float]
    ) throws -> [Float] {
        var cache = try FilledCache(set, type, headSize: 16, blockSize: 16, keys: stored, values: stored)
        return try cache.attend(queries, group: 1, length: 1, scale: 1)
    }

    /// f16 ends at 65504: larger keys and values are cut there, since an infinite one would make every score NaN.
    @Test(arguments: KernelSet.available.map(\.name))
    func finiteKeysAndValuesStayFiniteInHalfPrecision(name: String) throws {
        let stored: [Float] = [65504, 65519, 65520, 1e30, -65520, -1e30, .greatestFiniteMagnitude, 1]
        let values = stored + [Float](repeating: 0, count: 8)
        let output = try outputs(.choose(named: name), .float16, values, values.map { -$0 / 1e30 })
        #expect(Array(output[..<8]) == [65504, 65504, 65504, 65504, -65504, -65504, 65504, 1])
    }

    /// A scale is a 127th of the greatest magnitude; what cannot be written with one stays visible.
    @Test(arguments: KernelSet.available.map(\.name))
    func int8KeepsAnyRangeAndShowsFaults(name: String) throws {
        let set = try KernelSet.choose(named: name)
        let zeros = [Float](repeating: 0, count: 16)
        for greatest: Float in [0, 0x1p-133, 0.5, 3e4, 3e38] {
            let values = (0..<16).map { greatest * (Float($0 - 8) / 8) }
            let output = try outputs(set, .int8, values, zeros)
            for (value, kept) in zip(values, output) {
                #expect(abs(value - kept) <= max(greatest / 254 * 1.001, 1e-37), "\(greatest)")
            }
        }
        for fault: Float in [.nan, .infinity, -.infinity] {
            #expect(try outputs(set, .int8, [1, fault] + zeros[..<14], zeros).contains { !$0.isFinite })
        }
    }

    @Test(arguments: [1, 15, 16, 77, 576])
    func normAndActivationMatchTheirDefinitions(_ count: Int) {
        var random = SmallRandom(seed: 6)
        let (start, delta, weight) = (random.floats(count), random.floats(count), random.floats(count))
        var residual = start
        var normed = start
        KernelSet.portable.table.add_norm(&residual, delta, weight, 1e-5, count, &normed)
        let sums = zip(start, delta).map { Double($0 + $1) }
        let inverse = 1 / (sums.map { $0 * $0 }.reduce(0, +) / Double(count) + 1e-5).squareRoot()
        for i in 0..<count { #expect(abs(sums[i] * inverse * Double(weight[i]) - Double(normed[i])) < 1e-6) }
        // The mean is far from zero, and the bias is added last.
        let far = sums.map { Float($0) + 3 }
        KernelSet.portable.table.normalise(far, 1, weight, delta, 1e-5, count, &normed)
        let mean = far.reduce(0.0) { $0 + Double($1) } / Double(count)
        let variance = far.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count)
        for i in 0..<count {
            let expected =
                (Double(far[i]) - mean) / (variance + 1e-5).squareRoot() * Double(weight[i]) + Double(delta[i])
            #expect(abs(expected - Double(normed[i])) < 5e-6)
        }
        let gate = start.map { $0 * 90 } + start.map { $0 * 4 } + start.map { $0 / 4 }
        let definitions: [(Int, (Double) -> Double)] = [
            (HK_SILU, { $0 / (1 + exp(-$0)) }),
            (HK_GELU, { 0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }),
            (HK_SQUARED_RELU, { max($0, 0) * max($0, 0) }),
        ]
        for (activation, definition) in definitions {
            let up = weight + delta + weight
            var (product, alone) = (gate, gate)
            KernelSet.portable.table.activate(Int32(activation), gate, up, 0, 1, gate.count, &product, 0)
            KernelSet.portable.table.activate(Int32(activation), gate, nil, 0, 1, gate.count, &alone, 0)
            for i in gate.indices {
                let expected = definition(Double(gate[i]))
                #expect(
                    abs(expected - Double(alone[i])) <= 1e-6 * max(0.25, abs(expected)), "\(activation) of \(gate[i])")
                let multiplied = expected * Double(up[i])
                #expect(abs(multiplied - Double(product[i])) <= 1e-6 * max(0.25, abs(multiplied)))
            }
        }
        var logits = gate
        KernelSet.portable.table.scale_and_cap(&logits, 0, 1, gate.count, 0.25, 30)
        for i in gate.indices {
            #expect(abs(30 * tanh(Double(gate[i]) * 0.25 / 30) - Double(logits[i])) <= 4e-6)
        }
    }

    @Test func pairsAreRotatedWhereTheyLie() {
        var random = SmallRandom(seed: 14)
        let (heads, size, pairs) = (3, 20, 7)
        let start = random.floats(heads * size)
        let angles = random.floats(pairs).map { $0 * 3 }
        let (cosines, sines) = (angles.map { cos($0) }, angles.map { sin($0) })
        for isHalves in [false, true] {
            var (rotated, expected) = (start, start)
            let rotate = isHalves ? KernelSet.portable.table.rotate_halves : KernelSet.portable.table.rotate
            rotate(&rotated, heads, size, cosines, sines, pairs)
            for head in 0..<heads {
                for pair in 0..<pairs {
                    let first = head * size + (isHalves ? pair : 2 * pair)
                    let second = first + (isHalves ? pairs : 1)
                    expected[first] = start[first] * cosines[pair] - start[second] * sines[pair]
                    expected[second] = start[first] * sines[pair] + start[second] * cosines[pair]
                }
            }
            #expect(rotated == expected)
        }
    }
}
