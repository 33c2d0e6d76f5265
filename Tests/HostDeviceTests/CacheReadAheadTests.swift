// Reading cache blocks ahead: which blocks, layer by layer, and without a trace in the results.

import CHostKernels
import ModelFiles
import Platform
import Testing

@testable import HostDevice

@Suite struct CacheReadAheadTests {
    private static let threads = 2
    private static let blockSize = 16

    private static func geometry(layers: Int = 3, blocks: Int) -> KVCacheGeometry {
        KVCacheGeometry(
            layers: layers, heads: 3, headSize: 20, blockCount: blocks, blockSize: blockSize, type: .float16)
    }

    /// Each thread's list for sequences of (first position, tokens), whose row `n` of the page table holds blocks
    /// `n · width`, `n · width + 1` ….
    private func lists(_ sequences: [(start: Int, tokens: Int)], width: Int = 4096) throws -> [[Int32]] {
        let rows = sequences.map(\.tokens).reduce(0, +)
        let plan = try AttentionPlan(
            tokens: rows, neighbours: 4, longest: 1 << 16, threads: Self.threads,
            geometry: DecoderGeometry(
                hidden: 64, feedForward: 64, headSize: 20, queryHeads: 6, keyValueHeads: 3, vocabulary: 8))
        let tokens = sequences.enumerated().flatMap { index, sequence in
            (sequence.start..<sequence.start + sequence.tokens).map {
                StepToken(token: 0, position: Int32($0), tableOffset: Int32(index * width))
            }
        }
        let readAhead = try CacheReadAhead(cache: Self.geometry(blocks: 1), threads: Self.threads)
        let table = (0..<Int32(sequences.count * width)).map { $0 }
        plan.prepare(tokens, rows: rows)
        readAhead.prepare(plan, tokens, pageTable: table)
        let memory = try DeviceBuffer<UInt8>(count: 4096)
        var cache = Self.geometry(layers: 1, blocks: 1).layer(0, in: memory)
        return (0..<Self.threads).map { worker in
            let state = readAhead.places.state(of: worker, in: &cache).pointee
            return (0..<state.count).map { state.blocks![$0] }
        }
    }

    @Test func aThreadReadsTheBlocksBeforeItsTokens() throws {
        // Equal costs: one half each. A position at a block's beginning has nothing before it there.
        #expect(
            try lists([(35, 1), (32, 1), (33, 1), (40, 1)]) == [
                [0, 1, 2, 4096, 4097], [8192, 8193, 8194, 12288, 12289, 12290],
            ])
        // Tokens of one sequence have their beginning in common, for both threads; a new prompt has none.
        #expect(try lists([(64, 128)]) == [[0, 1, 2, 3], [0, 1, 2, 3]])
        #expect(try lists([(0, 128)]) == [[], []])
    }

    @Test func everySequenceIsReadByAThread() throws {
        let sequences = (0..<32).map { (start: $0 * 53 % 700, tokens: 1) }
        let lists = try lists(sequences)
        let expected = sequences.enumerated().flatMap { index, sequence in
            (0..<(sequence.start + 15) / 16).map { Int32(index * 4096 + $0) }
        }
        #expect(Set(lists.joined()) == Set(expected))
        // Only the sequence at the border may be both threads'.
        #expect(lists.joined().count - expected.count <= 700 / 16 + 1)
    }

    @Test func aThreadReadsNoMoreThanCachesHold() throws {
        let blockBytes = Self.geometry(layers: 1, blocks: 1).blockBytes
        for list in try lists([(60_000, 1), (60_000, 1)]) {
            #expect(list.count == CacheReadAhead.threadBytes / blockBytes)
        }
    }

    @Test func anotherLayerBeginsAnew() throws {
        let geometry = Self.geometry(blocks: 4)
        let memory = try DeviceBuffer<UInt8>(count: geometry.totalBytes)
        let caches = try DeviceBuffer<hk_cache>(count: 2)
        for layer in 0..<2 { caches.base[layer] = geometry.layer(layer, in: memory) }
        let readAhead = try CacheReadAhead(cache: geometry, threads: 1)
        for layer in [0, 1, 0] {
            let state = readAhead.places.state(of: 0, in: caches.base + layer)
            #expect(state.pointee.at == 0 && state.pointee.lines == 0)
            (state.pointee.at, state.pointee.lines) = (3, 7)
            #expect(readAhead.places.state(of: 0, in: caches.base + layer).pointee.at == 3)
        }
    }

    @Test(arguments: KernelSet.available.map(\.name))
    func productsReadAllAheadAndComputeTheSame(name: String) throws {
        let set = try KernelSet.choose(named: name)
        let (inputs, outputs, rows) = (256, 128, 9)
        var random = SmallRandom(seed: 2)
        // Q4_0: a scale of 16 bits and 32 nibbles.
        let bytes = (0..<outputs * inputs / 32 * 18).map {
            UInt8(truncatingIfNeeded: $0 % 18 < 2 ? 0x24 : random.next())
        }
        let matrix = try bytes.withUnsafeBytes {
            try PackedMatrix(
                PackedRows(type: .q4_0, bytes: $0, inputs: inputs, outputs: outputs), int8: true,
                pool: ThreadPool(threadCount: 1))
        }
        let buffer = try QuantizedBuffer(rows: rows, width: inputs)
        var quantized = buffer.view(width: inputs, peak: HK_INT8_PEAK)
        set.table.quantize(random.floats(rows * inputs), inputs, rows, inputs, &quantized, 0, 0)

        let geometry = Self.geometry(blocks: 4)
        let memory = try DeviceBuffer<UInt8>(count: geometry.totalBytes)
        var cache = geometry.layer(1, in: memory)
        func product(rows: Int, _ ahead: UnsafeMutablePointer<hk_read_ahead>?) -> [Float] {
            var y = [Float](repeating: 0, count: rows * outputs)
            set.table.matmul_int8(matrix.descriptor, 0, matrix.panels, &quantized, 0, rows, &y, outputs, nil, ahead)
            return y
        }
        ([2, 0] as [Int32]).withUnsafeBufferPointer { blocks in
            withUnsafePointer(to: &cache) { cache in
                var state = hk_read_ahead(
                    cache: cache, blocks: blocks.baseAddress!, count: 2, at: 0, at_values: 0, lines: 0, from: nil)
                #expect(product(rows: 1, &state) == product(rows: 1, nil))
                #expect(state.at == 0 && state.from == nil)
                for _ in 0..<3 { #expect(product(rows: rows, &state) == product(rows: rows, nil)) }
                #expect(state.at == 2 && state.at_values == 0 && state.lines == 0)
                // Last of all block 0's values.
                let values = cache.pointee.values.assumingMemoryBound(to: UInt8.self)
                let line = state.from! - UnsafePointer(values)
                #expect(line >= 3 * 16 * 32 * 2 && line < 3 * 16 * 32 * 2 + 1024)
            }
        }
    }
}
