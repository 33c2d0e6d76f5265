// Contexts of several spans, with every form of the cache: the same bits on any number of threads, in prefill and decode.

import Foundation
import Platform
import TestSupport
import Testing

@testable import HostDevice

@Suite struct LongContextTests {
    static let tokens = someTokens(1100, seed: 3)

    private func load(
        _ type: KVCacheDType?, _ optimizations: Optimizations, threads: Int = 1, blockSize: Int = 16
    ) throws -> LoadedModel {
        try LoadedModel(
            path: Locations.golden("tiny/tiny-q4_1.gguf").path, optimizations, threads: threads,
            blockSize: blockSize, maxSequenceLength: 1200, kvCacheDType: type)
    }

    @Test(arguments: [nil, .float32, .float16, .int8] as [KVCacheDType?], Optimizations.allCases)
    func threadsCompanyAndStepsDoNotMatter(_ type: KVCacheDType?, _ optimizations: Optimizations) throws {
        let expected = try load(type, optimizations).prefill(Self.tokens)
        // One long row alone is divided among the threads.
        for threads in [1, 2, 3] {
            let loaded = try load(type, optimizations, threads: threads, blockSize: 40)
            let table = loaded.table(rows: 2)
            _ = try loaded.prefill(Array(Self.tokens[..<1097]), table: table)
            for position in 1097..<1100 {
                let logits = try loaded.decode(
                    [Self.tokens[position]], [Int32(position)], table: loaded.table(rows: 1))[0]
                if position == 1099 { #expect(logits == expected, "\(threads) threads") }
            }
            // Beside a short one that begins with its own tokens.
            let both = try loaded.decode([Self.tokens[1099], 5], [1099, 0], table: table)
            #expect(both[0] == expected, "\(threads) threads, in company")
        }
        let resumed = try load(type, optimizations, threads: 2)
        _ = try resumed.prefill(Array(Self.tokens[..<700]))
        #expect(try resumed.prefill(Array(Self.tokens[700...]), start: 700) == expected)
    }

    @Test func modesChooseTheCacheUnlessToldOtherwise() throws {
        let bytes = try Dictionary(
            uniqueKeysWithValues: KVCacheDType.allCases.map {
                ($0, try load($0, .performance).model.kvCacheBytes(blockSize: 16))
            })
        #expect(try load(nil, .performance).model.kvCacheBytes(blockSize: 16) == bytes[.float16])
        #expect(try load(nil, .accuracy).model.kvCacheBytes(blockSize: 16) == bytes[.float32])
        #expect(bytes[.float32] == 2 * bytes[.float16]!)
        #expect(bytes[.int8]! < bytes[.float16]! && 2 * bytes[.int8]! > bytes[.float16]!)
    }

    @Test func int8CachesStayNearFloatOnes() throws {
        let exact = try load(.float32, .accuracy).prefill(Self.tokens)
        let rounded = try load(.int8, .accuracy).prefill(Self.tokens)
        let scale = exact.map { abs($0) }.max()!
        #expect(zip(exact, rounded).allSatisfy { abs($0 - $1) < 0.05 * scale })
        #expect(exact != rounded)
    }
}
