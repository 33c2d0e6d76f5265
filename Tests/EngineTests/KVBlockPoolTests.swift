// Blocks are given out, shared and taken back without loss.

import Platform
import Testing

@testable import Engine

@Suite struct KVBlockPoolTests {
    @Test func givesOutEveryBlockOnceAndThenNone() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 3, blockSize: 4))
        #expect(pool.allocate(2) == [0, 1])
        #expect(pool.allocate(2) == nil)
        #expect(pool.freeCount == 1)
        #expect(pool.allocate(1) == [2])
        #expect(pool.allocate(0) == [])
        #expect(pool.usedCount == 3)
    }

    /// If the device needs a null block, it is block 0: it takes the padding of every row and belongs to no request.
    @Test func theNullBlockIsNeverGivenOut() {
        let shape = KVCacheShape(blockCount: 3, blockSize: 4, hasNullBlock: true)
        #expect(shape.allocatedCount(of: 0) == 4)
        var pool = OneGroupPool(shape)
        for _ in 0..<3 {
            let blocks = pool.allocate(3)
            #expect(blocks == [1, 2, 3])
            #expect(pool.allocate(1) == nil && pool.usedCount == 3 && pool.freeCount == 0)
            pool.free(blocks ?? [])
        }
    }

    @Test func releasedBlocksAreGivenOutAgainInTheSameOrder() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 5, blockSize: 4))
        let first = pool.allocate(3)!
        pool.free(first)
        #expect(pool.freeCount == 5)
        #expect(pool.allocate(3) == first)
    }

    @Test func aSharedBlockIsFreeWhenItsLastOwnerLetsGo() {
        var pool = OneGroupPool(KVCacheShape(blockCount: 2, blockSize: 4))
        let blocks = pool.allocate(2)!
        #expect(pool.allocate(0, sharing: [blocks[0]]) == [blocks[0]])
        pool.free(blocks)
        #expect(pool.usedCount == 1)
        #expect(pool.referenceCounts == [1, 0])
        pool.free([blocks[0]])
        #expect(pool.freeCount == 2)
    }

    @Test(arguments: [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2)])
    func roundsTokensUpToBlocks(tokens: Int, blocks: Int) {
        #expect(OneGroupPool(KVCacheShape(blockCount: 1, blockSize: 4)).blocksNeeded(forTokens: tokens) == blocks)
    }
}
