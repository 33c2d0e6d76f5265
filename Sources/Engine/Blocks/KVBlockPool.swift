// The pool of KV blocks that requests in flight own lists of.

import Platform

/// How far a sequence's blocks are in the pool's index.
struct KnownPrefix: Equatable {
    /// Full blocks from the beginning.
    var blockCount = 0
    /// The name of the sequence that they hold.
    var id = PrefixID.empty
}

/// Which blocks of the KV cache are free, how many owners each of the others has, and what full blocks hold.
///
/// A block may have several owners, so that requests whose prompts begin alike can share; it is free again when the
/// last one lets go. A free block whose content is known can be shared again until it is given out anew: first go those
/// of which nothing is known, the one that was freed last before the others, then those that have been free for longest,
/// the end of a sequence before its beginning. But a device takes memory for a block when it is first written: those
/// that never were go behind all known ones but the last `idleReserve`. The same calls give the same blocks.
struct KVBlockPool {
    /// Tokens in a block.
    let blockSize: Int
    /// Blocks of the pool. What lies before them in the cache is never given out.
    let blocks: Range<Int32>
    /// Owners of each block, also of those that are never given out; 0 is free.
    private(set) var owners: [Int32]
    /// Free blocks of which nothing is known, those that were never given out behind the others.
    private var unknown: FreeBlockQueue
    /// Blocks that were never given out.
    private var untouched: Int
    /// Free blocks of known content.
    private var idle: FreeBlockQueue
    private let idleReserve: Int
    private var index: PrefixIndex

    /// The blocks of `shape`, all free and unknown; its null block is not among them.
    ///
    /// - Parameter idleReserve: free blocks of known content that are kept rather than memory spared.
    init(_ shape: KVCacheShape, idleReserve: Int = .max) {
        precondition(shape.blockCount > 0 && shape.blockSize > 0, "a KV pool needs blocks, and blocks need tokens")
        blockSize = shape.blockSize
        blocks = shape.blocks
        owners = Array(repeating: 0, count: shape.allocatedCount)
        untouched = shape.blockCount
        self.idleReserve = idleReserve
        unknown = FreeBlockQueue(blockCount: shape.allocatedCount)
        idle = unknown
        for block in shape.blocks { unknown.append(block) }
        index = PrefixIndex(blockCount: shape.allocatedCount)
    }

    /// Blocks in the pool.
    var totalCount: Int { blocks.count }
    /// Blocks without an owner, whether their content is known or not.
    var freeCount: Int { unknown.count + idle.count }
    /// Blocks with at least one owner.
    var usedCount: Int { totalCount - freeCount }

    /// Blocks that hold `tokens` tokens.
    func blocksNeeded(forTokens tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    /// Adds an owner to each of `shared`, blocks that have one or whose content is known, and takes `count` free blocks
    /// for the same owner.
    ///
    /// - Returns: both, in this order; `nil`, and nothing taken, where fewer than `reserve` blocks would stay free.
    mutating func allocate(_ count: Int, sharing shared: [Int32] = [], leaving reserve: Int = 0) -> [Int32]? {
        let unowned = shared.count { owners[Int($0)] == 0 }
        guard count + unowned + reserve <= freeCount else { return nil }
        for block in shared { share(block) }
        return shared + (0..<count).map { _ in takeFree() }
    }

    private mutating func share(_ block: Int32) {
        if owners[Int(block)] == 0 {
            precondition(index.content(of: block) != nil, "a free block of unknown content cannot be shared")
            idle.remove(block)
        }
        owners[Int(block)] += 1
    }

    private mutating func takeFree() -> Int32 {
        if unknown.count == untouched, untouched == 0 || idle.count > idleReserve { forgetOldest() }
        if unknown.count == untouched { untouched -= 1 }
        guard let block = unknown.popFirst() else { preconditionFailure("no block is free") }
        owners[Int(block)] = 1
        return block
    }

    /// Takes an owner from each of a sequence's `blocks`; those without another are free.
    mutating func release(_ blocks: [Int32]) {
        for block in blocks.reversed() {
            precondition(owners[Int(block)] > 0, "a free block cannot be released")
            owners[Int(block)] -= 1
            guard owners[Int(block)] == 0 else { continue }
            if index.content(of: block) == nil { unknown.prepend(block) } else { idle.append(block) }
        }
    }

    /// Forgets what the block holds that has been free for longest.
    private mutating func forgetOldest() {
        guard let block = idle.popFirst() else { return }
        index.forget(block)
        unknown.prepend(block)
    }

    /// The free blocks, for the integrity check.
    var freeBlocks: [Int32] { unknown.blocks + idle.blocks }
}

// MARK: - Known contents

extension KVBlockPool {
    /// The longest beginning of `tokens` that is in known blocks, at most `limit` of them.
    func findPrefix(of tokens: [Int32], atMost limit: Int) -> (blocks: [Int32], known: KnownPrefix) {
        var blocks: [Int32] = []
        var known = KnownPrefix()
        while blocks.count < limit, let content = nextContent(of: tokens, after: known),
            let entry = index.find(content)
        {
            blocks.append(entry.block)
            known = KnownPrefix(blockCount: blocks.count, id: entry.prefix)
        }
        return (blocks, known)
    }

    /// A known block behind a known prefix of `tokens` that begins like what comes next of them, and for how many tokens, at
    /// most `limit`; `nil` where there is none.
    func findBeginning(of tokens: [Int32], after known: KnownPrefix, atMost limit: Int) -> (block: Int32, count: Int)? {
        let start = known.blockCount * blockSize
        return index.findBeginning(of: tokens[start...].prefix(min(limit, blockSize)), after: known.id)
    }

    /// What the block behind a known prefix of `tokens` holds; `nil` where `tokens` do not fill it.
    func nextContent(of tokens: [Int32], after known: KnownPrefix) -> BlockContent? {
        let start = known.blockCount * blockSize
        guard start + blockSize <= tokens.count else { return nil }
        return BlockContent(parent: known.id, tokens: tokens[start..<start + blockSize])
    }

    /// Makes all full blocks of a sequence known, whose keys and values are in `blocks` by now.
    ///
    /// - Parameter known: how many are known already; brought up to date.
    mutating func remember(_ tokens: [Int32], in blocks: [Int32], known: inout KnownPrefix) {
        while let content = nextContent(of: tokens, after: known) {
            known.id = index.insert(content, in: blocks[known.blockCount])
            known.blockCount += 1
        }
    }

    /// Forgets what owned blocks hold.
    mutating func forget(_ blocks: [Int32]) {
        for block in blocks {
            precondition(owners[Int(block)] > 0, "a free block is forgotten when it is taken")
            index.forget(block)
        }
    }

    /// What a block is known to hold.
    func content(of block: Int32) -> BlockContent? { index.content(of: block) }
}
