// A cache with a pool for the layers that have a window: other sequences get the blocks behind it, and no bit changes.

import ModelFiles
import Platform
import RandomModels
import Testing

@testable import HostDevice

/// Sequences in a cache of several groups. Each gives up the blocks that its next token does not attend to, and the next
/// block that any of them needs is the one that was given up last.
private struct Rows {
    let shape: KVCacheShape
    private var free: [[Int32]]
    private(set) var blocks: [[[Int32]]]

    init(_ count: Int, _ shape: KVCacheShape) {
        self.shape = shape
        free = shape.groups.indices.map { shape.blocks(of: $0).reversed() }
        blocks = Array(repeating: shape.groups.map { _ in [] }, count: count)
    }

    /// Makes room for the row's tokens up to `position`, of which the one at `first` is the next.
    mutating func grow(_ row: Int, from first: Int, to position: Int) throws {
        for group in shape.groups.indices {
            let dropped = shape.firstBlock(of: group, at: first)
            for place in 0..<min(dropped, blocks[row][group].count) where blocks[row][group][place] >= 0 {
                free[group].append(blocks[row][group][place])
                blocks[row][group][place] = KVCacheShape.noBlock
            }
            while blocks[row][group].count <= position / shape.blockSize {
                let block = free[group].popLast()
                blocks[row][group].append(try #require(block, "group \(group) is too small"))
            }
        }
    }

    func table(_ rows: Range<Int>, width: Int) -> PageTable {
        var table = PageTable(rows: rows.count, width: width, groups: shape.groups.count)
        for (index, row) in rows.enumerated() {
            for (group, blocks) in blocks[row].enumerated() { table.setRow(index, group: group, to: blocks) }
        }
        return table
    }
}

@Suite struct WindowedCacheTests {
    /// Models whose layers have a window of 16 tokens, and whether others have none.
    static let models = [("gemma3", true), ("cohere2", true), ("olmo3", true), ("mistral_swa", false)]

    @Test(arguments: models, [5, 16])
    func blocksBehindTheWindowAreOthers(model: (name: String, hasOthers: Bool), blockSize: Int) throws {
        let random = try RandomModel(model.name)
        let path = random.gguf ?? random.folder
        for optimizations in Optimizations.allCases {
            let whole = try LoadedModel(
                path: path, optimizations, blockSize: blockSize, maxSequenceLength: random.maxModelLength)
            let windows = whole.model.capabilities.kvCacheWindows
            #expect(windows == (model.hasOthers ? [nil, 16] : [16]))
            let longest = random.answers.map(\.prompt.count).max()!
            // Of the group with a window: the blocks of a prompt, and the windows of three rows.
            let few = (longest + blockSize - 1) / blockSize + 3 * ((16 + blockSize - 1) / blockSize + 1)
            let shape = KVCacheShape(
                groups: windows.map { KVCacheGroup(window: $0, blockCount: $0 == nil ? 200 : few) },
                blockSize: blockSize)
            let windowed = try LoadedModel(
                path: path, optimizations, threads: 2, cache: shape, maxSequenceLength: random.maxModelLength)
            let expected = try Self.logits(
                of: whole, KVCacheShape(blockCount: 256, blockSize: blockSize), random.answers)
            #expect(try Self.logits(of: windowed, shape, random.answers) == expected)
        }
    }

