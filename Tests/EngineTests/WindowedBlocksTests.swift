// A pool of several groups under random use: what is found holds the tokens, and no block is lost.

import Platform
import TestSupport
import Testing

@testable import Engine

@Suite struct WindowedBlocksTests {
    private struct TestSequence {
        var tokens: [Int32]
        var blocks: [[Int32]]
        var cached: CachedPrefix
    }

    /// A pool, the sequences that own its blocks, and what was written into each block.
    private struct Use {
        let shape: KVCacheShape
        var pool: KVBlockPool
        var random: SplitMix64
        var sequences: [TestSequence] = []
        /// Everything before and in each block of a group, by who wrote it last.
        var written: [[Int32: [Int32]]]
        var shared = 0

        init(seed: UInt64, windows: [Int?]) {
            var random = SplitMix64(seed: seed)
            let counts = windows.map { _ in Int.random(in: 1...24, using: &random) }
            let most = counts.max()!
            shape = KVCacheShape(
                groups: zip(windows, counts).map { KVCacheGroup(window: $0, blockCount: $0 == nil ? most : $1) },
                blockSize: Int.random(in: 1...4, using: &random))
            let reserve = Int.random(in: 0...8, using: &random)
            pool = KVBlockPool(shape, cachedReserve: { _ in reserve })
            written = windows.map { _ in [:] }
            self.random = random
        }

        mutating func begin() {
            let size = shape.blockSize
            // Two kinds of token: most sequences begin like another one.
            let tokens = (0..<Int.random(in: 1...20, using: &random)).map { _ in Int32.random(in: 0..<2, using: &random)
            }
            var (blocks, cached) = pool.findPrefix(of: tokens, atMost: (tokens.count - 1) / size)
            var computed = cached.blockCount * size
            for group in shape.groups.indices {
                #expect(blocks[group].count == cached.blockCount)
                let first = shape.firstBlock(of: group, at: computed)
                for (place, block) in blocks[group].enumerated() {
                    #expect((block == KVCacheShape.noBlock) == (place < first))
                    if block >= 0 { #expect(written[group][block] == Array(tokens[..<((place + 1) * size)])) }
                }
            }
            if let begun = pool.findPartialHit(of: tokens, after: cached, atMost: tokens.count - 1 - computed) {
                computed += begun.count
                for (group, block) in begun.blocks.enumerated() {
                    #expect(begun.count > 0 && written[group][block]?.starts(with: tokens[..<computed]) == true)
                }
            }
            pool.dropBlocks(behind: computed, of: &blocks)
            let needed = pool.blocksNeeded(forTokens: tokens.count) - cached.blockCount
            guard let all = pool.allocate(needed, sharing: blocks) else { return }
            shared += cached.blockCount
            for (group, list) in all.enumerated() {
                for (place, block) in list.enumerated().dropFirst(cached.blockCount) {
                    #expect(!sequences.contains { $0.blocks[group].contains(block) })
                    written[group][block] = Array(tokens.prefix((place + 1) * size))
                }
            }
            pool.cache(tokens, in: all, cached: &cached)
            sequences.append(TestSequence(tokens: tokens, blocks: all, cached: cached))
            grow(sequences.count - 1, by: Int32.random(in: 0..<2, using: &random))
        }

        /// Appends a token, whose place in a block is not needed yet.
        mutating func grow(_ index: Int, by token: Int32) {
            let size = shape.blockSize
            let place = sequences[index].tokens.count / size
            if place == sequences[index].blocks[0].count {
                guard let new = pool.allocate(1) else { return end(index) }
                for group in new.indices { sequences[index].blocks[group] += new[group] }
            }
            sequences[index].tokens.append(token)
            for group in shape.groups.indices {
                written[group][sequences[index].blocks[group][place]] = sequences[index].tokens
            }
            pool.cache(sequences[index].tokens, in: sequences[index].blocks, cached: &sequences[index].cached)
            pool.freeBlocks(behind: sequences[index].tokens.count, of: &sequences[index].blocks)
        }

        mutating func end(_ index: Int) {
            let sequence = sequences.remove(at: index)
            guard Int.random(in: 0..<5, using: &random) == 0 else { return pool.free(sequence.blocks) }
            pool.uncache(sequence.blocks, of: sequence.tokens)
            pool.free(sequence.blocks)
        }

        func check(_ comment: Comment) {
            for group in pool.groups {
                let used = sequences.flatMap { $0.blocks[group.group] }.filter { $0 != KVCacheShape.noBlock }
                let free = group.freeBlocks
                #expect(Set(free).count == free.count && Set(free).isDisjoint(with: used), comment)
                #expect(free.count == group.freeCount && free.count + Set(used).count == group.blocks.count, comment)
            }
        }
    }

    @Test(arguments: 0..<60 as Range<UInt64>, [[6], [nil, 1], [nil, 7], [9, 3], [nil, 11, 2]])
    func foundBlocksHoldTheTokensAndNoBlockIsLost(seed: UInt64, windows: [Int?]) {
        var use = Use(seed: seed, windows: windows)
        for _ in 0..<300 {
            switch use.sequences.isEmpty ? 0 : Int.random(in: 0..<6, using: &use.random) {
            case 0, 1: use.begin()
            case 2: use.end(Int.random(in: 0..<use.sequences.count, using: &use.random))
            default:
                let index = Int.random(in: 0..<use.sequences.count, using: &use.random)
                use.grow(index, by: Int32.random(in: 0..<2, using: &use.random))
            }
            use.check("seed \(seed)")
        }
        while !use.sequences.isEmpty { use.end(0) }
        #expect(use.pool.usedCount == 0 && use.pool.freeCount == use.pool.totalCount)
    }

    @Test func aGroupThatIsTooSmallAllocatesNothing() {
        let shape = KVCacheShape(
            groups: [KVCacheGroup(blockCount: 8), KVCacheGroup(window: 4, blockCount: 2)], blockSize: 4)
        var pool = KVBlockPool(shape)
        #expect(pool.allocate(3) == nil && pool.usedCount == 0)
        #expect(pool.allocate(2) == [[0, 1], [0, 1]])
        #expect(pool.allocate(1) == nil && pool.usedCount == 4)
    }
}
