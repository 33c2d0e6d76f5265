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
/// A request has a list of blocks in each group of layers, in the order of its tokens. In a group with a window it frees
/// its leading blocks as it grows beyond the window; the list then has `KVCacheShape.noBlock` for them.
///
/// Requests whose prompts have a common prefix share its blocks. A block is free when its reference count is 0. A free
/// block that is cached can be found until it is evicted. Blocks of a group are allocated in this order: first free
/// blocks that are not cached, the most recently freed first; then cached blocks, which are evicted, the one that has
/// been free for longest first, and the end of a sequence before its beginning. But the device takes memory for a block
/// when the block is first written: blocks that were never written are allocated after all cached blocks but the last
/// `cachedReserve`. The same calls give the same blocks.
struct KVBlockPool {
    /// The groups, and the tokens in a block.
    let shape: KVCacheShape
    /// The blocks of each group.
    private(set) var groups: [GroupBlocks]
    private var index: PrefixIndex

    /// The pool of `shape`, all blocks free and none cached.
    ///
    /// - Parameter cachedReserve: of a group's number of blocks, how many free cached ones are kept even if that takes
    ///   more device memory.
    init(_ shape: KVCacheShape, cachedReserve: (Int) -> Int = { _ in .max }) {
        precondition(
            shape.blockSize > 0 && shape.groups.allSatisfy { $0.blockCount > 0 },
            "a KV pool needs blocks, and blocks need tokens")
        self.shape = shape
        groups = shape.groups.indices.map {
            GroupBlocks(shape, group: $0, cachedReserve: cachedReserve(shape.groups[$0].blockCount))
        }
        index = PrefixIndex(
            blockCounts: shape.groups.indices.map(shape.allocatedCount),
            firstKeepsAll: shape.groups[0].window == nil)
    }

    /// Tokens in a block.
    var blockSize: Int { shape.blockSize }
    /// Blocks of all groups.
    var totalCount: Int { groups.reduce(0) { $0 + $1.blocks.count } }
    /// Free blocks, cached or not.
    var freeCount: Int { groups.reduce(0) { $0 + $1.freeCount } }
    /// Blocks that at least one request refers to.
    var usedCount: Int { totalCount - freeCount }

    /// Number of blocks for `tokens` tokens, in each group.
    func blocksNeeded(forTokens tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    /// Touches each block of `shared`, which are in use or cached, and allocates `count` free blocks of each group for
    /// the same request.
    ///
    /// - Parameter leavesWatermark: whether 1 % of the blocks of each group must stay free.
    /// - Returns: the shared blocks, then the new ones, of each group; `nil`, without a change, if too few blocks are
    ///   free in any group.
    mutating func allocate(_ count: Int, sharing shared: [[Int32]] = [], leavesWatermark: Bool = false) -> [[Int32]]? {
        for (group, blocks) in groups.enumerated() {
            let free = shared.isEmpty ? 0 : shared[group].count { $0 != KVCacheShape.noBlock && blocks.isFree($0) }
            let reserve = leavesWatermark ? blocks.watermark : 0
            guard count + free + reserve <= blocks.freeCount else { return nil }
        }
        return groups.indices.map { group in
            var blocks = shared.isEmpty ? [] : shared[group]
            for block in blocks where block != KVCacheShape.noBlock { groups[group].touch(block, in: index) }
            for _ in 0..<count { blocks.append(groups[group].take(evictingFrom: &index)) }
            return blocks
        }
    }

    /// Removes a reference from each of a sequence's `blocks`; those whose count becomes 0 are free.
    mutating func free(_ blocks: [[Int32]]) {
        for (group, blocks) in blocks.enumerated() { groups[group].free(blocks, in: index) }
    }

    /// Frees those of a sequence's `blocks` that the token at `position` and later ones do not attend to.
    mutating func freeBlocks(behind position: Int, of blocks: inout [[Int32]]) {
        for group in groups.indices {
            let behind = placesBehind(position, of: blocks[group], group)
            guard !behind.isEmpty else { continue }
            groups[group].free(blocks[group][behind], in: index)
            for place in behind { blocks[group][place] = KVCacheShape.noBlock }
        }
    }

    /// Removes those of a sequence's `blocks`, of which it has no reference yet, that the token at `position` and later
    /// ones do not attend to.
    func dropBlocks(behind position: Int, of blocks: inout [[Int32]]) {
        for group in groups.indices {
            for place in placesBehind(position, of: blocks[group], group) {
                blocks[group][place] = KVCacheShape.noBlock
            }
        }
    }

    /// The places of the blocks that the token at `position` and later ones do not attend to.
    private func placesBehind(_ position: Int, of blocks: [Int32], _ group: Int) -> Range<Int> {
        let end = min(shape.firstBlock(of: group, at: position), blocks.count)
        var start = end
        while start > 0, blocks[start - 1] != KVCacheShape.noBlock { start -= 1 }
        return start..<end
    }
}

// MARK: - Cached contents

extension KVBlockPool {
    /// The longest cached prefix of `tokens`, at most `limit` blocks: of each group, those blocks of it are cached that
    /// the next token attends to. Others are `KVCacheShape.noBlock`.
    func findPrefix(of tokens: [Int32], atMost limit: Int) -> (blocks: [[Int32]], cached: CachedPrefix) {
        let entries = findEntries(of: tokens, atMost: limit)
        let count = sharableCount(entries)
        let blocks = groups.indices.map { group in
            let first = shape.firstBlock(of: group, at: count * blockSize)
            return (0..<count).map { $0 < first ? KVCacheShape.noBlock : entries[$0].blocks[group] }
        }
        return (blocks, CachedPrefix(blockCount: count, id: count > 0 ? entries[count - 1].prefix : .empty))
    }