    /// Logits after each prompt, one after the other, and after each of the given tokens together.
    private static func logits(
        of loaded: LoadedModel, _ shape: KVCacheShape, _ answers: [LogitsAnswer]
    ) throws -> [[[Float]]] {
        var rows = Rows(answers.count, shape)
        let width = 256 / shape.blockSize + 1
        var logits: [[[Float]]] = []
        for (row, answer) in answers.enumerated() {
            try rows.grow(row, from: 0, to: answer.prompt.count - 1)
            let table = rows.table(row..<row + 1, width: width)
            logits.append([try loaded.prefill(answer.prompt.map { Int32($0) }, table: table)])
            try rows.grow(row, from: answer.prompt.count, to: answer.prompt.count - 1)
        }
        for step in 0..<60 {
            let positions = answers.map { $0.prompt.count + step }
            for (row, position) in positions.enumerated() { try rows.grow(row, from: position, to: position) }
            let results = try loaded.decode(
                answers.map { Int32($0.given[step]) }, positions.map(Int32.init),
                table: rows.table(answers.indices, width: width))
            for (row, result) in results.enumerated() { logits[row].append(try #require(result)) }
        }
        return logits
    }

    /// A prefill can begin after shared and copied blocks of each group.
    @Test(arguments: models)
    func aSharedBeginningNeedsOnlyItsWindow(model: (name: String, hasOthers: Bool)) throws {
        let random = try RandomModel(model.name)
        let path = random.gguf ?? random.folder
        let tokens = (random.answers[0].prompt + random.answers[0].given).prefix(60).map { Int32($0) }
        let windows: [Int?] = model.hasOthers ? [nil, 16] : [16]
        let shape = KVCacheShape(groups: windows.map { KVCacheGroup(window: $0, blockCount: 40) }, blockSize: 8)
        let loaded = try LoadedModel(path: path, cache: shape, maxSequenceLength: random.maxModelLength)
        let expected = try LoadedModel(path: path, maxSequenceLength: random.maxModelLength).prefill(tokens)
        var (first, second) = (
            PageTable(rows: 1, width: 8, groups: windows.count), PageTable(rows: 1, width: 8, groups: windows.count)
        )
        for group in windows.indices {
            let offset = Int32(group * 5)
            first.setRow(0, group: group, to: offset..<offset + 8)
            second.setRow(0, group: group, to: Array(offset..<offset + 5) + (offset + 20..<offset + 23))
        }
        _ = try loaded.prefill(Array(tokens[..<45]), table: first)
        // Token 43 attends to 28…43. What is before block 3 is another's.
        let windowed = windows.count - 1
        for place in 0..<3 { second.clear(0, group: windowed, column: place) }
        let others = PageTable(rows: 1, width: 8, groups: windows.count)
        var other = others
        other.setRow(0, to: 30..<38)
        other.setRow(0, group: windowed, to: Array(first[0, group: windowed].prefix(3)))
        _ = try loaded.prefill(someTokens(24, seed: 3), table: other)
        let copies = windows.indices.map { group in
            BlockCopy(source: Int32(group * 5 + 5), target: Int32(group * 5 + 20), group: group)
        }
        #expect(try loaded.prefill(Array(tokens[43...]), start: 43, copies: copies, table: second) == expected)
    }

    @Test func aWindowThatNoSequenceExceedsIsNone() throws {
        let random = try RandomModel("gemma3")
        let path = random.gguf ?? random.folder
        #expect(try LoadedModel(path: path, maxSequenceLength: 16).model.capabilities.kvCacheWindows == [nil])
        #expect(try LoadedModel(path: path, maxSequenceLength: 17).model.capabilities.kvCacheWindows == [nil, 16])
        let model = try LoadedModel(path: path).model
        let bytes = (0..<2).map { model.kvCacheBytes(blockSize: 16, group: $0) }
        // Of 8 layers, every sixth keeps all tokens.
        #expect(bytes[1] == 7 * bytes[0] && model.kvCacheBytes(blockSize: 16) == bytes[0] * 8)
        #expect(try LoadedModel(tiny: "tiny-f32").model.capabilities.kvCacheWindows == [nil])
    }

    @Test func groupsThatKeepTooFewTokensAreRefused() throws {
        let random = try RandomModel("gemma3")
        let path = random.gguf ?? random.folder
        for windows in [[16], [nil, 15], [nil, 16, 8]] as [[Int?]] {
            let shape = KVCacheShape(groups: windows.map { KVCacheGroup(window: $0, blockCount: 4) }, blockSize: 16)
            // With [nil, 15] the windowed layers keep all tokens, in the first group.
            if windows == [16] {
                #expect(throws: DeviceFault.self) { try LoadedModel(path: path, cache: shape) }
            } else {
                _ = try LoadedModel(path: path, cache: shape)
            }
        }
    }

    @Test func tablesOfOtherGroupsAreRefused() throws {
        let random = try RandomModel("gemma3")
        let shape = KVCacheShape(
            groups: [KVCacheGroup(blockCount: 8), KVCacheGroup(window: 16, blockCount: 4)], blockSize: 16)
        let loaded = try LoadedModel(path: random.gguf ?? random.folder, cache: shape)
        #expect(throws: DeviceFault.self) { try loaded.prefill([1, 2], table: PageTable(rows: 1, width: 16)) }
        var table = PageTable(rows: 1, width: 16, groups: 2)
        _ = try loaded.prefill([1, 2], table: table)
        table.setRow(0, group: 1, to: [4])
        #expect(throws: DeviceFault.self) { try loaded.prefill([1, 2], table: table) }
        #expect(throws: DeviceFault.self) { try loaded.decode([1], [2], table: table) }
        table.setRow(0, group: 1, to: [0])
        let beyond = BlockCopy(source: 4, target: 0, group: 1)
        #expect(throws: DeviceFault.self) { try loaded.prefill([1], copies: [beyond], table: table) }
        let unknown = BlockCopy(source: 0, target: 1, group: 2)
        #expect(throws: DeviceFault.self) { try loaded.prefill([1], copies: [unknown], table: table) }
    }
}
