// The pool of KV blocks that requests in flight own lists of.

/// Which blocks of the KV cache are free, and how many owners each of the others has.
///
/// A block may have several owners, so that requests whose prompts begin alike can share; it is free again when the
/// last one lets go. Blocks are given out in a fixed order: the same calls give the same blocks.
struct KVBlockPool {
    /// Tokens in a block.
    let blockSize: Int
    /// Owners of each block; 0 is free.
    private(set) var owners: [Int32]
    /// Free blocks; the last is given out next.
    private var free: [Int32]

    /// `blockCount` blocks of `blockSize` tokens, all free.
    init(blockCount: Int, blockSize: Int) {
        precondition(blockCount > 0 && blockSize > 0, "a KV pool needs blocks, and blocks need tokens")
        self.blockSize = blockSize
        owners = Array(repeating: 0, count: blockCount)
        free = (0..<Int32(blockCount)).reversed()
    }

    /// Blocks in the pool.
    var totalCount: Int { owners.count }
    /// Blocks without an owner.
    var freeCount: Int { free.count }
    /// Blocks with at least one owner.
    var usedCount: Int { totalCount - freeCount }

    /// Blocks that hold `tokens` tokens.
    func blocksNeeded(forTokens tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    /// Takes `count` free blocks for one owner; `nil`, and nothing taken, where there are fewer.
    mutating func allocate(_ count: Int) -> [Int32]? {
        guard count <= free.count else { return nil }
        let blocks = Array(free.suffix(count).reversed())
        free.removeLast(count)
        for block in blocks { owners[Int(block)] = 1 }
        return blocks
    }

    /// Adds an owner to each of `blocks`, which have one already.
    mutating func share(_ blocks: [Int32]) {
        for block in blocks {
            precondition(owners[Int(block)] > 0, "a free block cannot be shared")
            owners[Int(block)] += 1
        }
    }

    /// Takes an owner from each of `blocks`; those without another are free.
    mutating func release(_ blocks: [Int32]) {
        for block in blocks.reversed() {
            precondition(owners[Int(block)] > 0, "a free block cannot be released")
            owners[Int(block)] -= 1
            if owners[Int(block)] == 0 { free.append(block) }
        }
    }

    /// The free blocks, in no promised order, for the integrity check.
    var freeBlocks: [Int32] { free }
}
