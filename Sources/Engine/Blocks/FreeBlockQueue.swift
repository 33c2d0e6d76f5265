// The order in which free blocks are given out.

/// Free blocks, in a doubly linked list: any of them can be taken out in constant time.
struct FreeBlockQueue {
    /// Neighbours of each block; the last element is the ring's head and belongs to no block. Those of a block that is not
    /// in the queue mean nothing.
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

    /// Puts a block before all others.
    mutating func prepend(_ block: Int32) { insert(block, after: Int32(head)) }

    /// Puts a block behind all others.
    mutating func append(_ block: Int32) { insert(block, after: previous[head]) }

    /// Takes a block out, which must be in the queue.
    mutating func remove(_ block: Int32) {
        let (left, right) = (previous[Int(block)], next[Int(block)])
        next[Int(left)] = right
        previous[Int(right)] = left
        count -= 1
    }

    /// Takes the first block out; `nil` where there is none.
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

    /// The blocks in their order.
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
