// The host device's promise: a row's logits are bitwise the same in any company, place, block layout and thread count.

import ModelFiles
import Platform
import Testing

@testable import HostDevice

/// A model in one of its modes.
struct ModelMode: CustomStringConvertible, Sendable {
    let name: String
    let optimizations: Optimizations
    var description: String { "\(name), \(optimizations)" }

    static let all = ["tiny-f32", "tiny-q4_1", "tiny-mixed"].flatMap { name in
        Optimizations.allCases.map { ModelMode(name: name, optimizations: $0) }
    }
}

@Suite struct RowIndependenceTests {
    static let tokens = someTokens(150, seed: 1)

    /// Logits after each of the last ten tokens, each prefix prefilled alone.
    static func reference(_ mode: ModelMode) throws -> [[Float]] {
        let loaded = try LoadedModel(tiny: mode.name, mode.optimizations)
        return try (141...150).map { try loaded.prefill(Array(tokens[..<$0])) }
    }

    @Test(arguments: ModelMode.all)
    func decodeEqualsPrefill(mode: ModelMode) throws {
        let expected = try Self.reference(mode)
        let loaded = try LoadedModel(tiny: mode.name, mode.optimizations)
        let table = loaded.table(rows: 1)
        _ = try loaded.prefill(Array(Self.tokens[..<5]), table: table)
        for position in 5..<150 {
            let logits = try loaded.decode([Self.tokens[position]], [Int32(position)], table: table)[0]
            if position >= 140 { #expect(logits == expected[position - 140]) }
        }
    }

    @Test(arguments: ModelMode.all, [(1, 3), (2, 5), (3, 16), (2, 40)])
    func companyThreadsAndBlocksDoNotMatter(mode: ModelMode, setting: (threads: Int, blockSize: Int)) throws {
        let expected = try Self.reference(mode)
        let loaded = try LoadedModel(
            tiny: mode.name, mode.optimizations, threads: setting.threads,
            blockSize: setting.blockSize)
        // Row 1 lies across a tile's end, after a row of 120 tokens; its blocks are scattered over the pool.
        let table = loaded.table(rows: 2) { ($0 * 37 + 11) % 251 }
        let output = try loaded.model.prefillForward(
            PrefillBatch(
                tokens: [someTokens(120, seed: 2), Array(Self.tokens[..<141])], startPositions: [0, 0],
                pageTable: table, slots: [3, 1], sampling: [.onHost, .onHost]))
        #expect(output.rows[1].logits == expected[0])
        // Then it decodes in slot 3 of 5, between padding rows and another sequence.
        var decodeTable = PageTable(rows: 5, width: table.width)
        decodeTable.setRow(0, to: table[0])
        decodeTable.setRow(3, to: table[1])
        for position in 141..<150 {
            let mate = Int32(position - 21)
            let logits = try loaded.decode(
                [7, 0, 0, Self.tokens[position], 0], [mate, -1, -1, Int32(position), -1], table: decodeTable)
            #expect(logits[3] == expected[position - 140])
            #expect(logits[1] == nil)
        }
    }

    /// Outputs are computed eight rows at a time, the model's batch size, wherever in a tile their rows end.
    @Test(arguments: ModelMode.all, [1, 6, 31])
    func manyRowsMayEndInATile(mode: ModelMode, length: Int) throws {
        let loaded = try LoadedModel(tiny: mode.name, mode.optimizations, threads: 2)
        let prompts = (0..<15).map { someTokens(length + $0 % 3, seed: UInt64($0)) }
        let output = try loaded.model.prefillForward(
            PrefillBatch(
                tokens: prompts, startPositions: Array(repeating: 0, count: prompts.count),
                pageTable: loaded.table(rows: prompts.count), slots: Array(0..<prompts.count),
                sampling: Array(repeating: .onHost, count: prompts.count)))
        let alone = try LoadedModel(tiny: mode.name, mode.optimizations)
        for (row, prompt) in prompts.enumerated() {
            #expect(try output.rows[row].logits == alone.prefill(prompt), "row \(row)")
        }
    }

    @Test(arguments: ModelMode.all, [1, 16, 77, 149])
    func computedPrefixMayBeSkipped(mode: ModelMode, prefix: Int) throws {
        let expected = try Self.reference(mode)
        let loaded = try LoadedModel(tiny: mode.name, mode.optimizations)
        _ = try loaded.prefill(Array(Self.tokens[..<prefix]))
        #expect(try loaded.prefill(Array(Self.tokens[prefix...]), start: prefix) == expected[9])
    }

    @Test(arguments: ModelMode.all)
    func recomputeAfterPreemptionChangesNothing(mode: ModelMode) throws {
        let loaded = try LoadedModel(tiny: mode.name, mode.optimizations, threads: 2)
        let prompt = Array(Self.tokens[..<30])
        let all = try loaded.generate(prompt, count: 20)
        for kept in [1, 7, 19] {
            let resumed = try loaded.generate(prompt + all[..<kept], count: 20 - kept)
            #expect(Array(all[..<kept]) + resumed == all)
        }
    }

    @Test(arguments: ModelMode.all, KernelSet.available.map(\.name))
    func instructionSetsGiveTheSameLogits(mode: ModelMode, set: String) throws {
        let expected = try LoadedModel(tiny: mode.name, mode.optimizations, kernels: .portable)
            .prefill(Array(Self.tokens[..<70]))
        let logits = try LoadedModel(tiny: mode.name, mode.optimizations, kernels: .choose(named: set))
            .prefill(Array(Self.tokens[..<70]))
        #expect(logits == expected)
    }
}
