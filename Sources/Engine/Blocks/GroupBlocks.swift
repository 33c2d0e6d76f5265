// The blocks of one group of the KV cache: their reference counts, and the order in which free ones are allocated.

import Platform

/// The reference counts and the free blocks of a group; see `KVBlockPool`.
struct GroupBlocks {
    /// The group's number.
    let group: Int
    /// Blocks of the group. A block before them in the KV cache is never allocated.
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

    /// The blocks of a group of `shape`, without its null block, all free and none cached.
    ///
    /// - Parameter cachedReserve: number of free cached blocks that are kept even if that takes more device memory.
    init(_ shape: KVCacheShape, group: Int, cachedReserve: Int) {
        self.group = group
        blocks = shape.blocks(of: group)
        let allocated = shape.allocatedCount(of: group)
        referenceCounts = Array(repeating: 0, count: allocated)
        neverWritten = blocks.count
        self.cachedReserve = cachedReserve
        uncached = FreeBlockQueue(blockCount: allocated)
        evictable = uncached
        for block in blocks { uncached.append(block) }
    }

    /// Free blocks, cached or not.
    var freeCount: Int { uncached.count + evictable.count }
    /// Blocks that admission leaves free while any request runs: 1 % of the group, rounded up.
    var watermark: Int { (blocks.count + 99) / 100 }
    /// The free blocks, for the integrity check.
    var freeBlocks: [Int32] { uncached.blocks + evictable.blocks }

    /// Whether no request refers to a block.
    func isFree(_ block: Int32) -> Bool { referenceCounts[Int(block)] == 0 }

    /// Adds a reference, so that a cached block is no longer evictable.
    mutating func touch(_ block: Int32, in index: PrefixIndex) {
        if isFree(block) {
            precondition(index.content(of: block, in: group) != nil, "a free block that is not cached cannot be shared")
            evictable.remove(block)
        }
        referenceCounts[Int(block)] += 1
    }

    /// Allocates a free block, with one reference; there must be one.
    mutating func take(evictingFrom index: inout PrefixIndex) -> Int32 {
        if uncached.count == neverWritten, neverWritten == 0 || evictable.count > cachedReserve {
            evictOldest(from: &index)
        }
        if uncached.count == neverWritten { neverWritten -= 1 }
        guard let block = uncached.popFirst() else { preconditionFailure("no block is free") }
        referenceCounts[Int(block)] = 1
        return block
    }

    /// Evicts the first block of `evictable`.
    private mutating func evictOldest(from index: inout PrefixIndex) {
        guard let block = evictable.popFirst() else { return }
        index.remove(block, in: group)
        uncached.prepend(block)
    }

    /// Removes a reference from each block of the list, the last one first; those whose count becomes 0 are free.
    mutating func free(_ blocks: some BidirectionalCollection<Int32>, in index: PrefixIndex) {
        for block in blocks.reversed() where block != KVCacheShape.noBlock {
            precondition(referenceCounts[Int(block)] > 0, "a free block cannot be freed")
            referenceCounts[Int(block)] -= 1
            guard isFree(block) else { continue }
            if index.content(of: block, in: group) == nil { uncached.prepend(block) } else { evictable.append(block) }
        }
        assert(freeCount <= self.blocks.count, "a block is free once")
    }

    /// Removes a block from the index, so that it is not shared from now on.
    mutating func uncache(_ block: Int32, from index: inout PrefixIndex) {
        guard index.content(of: block, in: group) != nil else { return }
        index.remove(block, in: group)
        if isFree(block) {
            evictable.remove(block)
            uncached.prepend(block)
        }
    }
}