    /// The entries of the leading blocks of `tokens` that the index knows, at most `limit`.
    private func findEntries(of tokens: [Int32], atMost limit: Int) -> [PrefixIndex.Entry] {
        var entries: [PrefixIndex.Entry] = []
        var known = CachedPrefix()
        while entries.count < limit, let content = nextContent(of: tokens, after: known),
            let entry = index.find(content)
        {
            entries.append(entry)
            known = CachedPrefix(blockCount: entries.count, id: entry.prefix)
        }
        return entries
    }

    /// The most leading blocks after which every group has the blocks that the next token attends to.
    private func sharableCount(_ entries: [PrefixIndex.Entry]) -> Int {
        var most = 0
        // The blocks of each group that are cached without a gap before the place looked at.
        var cached = groups.map { _ in 0 }
        for (place, entry) in entries.enumerated() {
            var isEnough = true
            for group in groups.indices {
                cached[group] = entry.blocks[group] == KVCacheShape.noBlock ? 0 : cached[group] + 1
                let first = shape.firstBlock(of: group, at: (place + 1) * blockSize)
                if cached[group] < place + 1 - first { isEnough = false }
            }
            if isEnough { most = place + 1 }
        }
        return most
    }

    /// The partial hit after a cached prefix of `tokens`: cached blocks, one of each group, that begin with the tokens
    /// that follow, and the number of tokens that match, at most `limit`; `nil` if there is none.
    func findPartialHit(
        of tokens: [Int32], after cached: CachedPrefix, atMost limit: Int
    ) -> (blocks: [Int32], count: Int)? {
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
    mutating func cache(_ tokens: [Int32], in blocks: [[Int32]], cached: inout CachedPrefix) {
        while let content = nextContent(of: tokens, after: cached) {
            cached.id = index.insert(content, in: blocks.map { $0[cached.blockCount] })
            cached.blockCount += 1
        }
    }

    /// Removes a sequence's `blocks`, which are in use, from the index, so that they are not shared from now on, and
    /// also those that it may have freed while it grew.
    mutating func uncache(_ blocks: [[Int32]], of tokens: [Int32]) {
        let freed = blocks.map { $0.prefix { $0 == KVCacheShape.noBlock }.count }
        let entries = findEntries(of: tokens, atMost: freed.max() ?? 0)
        for group in blocks.indices {
            for entry in entries.prefix(freed[group]) where entry.blocks[group] != KVCacheShape.noBlock {
                groups[group].uncache(entry.blocks[group], from: &index)
            }
            for block in blocks[group].dropFirst(freed[group]) { groups[group].uncache(block, from: &index) }
        }
    }

    /// The content of a cached block; `nil` if it is not cached.
    func content(of block: Int32, in group: Int = 0) -> BlockContent? { index.content(of: block, in: group) }
}
