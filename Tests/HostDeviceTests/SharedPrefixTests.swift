// Sequences that share the blocks of their common beginning get the same logits, to the bit, as each gets alone.

import Platform
import Testing

@testable import HostDevice

@Suite struct SharedPrefixTests {
    private static let beginning = someTokens(96, seed: 11)
    private static let tails = [someTokens(40, seed: 12), someTokens(23, seed: 13)]
    private static let steps = 20

    /// Logits after the prompt and after each of some decoded tokens, alone in a model of its own.
    private static func alone(_ mode: ModelMode, _ tail: [Int32]) throws -> [[Float]] {
        let loaded = try LoadedModel(tiny: mode.name, mode.optimizations)
        let table = loaded.table(rows: 1)
        let tokens = beginning + tail
        let prompt = tokens.count - steps
        var logits = [try loaded.prefill(Array(tokens[..<prompt]), table: table)]
        for position in prompt..<tokens.count {
            logits.append(try #require(try loaded.decode([tokens[position]], [Int32(position)], table: table)[0]))
        }
        return logits
    }

    @Test(arguments: ModelMode.all, [(1, 16), (2, 16), (2, 5), (1, 32)])
    func aSharedBeginningChangesNoBit(mode: ModelMode, setting: (threads: Int, blockSize: Int)) throws {
        let expected = try Self.tails.map { try Self.alone(mode, $0) }
        let loaded = try LoadedModel(
            tiny: mode.name, mode.optimizations, threads: setting.threads, blockSize: setting.blockSize)
        let sharedBlocks = Self.beginning.count / setting.blockSize
        let shared = sharedBlocks * setting.blockSize
        // Row 0 computes the beginning, row 1 takes its blocks and goes on in blocks of its own.
        var table = loaded.table(rows: 2)
        table.setRow(1, to: Array(table[0].prefix(sharedBlocks)) + Array(table[1].dropFirst(sharedBlocks)))
        let tokens = Self.tails.map { Self.beginning + $0 }
        let prompts = tokens.map { Array($0.dropLast(Self.steps)) }
        var first = PageTable(rows: 1, width: table.width)
        first.setRow(0, to: table[0])
        var second = PageTable(rows: 1, width: table.width)
        second.setRow(0, to: table[1])
        #expect(try loaded.prefill(prompts[0], table: first) == expected[0][0])
        #expect(try loaded.prefill(Array(prompts[1][shared...]), start: shared, table: second) == expected[1][0])
        // Both go on together, each reading the shared blocks.
        for step in 0..<Self.steps {
            let positions = prompts.map { $0.count + step }
            let logits = try loaded.decode(
                zip(tokens, positions).map { $0[$1] }, positions.map(Int32.init), table: table)
            #expect(logits[0] == expected[0][step + 1])
            #expect(logits[1] == expected[1][step + 1])
        }
    }

    @Test(arguments: ModelMode.all, KVCacheDType.allCases)
    func aCopiedBeginningChangesNoBit(mode: ModelMode, type: KVCacheDType) throws {
        let prompts = Self.tails.map { Array(Self.beginning[..<26] + $0) }
        let blockSize = 16
        func model() throws -> LoadedModel {
            try LoadedModel(tiny: mode.name, mode.optimizations, blockSize: blockSize, kvCacheDType: type)
        }
        let alone = try model()
        let expected = try alone.prefill(prompts[1], table: alone.table(rows: 1))
        let loaded = try model()
        let table = loaded.table(rows: 2)
        var (first, second) = (PageTable(rows: 1, width: table.width), PageTable(rows: 1, width: table.width))
        first.setRow(0, to: table[0])
        // The first block is shared; of the second one 10 tokens are in common.
        second.setRow(0, to: Array(table[0].prefix(1)) + Array(table[1].dropFirst(1)))
        _ = try loaded.prefill(prompts[0], table: first)
        let copy = BlockCopy(source: first.blocks[1], target: second.blocks[1])
        #expect(try loaded.prefill(Array(prompts[1][26...]), start: 26, copies: [copy], table: second) == expected)
        let beyond = BlockCopy(source: Int32.max, target: second.blocks[1])
        #expect(throws: DeviceFault.self) { try loaded.prefill([1], copies: [beyond], table: second) }
    }
}
