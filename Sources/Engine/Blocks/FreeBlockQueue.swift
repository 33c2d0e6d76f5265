// The order in which free blocks are allocated.

/// A doubly linked list of free blocks: any block can be removed in constant time.
struct FreeBlockQueue {
    /// Neighbours of each block. The last element is the ring's head and belongs to no block. The elements of a block
    /// that is not in the queue have no meaning.
    private var next: [Int32]
    private var previous: [Int32]
    /// Blocks in the queue.
    private(set) var count: Int
    private let head: Int

    /// A queue for the blocks `0..<blockCount`, none of them in it.
    init(blockCount: Int) {
        head = blockCount
        next = Array(repeating: Int32(head), count: blockCount + 1)
        previous = next
        count = 0
    }

    /// Inserts a block before all others.
    mutating func prepend(_ block: Int32) { insert(block, after: Int32(head)) }

    /// Inserts a block after all others.
    mutating func append(_ block: Int32) { insert(block, after: previous[head]) }

    /// Removes a block, which must be in the queue.
    mutating func remove(_ block: Int32) {
        let (left, right) = (previous[Int(block)], next[Int(block)])
        next[Int(left)] = right
        previous[Int(right)] = left
        count -= 1
    }

    /// Removes the first block; `nil` if the queue is empty.
    mutating func popFirst() -> Int32? {
        guard count > 0 else { return nil }
        let block = next[head]
        remove(block)
        return block
    }

    private mutating func insert(_ block: Int32, after left: Int32) {
        let right = next[Int(left)]
        (previous[Int(block)], next[Int(block)]) = (left, right)
        next[Int(left)] = block
        previous[Int(right)] = block
        count += 1
    }

    /// The blocks in order.
    var blocks: [Int32] {
        var blocks: [Int32] = []
        var block = next[head]
        while block != Int32(head), blocks.count <= head {
            blocks.append(block)
            block = next[Int(block)]
        }
        return blocks
    }
}
