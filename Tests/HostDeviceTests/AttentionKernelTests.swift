// The attention and row kernels against references in double precision.

import CHostKernels
import Foundation
import Testing

@testable import HostDevice

@Suite struct AttentionKernelTests {
    /// Head size, query heads of the group, positions, block size.
    @Test(arguments: [(8, 1, 1, 1), (16, 3, 40, 7), (64, 3, 130, 16), (80, 9, 65, 64), (128, 4, 33, 48)])
    func attentionIsSoftmaxOfScoresTimesValues(_ headSize: Int, _ group: Int, _ length: Int, _ blockSize: Int) throws {
        for set in KernelSet.available {
            for half in [false, true] {
                let worst = try worstError(set, headSize, group, length, blockSize, half: half)
                #expect(worst < (half ? 2e-3 : 3e-6), "\(set.name), half \(half)")
            }
        }
    }

    private func worstError(
        _ set: KernelSet, _ headSize: Int, _ group: Int, _ length: Int, _ blockSize: Int, half: Bool
    ) throws -> Double {
        let count = (length + blockSize - 1) / blockSize
        let geometry = KVCacheGeometry(
            layers: 1, heads: 1, headSize: headSize, blockCount: count, blockSize: blockSize, half: half)
        let memory = try DeviceBuffer<UInt8>(count: geometry.totalBytes)
        var cache = geometry.layer(0, in: memory)
        var random = SmallRandom(seed: 8)
        let blocks = (0..<count).map { Int32(count - 1 - $0) }
        let (keys, values) = (random.floats(length * headSize), random.floats(length * headSize))
        for position in 0..<length {
            let row = position * headSize..<(position + 1) * headSize
            set.table.store(
                &cache, Int(blocks[position / blockSize]), position % blockSize, Array(keys[row]), Array(values[row]))
        }
        let queries = random.floats(group * headSize)
        let output = try DeviceBuffer<Float>(count: group * headSize)
        let stride = (length + 15) / 16 * 16 + (blockSize + 15) / 16 * 16 + 16
        let scores = try DeviceBuffer<Float>(count: group * stride)
        queries.withUnsafeBufferPointer { queries in
            blocks.withUnsafeBufferPointer { blocks in
                var work = hk_attention(
                    tokens: 1, group: group, length: length, blocks: blocks.baseAddress!,
                    queries: queries.baseAddress!, query_stride: 0, output: output.base, output_stride: 0,
                    scores: scores.base, score_stride: stride, scale: 2, next_head: 0, next_length: 0,
                    next_blocks: blocks.baseAddress!)
                set.table.attend(&cache, 0, &work)
            }
        }
        var worst = 0.0
        for head in 0..<group {
            let query = queries[head * headSize..<(head + 1) * headSize]
            let weights = (0..<length).map { position in
                exp(2 * zip(query, keys[(position * headSize)...]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) })
            }
            let total = weights.reduce(0, +)
            for d in 0..<headSize {
                let expected = (0..<length).reduce(0.0) { $0 + weights[$1] * Double(values[$1 * headSize + d]) } / total
                worst = max(worst, abs(expected - Double(output.base[head * headSize + d])))
            }
        }
        return worst
    }

    /// Tokens, query heads of the group, first length.
    @Test(arguments: [(2, 3, 1), (4, 3, 15), (4, 3, 16), (4, 1, 30), (3, 5, 31), (4, 2, 100)])
    func neighbouringTokensGetTheBitsThatTheyGetAlone(_ tokens: Int, _ group: Int, _ length: Int) throws {
        let (headSize, width) = (24, 24 * group)
        for set in KernelSet.available {
            for half in [false, true] {
                let geometry = KVCacheGeometry(
                    layers: 1, heads: 1, headSize: headSize, blockCount: 8, blockSize: 16, half: half)
                let memory = try DeviceBuffer<UInt8>(count: geometry.totalBytes)
                var cache = geometry.layer(0, in: memory)
                var random = SmallRandom(seed: 12)
                let blocks: [Int32] = [3, 1, 7, 0, 5, 2, 6, 4]
                for position in 0..<length + tokens - 1 {
                    let (keys, values) = (random.floats(headSize), random.floats(headSize))
                    set.table.store(&cache, Int(blocks[position / 16]), position % 16, keys, values)
                }
                let queries = random.floats(tokens * width)
                let together = try attend(set, &cache, blocks, queries, tokens: tokens, group: group, length: length)
                let alone = try (0..<tokens).flatMap { token in
                    try attend(
                        set, &cache, blocks, Array(queries[token * width..<(token + 1) * width]), tokens: 1,
                        group: group, length: length + token)
                }
                #expect(together == alone, "\(set.name), half \(half)")
            }
        }
    }

    private func attend(
        _ set: KernelSet, _ cache: inout hk_cache, _ blocks: [Int32], _ queries: [Float], tokens: Int, group: Int,
        length: Int
    ) throws -> [UInt32] {
        let output = try DeviceBuffer<Float>(count: queries.count)
        let scores = try DeviceBuffer<Float>(count: tokens * group * 160)
        queries.withUnsafeBufferPointer { queries in
            blocks.withUnsafeBufferPointer { blocks in
                var work = hk_attention(
                    tokens: tokens, group: group, length: length, blocks: blocks.baseAddress!,
                    queries: queries.baseAddress!, query_stride: queries.count / tokens, output: output.base,
                    output_stride: queries.count / tokens, scores: scores.base, score_stride: 160, scale: 0.7,
                    next_head: 0, next_length: length, next_blocks: blocks.baseAddress!)
                set.table.attend(&cache, 0, &work)
            }
        }
        return (0..<queries.count).map { output.base[$0].bitPattern }
    }

    /// f16 ends at 65504: larger keys and values are cut there, since an infinite one would make every score NaN.
    @Test(arguments: KernelSet.available.map(\.name))
    func finiteKeysAndValuesStayFiniteInHalfPrecision(name: String) throws {
        let set = try KernelSet.choose(named: name)
        let geometry = KVCacheGeometry(layers: 1, heads: 1, headSize: 16, blockCount: 1, blockSize: 16, half: true)
        let memory = try DeviceBuffer<UInt8>(count: geometry.totalBytes)
        var cache = geometry.layer(0, in: memory)
        let stored: [Float] = [65504, 65519, 65520, 1e30, -65520, -1e30, .greatestFiniteMagnitude, 1]
        let values = stored + [Float](repeating: 0, count: 8)
        set.table.store(&cache, 0, 0, values, values)
        var output = [Float](repeating: 0, count: 16)
        var scores = [Float](repeating: 0, count: 64)
        let blocks: [Int32] = [0]
        output.withUnsafeMutableBufferPointer { output in
            scores.withUnsafeMutableBufferPointer { scores in
                values.map { -$0 / 1e30 }.withUnsafeBufferPointer { queries in
                    blocks.withUnsafeBufferPointer { blocks in
                        var work = hk_attention(
                            tokens: 1, group: 1, length: 1, blocks: blocks.baseAddress!,
                            queries: queries.baseAddress!, query_stride: 0, output: output.baseAddress!,
                            output_stride: 0, scores: scores.baseAddress!, score_stride: 64,
                            scale: 1, next_head: 0, next_length: 0, next_blocks: blocks.baseAddress!)
                        set.table.attend(&cache, 0, &work)
                    }
                }
            }
        }
        #expect(Array(output[..<8]) == [65504, 65504, 65504, 65504, -65504, -65504, 65504, 1])
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
        let gate = start.map { $0 * 90 }
        var activated = gate
        KernelSet.portable.table.silu_multiply(gate, weight, 0, 1, count, &activated, 0)
        for i in 0..<count {
            let expected = Double(gate[i]) / (1 + exp(-Double(gate[i]))) * Double(weight[i])
            #expect(abs(expected - Double(activated[i])) <= 1e-6 * max(1, abs(expected)))
        }
    }
}
