// An index of full blocks by their tokens, which finds the blocks that sequences with a common prefix can share.

/// The id of a sequence of full blocks that the index has seen; ids are never reused.
struct PrefixID: Hashable {
    fileprivate let rawValue: UInt64

    /// The sequence of no blocks.
    static let empty = PrefixID(rawValue: 0)
}

/// The content of a full block: its tokens, and the id of the sequence before it, which its keys and values depend on.
///
/// Contents are looked up by hash and compared in full, so different contents are never confused.
struct BlockContent: Hashable {
    /// The sequence before the block.
    let parent: PrefixID
    /// The block's tokens.
    let tokens: ArraySlice<Int32>

    /// A copy with an array of the block's tokens only, so that the whole sequence's array can be released.
    fileprivate var compact: BlockContent { BlockContent(parent: parent, tokens: ArraySlice(Array(tokens))) }
}

/// The cached blocks: full blocks, free or in use, that can be found by their contents.
///
/// When a block is removed, the blocks that continue it become unreachable until they are removed too: its sequence
/// gets a new id when it is seen again.
struct PrefixIndex {
    /// A cached block.
    struct Entry {
        let block: Int32
        /// The sequence that ends with the block.
        let prefix: PrefixID
    }

    private var entries: [BlockContent: Entry] = [:]
    /// The blocks that continue each sequence, the most recently cached last.
    private var continuations: [PrefixID: [Int32]] = [:]
    /// The content of each block; `nil` if it is not cached.
    private var contents: [BlockContent?]
    private var lastID: UInt64 = 0

    /// An empty index for `blockCount` blocks.
    init(blockCount: Int) { contents = Array(repeating: nil, count: blockCount) }

    /// The block with `content`.
    func find(_ content: BlockContent) -> Entry? { entries[content] }

    /// Among the last 256 blocks that continue the sequence `prefix`, the block that begins with the most of `tokens`,
    /// and the number of these tokens; `nil` if no block begins with the first token.
    func findPartialHit(of tokens: ArraySlice<Int32>, after prefix: PrefixID) -> (block: Int32, count: Int)? {
        var best: (block: Int32, count: Int)?
        for block in (continuations[prefix] ?? []).suffix(256).reversed() {
            let count = zip(contents[Int(block)]!.tokens, tokens).prefix { $0 == $1 }.count
            if count > best?.count ?? 0 { best = (block, count) }
            if count == tokens.count { break }
        }
        return best
    }

    /// The content of a cached block; `nil` if it is not cached.
    func content(of block: Int32) -> BlockContent? { contents[Int(block)] }

    /// Caches `block`, which holds `content`, unless another block with this content is cached.
    ///
    /// - Returns: the id of the sequence that ends with `content`.
    mutating func insert(_ content: BlockContent, in block: Int32) -> PrefixID {
        precondition(contents[Int(block)] == nil, "block \(block) has a content already")
        if let cached = entries[content] { return cached.prefix }
        let content = content.compact
        lastID += 1
        let prefix = PrefixID(rawValue: lastID)
        entries[content] = Entry(block: block, prefix: prefix)
        contents[Int(block)] = content
        continuations[content.parent, default: []].append(block)
        return prefix
    }

    /// Removes a block, whose content is about to change.
    mutating func remove(_ block: Int32) {
        guard let content = contents[Int(block)] else { return }
        entries[content] = nil
        contents[Int(block)] = nil
        continuations[content.parent]!.removeAll { $0 == block }
        if continuations[content.parent]!.isEmpty { continuations[content.parent] = nil }
    }
}
