// Blocks whose content is cached: found again, shared, kept while they are free, and never mistaken.

import Platform
import TestSupport
import Testing

@testable import Engine

@Suite struct CachedBlocksTests {
    /// A sequence that owns blocks.
    private struct TestSequence {
        let tokens: [Int32]
        var blocks: [Int32]
        var cached = CachedPrefix()
    }

    /// Gives the pool a sequence whose keys and values are all written.
    private func add(_ tokens: [Int32], to pool: inout OneGroupPool) -> TestSequence {
        let (shared, cached) = pool.findPrefix(of: tokens, atMost: .max)
        let new = pool.blocksNeeded(forTokens: tokens.count) - shared.count
        var sequence = TestSequence(tokens: tokens, blocks: pool.allocate(new, sharing: shared)!, cached: cached)
        pool.cache(tokens, in: sequence.blocks, cached: &sequence.cached)
        return sequence
    }

    @Test func onlyFullBlocksAreKnownAndOnlyBehindTheSameTokens() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 8, blockSize: 2))
        let sequence = add([1, 2, 3, 4, 5], to: &pool)
        #expect(pool.findPrefix(of: [1, 2, 3, 4, 5, 6], atMost: 9).blocks == Array(sequence.blocks[..<2]))
        #expect(pool.findPrefix(of: [1, 2, 3, 4, 5, 6], atMost: 1).blocks == Array(sequence.blocks[..<1]))
        #expect(pool.findPrefix(of: [1, 2, 3], atMost: 9).blocks == Array(sequence.blocks[..<1]))
        #expect(pool.findPrefix(of: [1], atMost: 9).blocks == [])
        // The block of 3 and 4 is another one behind other tokens, or at the beginning.
        #expect(pool.findPrefix(of: [3, 4], atMost: 9).blocks == [])
        #expect(pool.findPrefix(of: [9, 2, 3, 4], atMost: 9).blocks == [])
    }

    @Test func theBlockWithTheLongestBeginningIsFound() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 16, blockSize: 4))
        let sequences = [[1, 2, 3, 4], [1, 2, 5, 6], [1, 2, 5, 7, 8], [1, 2, 3, 4, 1, 2, 5, 8]].map {
            add($0, to: &pool)
        }
        func find(_ tokens: [Int32], _ limit: Int = 9, after cached: CachedPrefix = CachedPrefix()) -> [Int32]? {
            pool.findPartialHit(of: tokens, after: cached, atMost: limit).map { [$0.block, Int32($0.count)] }
        }
        #expect(find([1, 2, 3, 9]) == [sequences[0].blocks[0], 3])
        // The latest of those that are as good.
        #expect(find([1, 2, 5, 9, 9]) == [sequences[2].blocks[0], 3])
        #expect(find([1, 2, 5, 6], 2) == [sequences[2].blocks[0], 2])
        #expect(find([1, 2, 5, 6]) == [sequences[1].blocks[0], 4])
        #expect(find([2, 2, 3, 4]) == nil && find([1], 0) == nil)
        // Behind the same tokens only.
        #expect(find([1, 2, 3, 4, 1, 2, 9, 9], after: sequences[0].cached) == [sequences[3].blocks[1], 2])
        #expect(find([1, 2, 5, 6, 1, 2, 9, 9], after: sequences[1].cached) == nil)
        // What is forgotten is not found.
        for sequence in sequences { pool.free(sequence.blocks) }
        let all = pool.allocate(16)
        #expect(all?.count == 16)
        #expect(find([1, 2, 5, 6]) == nil)
    }

    @Test func aFreeBlockIsFoundUntilItIsGivenOutAgain() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 2, blockSize: 2))
        let sequence = add([1, 2], to: &pool)
        pool.free(sequence.blocks)
        #expect(pool.freeCount == 2)
        #expect(pool.findPrefix(of: [1, 2], atMost: 1).blocks == sequence.blocks)
        // The block that is not cached goes first.
        let other = pool.allocate(1)!
        #expect(other != sequence.blocks)
        #expect(pool.findPrefix(of: [1, 2], atMost: 1).blocks == sequence.blocks)
        #expect(pool.allocate(1) == sequence.blocks)
        #expect(pool.findPrefix(of: [1, 2], atMost: 1).blocks == [])
    }

    @Test func cachedBlocksAreWrittenAgainBeforeNewOnesDownToTheReserve() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 8, blockSize: 1), cachedReserve: 2)
        let first = add([1, 2], to: &pool)
        let second = add([3, 4], to: &pool)
        pool.free(first.blocks)
        pool.free(second.blocks)
        #expect(pool.freeCount == 8)
        // As long as no blocks are allocated, all stay cached.
        #expect(pool.findPrefix(of: [1, 2], atMost: 2).blocks == first.blocks)
        #expect(pool.allocate(2) == first.blocks.reversed())
        #expect(pool.findPrefix(of: [3, 4], atMost: 2).blocks == second.blocks)
        // The reserve stays cached until new blocks, too, are used up.
        let new = pool.allocate(4)!
        #expect(Set(new).isDisjoint(with: first.blocks + second.blocks))
        #expect(pool.findPrefix(of: [3, 4], atMost: 2).blocks == second.blocks)
        // A block that was used and is not cached is allocated before both.
        pool.free([new[2]])
        #expect(pool.allocate(2) == [new[2], second.blocks[1]])
    }

    @Test func whatHasBeenFreeForLongestGoesFirstAndASequencesEndBeforeItsBeginning() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 4, blockSize: 1))
        let first = add([1, 2], to: &pool)
        let second = add([3, 4], to: &pool)
        pool.free(first.blocks)
        pool.free(second.blocks)
        // Sharing takes them out of the queue; they come back as the latest.
        let again = pool.allocate(0, sharing: first.blocks)!
        pool.free(again)
        let order = (0..<4).compactMap { _ in pool.allocate(1)?.first }
        #expect(order == [second.blocks[1], second.blocks[0], first.blocks[1], first.blocks[0]])
    }

    @Test func sharingAFreeBlockCostsAFreeBlock() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 3, blockSize: 1))
        let sequence = add([1, 2], to: &pool)
        #expect(pool.allocate(1, sharing: sequence.blocks, leavesWatermark: true) == nil)
        #expect(pool.allocate(0, sharing: sequence.blocks, leavesWatermark: true) == sequence.blocks)
        pool.free(sequence.blocks)
        pool.free(sequence.blocks)
        #expect(pool.allocate(1, sharing: sequence.blocks, leavesWatermark: true) == nil)
        #expect(pool.allocate(2, sharing: sequence.blocks) == nil)
        #expect(pool.freeCount == 3)
        #expect(pool.allocate(1, sharing: sequence.blocks)?.count == 3)
    }

    @Test func theSameTokensTwiceAreKnownOnce() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 4, blockSize: 1))
        let first = add([1], to: &pool)
        var twin = TestSequence(tokens: [1, 2], blocks: pool.allocate(2)!)
        pool.cache(twin.tokens, in: twin.blocks, cached: &twin.cached)
        #expect(pool.findPrefix(of: [1, 2], atMost: 2).blocks == [first.blocks[0], twin.blocks[1]])
        #expect(pool.content(of: twin.blocks[0]) == nil)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func foundBlocksHoldTheTokensAndNoBlockIsLost(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let size = Int.random(in: 1...4, using: &random)
        var pool = OneGroupPool(KVCacheShape(blockCount: Int.random(in: 1...24, using: &random), blockSize: size))
        var sequences: [TestSequence] = []
        /// Everything before and in each block, by who wrote it last.
        var written: [Int32: [Int32]] = [:]
        for _ in 0..<300 {
            if !sequences.isEmpty, Int.random(in: 0..<2, using: &random) == 0 {
                pool.free(sequences.remove(at: Int.random(in: 0..<sequences.count, using: &random)).blocks)
            } else {
                // Two kinds of token: most sequences begin like another one.
                let tokens = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                    Int32.random(in: 0..<2, using: &random)
                }
                let limit = (tokens.count - 1) / size
                let (shared, cached) = pool.findPrefix(of: tokens, atMost: limit)
                #expect(shared.count <= limit && cached.blockCount == shared.count)
                for (index, block) in shared.enumerated() {
                    #expect(written[block] == Array(tokens[..<((index + 1) * size)]), "seed \(seed)")
                }
                if let begun = pool.findPartialHit(
                    of: tokens, after: cached, atMost: tokens.count - shared.count * size)
                {
                    let common = Array(tokens[..<(shared.count * size + begun.count)])
                    #expect(begun.count > 0 && written[begun.block]?.starts(with: common) == true, "seed \(seed)")
                }
                let new = pool.blocksNeeded(forTokens: tokens.count) - shared.count
                guard let blocks = pool.allocate(new, sharing: shared) else { continue }
                #expect(Set(blocks).count == blocks.count)
                for (index, block) in blocks.enumerated().dropFirst(shared.count) {
                    #expect(!sequences.contains { $0.blocks.contains(block) }, "seed \(seed)")
                    written[block] = Array(tokens.prefix((index + 1) * size))
                }
                var sequence = TestSequence(tokens: tokens, blocks: blocks, cached: cached)
                pool.cache(tokens, in: blocks, cached: &sequence.cached)
                sequences.append(sequence)
            }
            #expect(pool.usedCount == Set(sequences.flatMap(\.blocks)).count)
            let free = pool.freeBlocks
            #expect(free.count == pool.freeCount && Set(free).count == free.count)
            #expect(Set(free).isDisjoint(with: sequences.flatMap(\.blocks)))
        }
    }
}
