// The pool of KV blocks that requests in flight have lists of.

import Platform

/// How many of a sequence's first blocks are cached: full blocks that others can find by their content.
struct CachedPrefix: Equatable {
    /// Full blocks from the beginning.
    var blockCount = 0
    /// The name of the sequence that they hold.
    var id = PrefixID.empty
}

/// Which blocks of the KV cache are free, the reference count of each of the others, and what full blocks hold.
///
/// Several requests may refer to a block, so that those whose prompts begin alike can share it. It is free when its reference
/// count is 0. A free block that is cached is found again until it is evicted. Blocks are taken in this order: free blocks that
/// are not cached, the one that was freed last first; then cached ones, which are evicted, the one that has been free for longest
/// first, the end of a sequence before its beginning. But a device takes memory for a block when it is first written: blocks that
/// were never written are taken after all cached ones but the last `cachedReserve`. The same calls give the same blocks.
struct KVBlockPool {
    /// Tokens in a block.
    let blockSize: Int
    /// Blocks of the pool. What lies before them in the KV cache is never given out.
    let blocks: Range<Int32>
    /// Requests that refer to each block, also to those that are never given out; 0 is free.
    private(set) var referenceCounts: [Int32]
    /// Free blocks that are not cached, those that were never written behind the others.
    private var uncached: FreeBlockQueue
    /// Blocks that were never given out.
    private var neverWritten: Int
    /// Free blocks that are cached, in the order of eviction.
    private var evictable: FreeBlockQueue
    private let cachedReserve: Int
    private var index: PrefixIndex

    /// The blocks of `shape`, all free and none cached; its null block is not among them.
    ///
    /// - Parameter cachedReserve: free cached blocks that are kept rather than memory spared.
    init(_ shape: KVCacheShape, cachedReserve: Int = .max) {
        precondition(shape.blockCount > 0 && shape.blockSize > 0, "a KV pool needs blocks, and blocks need tokens")
        blockSize = shape.blockSize
        blocks = shape.blocks
        referenceCounts = Array(repeating: 0, count: shape.allocatedCount)
        neverWritten = shape.blockCount
        self.cachedReserve = cachedReserve
        uncached = FreeBlockQueue(blockCount: shape.allocatedCount)
        evictable = uncached
        for block in shape.blocks { uncached.append(block) }
        index = PrefixIndex(blockCount: shape.allocatedCount)
    }

    /// Blocks in the pool.
    var totalCount: Int { blocks.count }
    /// Blocks that no request refers to, cached or not.
    var freeCount: Int { uncached.count + evictable.count }
    /// Blocks that a request refers to.
    var usedCount: Int { totalCount - freeCount }

    /// Blocks that hold `tokens` tokens.
    func blocksNeeded(forTokens tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    /// Touches each of `shared`, which are in use or cached, and takes `count` free blocks for the same request.
    ///
    /// - Returns: both, in this order; `nil`, and nothing taken, where fewer than `reserve` blocks would stay free.
    mutating func allocate(_ count: Int, sharing shared: [Int32] = [], leaving reserve: Int = 0) -> [Int32]? {
        let free = shared.count { referenceCounts[Int($0)] == 0 }
        guard count + free + reserve <= freeCount else { return nil }
        for block in shared { touch(block) }
        let blocks = shared + (0..<count).map { _ in takeFree() }
        assert(blocks.allSatisfy { referenceCounts[Int($0)] > 0 }, "a request refers to each of its blocks")
        return blocks
    }

    /// Adds a reference; a cached block is no longer evictable then.
    private mutating func touch(_ block: Int32) {
        if referenceCounts[Int(block)] == 0 {
            precondition(index.content(of: block) != nil, "a free block that is not cached cannot be shared")
            evictable.remove(block)
        }
        referenceCounts[Int(block)] += 1
    }

    private mutating func takeFree() -> Int32 {
        if uncached.count == neverWritten, neverWritten == 0 || evictable.count > cachedReserve { evictOldest() }
        if uncached.count == neverWritten { neverWritten -= 1 }
        guard let block = uncached.popFirst() else { preconditionFailure("no block is free") }
        referenceCounts[Int(block)] = 1
        return block
    }

    /// Takes a reference from each of a sequence's `blocks`; the count of some may be 0 then.
    mutating func free(_ blocks: [Int32]) {
        for block in blocks.reversed() {
            precondition(referenceCounts[Int(block)] > 0, "a free block cannot be freed")
            referenceCounts[Int(block)] -= 1
            guard referenceCounts[Int(block)] == 0 else { continue }
            if index.content(of: block) == nil { uncached.prepend(block) } else { evictable.append(block) }
        }
        assert(uncached.count + evictable.count <= totalCount, "a block is free once")
    }

    /// Evicts the cached block that has been free for longest.
    private mutating func evictOldest() {
        guard let block = evictable.popFirst() else { return }
        index.remove(block)
        uncached.prepend(block)
    }

    /// The free blocks, for the integrity check.
    var freeBlocks: [Int32] { uncached.blocks + evictable.blocks }
}

// MARK: - Cached contents

extension KVBlockPool {
    /// The longest cached beginning of `tokens`, at most `limit` blocks.
    func findPrefix(of tokens: [Int32], atMost limit: Int) -> (blocks: [Int32], cached: CachedPrefix) {
        var blocks: [Int32] = []
        var cached = CachedPrefix()
        while blocks.count < limit, let content = nextContent(of: tokens, after: cached),
            let entry = index.find(content)
        {
            blocks.append(entry.block)
            cached = CachedPrefix(blockCount: blocks.count, id: entry.prefix)
        }
        return (blocks, cached)
    }

    /// The partial hit behind a cached prefix of `tokens`: a cached block that begins with what comes next of them, and how many
    /// tokens that is, at most `limit`; `nil` where there is none.
    func findPartialHit(
        of tokens: [Int32], after cached: CachedPrefix, atMost limit: Int
    ) -> (block: Int32, count: Int)? {
        let start = cached.blockCount * blockSize
        return index.findPartialHit(of: tokens[start...].prefix(min(limit, blockSize)), after: cached.id)
    }

    /// What the block behind a cached prefix of `tokens` holds; `nil` where `tokens` do not fill it.
    func nextContent(of tokens: [Int32], after cached: CachedPrefix) -> BlockContent? {
        let start = cached.blockCount * blockSize
        guard start + blockSize <= tokens.count else { return nil }
        return BlockContent(parent: cached.id, tokens: tokens[start..<start + blockSize])
    }

    /// Caches all full blocks of a sequence, whose keys and values are in `blocks` by now.
    ///
    /// - Parameter cached: how many are cached already; brought up to date.
    mutating func cache(_ tokens: [Int32], in blocks: [Int32], cached: inout CachedPrefix) {
        while let content = nextContent(of: tokens, after: cached) {
            cached.id = index.insert(content, in: blocks[cached.blockCount])
            cached.blockCount += 1
        }
    }

    /// Removes blocks that are in use from the index: what they hold must not be shared.
    mutating func uncache(_ blocks: [Int32]) {
        for block in blocks {
            precondition(referenceCounts[Int(block)] > 0, "a free block leaves the index by eviction")
            index.remove(block)
        }
    }

    /// What a cached block holds.
    func content(of block: Int32) -> BlockContent? { index.content(of: block) }
}
