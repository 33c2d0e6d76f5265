// The pool of KV blocks, from which requests in flight take their blocks.

import Platform

/// The cached prefix of a sequence: its leading full blocks that other requests can find by their content.
struct CachedPrefix: Equatable {
    /// Number of these blocks.
    var blockCount = 0
    /// The id of the sequence that they hold.
    var id = PrefixID.empty
}

/// The free blocks of the KV cache, the reference counts of the others, and the contents of full blocks.
///
/// Requests whose prompts have a common prefix share its blocks. A block is free when its reference count is 0. A free
/// block that is cached can be found until it is evicted. Blocks are allocated in this order: first free blocks that
/// are not cached, the most recently freed first; then cached blocks, which are evicted, the one that has been free for
/// longest first, and the end of a sequence before its beginning. But the device takes memory for a block when the
/// block is first written: blocks that were never written are allocated after all cached blocks but the last
/// `cachedReserve`. The same calls give the same blocks.
struct KVBlockPool {
    /// Tokens in a block.
    let blockSize: Int
    /// Blocks of the pool. A block before them in the KV cache is never allocated.
    let blocks: Range<Int32>
    /// Reference count of each block of the KV cache, those before the pool included; 0 is free.
    private(set) var referenceCounts: [Int32]
    /// Free blocks that are not cached; those that were never written come last.
    private var uncached: FreeBlockQueue
    /// Number of blocks that were never allocated.
    private var neverWritten: Int
    /// Free cached blocks, in the order of eviction.
    private var evictable: FreeBlockQueue
    private let cachedReserve: Int
    private var index: PrefixIndex

    /// A pool of the blocks of `shape`, without its null block, all free and none cached.
    ///
    /// - Parameter cachedReserve: number of free cached blocks that are kept even if that takes more device memory.
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
    /// Free blocks, cached or not.
    var freeCount: Int { uncached.count + evictable.count }
    /// Blocks that at least one request refers to.
    var usedCount: Int { totalCount - freeCount }

    /// Number of blocks for `tokens` tokens.
    func blocksNeeded(forTokens tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    /// Touches each block of `shared`, which are in use or cached, and allocates `count` free blocks for the same
    /// request.
    ///
    /// - Returns: the shared blocks, then the new ones; `nil`, without a change, if fewer than `reserve` blocks would
    ///   stay free.
    mutating func allocate(_ count: Int, sharing shared: [Int32] = [], leaving reserve: Int = 0) -> [Int32]? {
        let free = shared.count { referenceCounts[Int($0)] == 0 }
        guard count + free + reserve <= freeCount else { return nil }
        for block in shared { touch(block) }
        let blocks = shared + (0..<count).map { _ in takeFree() }
        assert(blocks.allSatisfy { referenceCounts[Int($0)] > 0 }, "a request refers to each of its blocks")
        return blocks
    }

    /// Adds a reference, so that a cached block is no longer evictable.
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

    /// Removes a reference from each of a sequence's `blocks`; those whose count becomes 0 are free.
    mutating func free(_ blocks: [Int32]) {
        for block in blocks.reversed() {
            precondition(referenceCounts[Int(block)] > 0, "a free block cannot be freed")
            referenceCounts[Int(block)] -= 1
            guard referenceCounts[Int(block)] == 0 else { continue }
            if index.content(of: block) == nil { uncached.prepend(block) } else { evictable.append(block) }
        }
        assert(uncached.count + evictable.count <= totalCount, "a block is free once")
    }

    /// Evicts the first block of `evictable`.
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
    /// The longest cached prefix of `tokens`, at most `limit` blocks.
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

    /// The partial hit after a cached prefix of `tokens`: a cached block that begins with the tokens that follow, and
    /// the number of tokens that match, at most `limit`; `nil` if there is none.
    func findPartialHit(
        of tokens: [Int32], after cached: CachedPrefix, atMost limit: Int
    ) -> (block: Int32, count: Int)? {
        let start = cached.blockCount * blockSize
        return index.findPartialHit(of: tokens[start...].prefix(min(limit, blockSize)), after: cached.id)
    }

    /// The content of the block after a cached prefix of `tokens`; `nil` if `tokens` do not fill it.
    func nextContent(of tokens: [Int32], after cached: CachedPrefix) -> BlockContent? {
        let start = cached.blockCount * blockSize
        guard start + blockSize <= tokens.count else { return nil }
        return BlockContent(parent: cached.id, tokens: tokens[start..<start + blockSize])
    }

    /// Caches all full blocks of a sequence, whose keys and values have been written to `blocks`.
    ///
    /// - Parameter cached: the prefix that is cached already; updated.
    mutating func cache(_ tokens: [Int32], in blocks: [Int32], cached: inout CachedPrefix) {
        while let content = nextContent(of: tokens, after: cached) {
            cached.id = index.insert(content, in: blocks[cached.blockCount])
            cached.blockCount += 1
        }
    }

    /// Removes blocks that are in use from the index, so that they are not shared from now on.
    mutating func uncache(_ blocks: [Int32]) {
        for block in blocks {
            precondition(referenceCounts[Int(block)] > 0, "a free block leaves the index by eviction")
            index.remove(block)
        }
    }

    /// The content of a cached block; `nil` if it is not cached.
    func content(of block: Int32) -> BlockContent? { index.content(of: block) }
}
