// A pool of one group without a window, whose lists of blocks are plain arrays.

import Platform

@testable import Engine

/// The pool of a cache that keeps all tokens of all layers.
struct OneGroupPool {
    private var pool: KVBlockPool

    init(_ shape: KVCacheShape, cachedReserve: Int = .max) {
        precondition(shape.groups.count == 1)
        pool = KVBlockPool(shape, cachedReserve: { _ in cachedReserve })
    }

    var freeCount: Int { pool.freeCount }
    var usedCount: Int { pool.usedCount }
    var referenceCounts: [Int32] { pool.groups[0].referenceCounts }
    var freeBlocks: [Int32] { pool.groups[0].freeBlocks }

    func blocksNeeded(forTokens tokens: Int) -> Int { pool.blocksNeeded(forTokens: tokens) }

    mutating func allocate(
        _ count: Int, sharing shared: [Int32] = [], leavesWatermark: Bool = false
    ) -> [Int32]? {
        pool.allocate(count, sharing: [shared], leavesWatermark: leavesWatermark)?[0]
    }

    mutating func free(_ blocks: [Int32]) { pool.free([blocks]) }

    func findPrefix(of tokens: [Int32], atMost limit: Int) -> (blocks: [Int32], cached: CachedPrefix) {
        let (blocks, cached) = pool.findPrefix(of: tokens, atMost: limit)
        return (blocks[0], cached)
    }

    func findPartialHit(
        of tokens: [Int32], after cached: CachedPrefix, atMost limit: Int
    ) -> (block: Int32, count: Int)? {
        pool.findPartialHit(of: tokens, after: cached, atMost: limit).map { ($0.blocks[0], $0.count) }
    }

    mutating func cache(_ tokens: [Int32], in blocks: [Int32], cached: inout CachedPrefix) {
        pool.cache(tokens, in: [blocks], cached: &cached)
    }

    func content(of block: Int32) -> BlockContent? { pool.content(of: block) }
}
