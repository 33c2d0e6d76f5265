// Which full blocks hold which tokens, so that sequences that begin alike find the blocks that they can share.

/// A sequence of full blocks that the index has seen; never another one's name.
struct PrefixID: Hashable {
    fileprivate let rawValue: UInt64

    /// The sequence of no blocks.
    static let empty = PrefixID(rawValue: 0)
}

/// What a full block holds: its own tokens, and by their name all tokens before them, which its keys and values depend on.
///
/// Contents are found by their hash and compared in full: two that differ are never taken for one another.
struct BlockContent: Hashable {
    /// The sequence before the block.
    let parent: PrefixID
    /// The block's tokens.
    let tokens: ArraySlice<Int32>

    /// Keeps the block's tokens alone alive.
    fileprivate var compact: BlockContent { BlockContent(parent: parent, tokens: ArraySlice(Array(tokens))) }
}

/// The cached blocks: full ones that can be found by their contents, free or in use.
///
/// A block that is removed leaves those that continued it unreachable, until they are removed too: the sequence gets another
/// name when it is seen again.
struct PrefixIndex {
    /// A cached block.
    struct Entry {
        let block: Int32
        /// The sequence that ends with the block.
        let prefix: PrefixID
    }

    private var entries: [BlockContent: Entry] = [:]
    /// The blocks that continue each sequence, the latest one last.
    private var continuations: [PrefixID: [Int32]] = [:]
    /// By block; `nil` where it is not cached.
    private var contents: [BlockContent?]
    private var lastID: UInt64 = 0

    /// An empty index for `blockCount` blocks.
    init(blockCount: Int) { contents = Array(repeating: nil, count: blockCount) }

    /// The block with `content`.
    func find(_ content: BlockContent) -> Entry? { entries[content] }

    /// Of the last 256 blocks that continue the sequence `prefix`, the one that begins with the most of `tokens`, and with how
    /// many; `nil` where none begins with the first.
    func findPartialHit(of tokens: ArraySlice<Int32>, after prefix: PrefixID) -> (block: Int32, count: Int)? {
        var best: (block: Int32, count: Int)?
        for block in (continuations[prefix] ?? []).suffix(256).reversed() {
            let count = zip(contents[Int(block)]!.tokens, tokens).prefix { $0 == $1 }.count
            if count > best?.count ?? 0 { best = (block, count) }
            if count == tokens.count { break }
        }
        return best
    }

    /// What a cached block holds.
    func content(of block: Int32) -> BlockContent? { contents[Int(block)] }

    /// Caches `block`, which holds `content`; nothing changes where another block with it is cached.
    ///
    /// - Returns: the name of the sequence that ends with `content`.
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

    /// Removes a block, which is about to hold something else.
    mutating func remove(_ block: Int32) {
        guard let content = contents[Int(block)] else { return }
        entries[content] = nil
        contents[Int(block)] = nil
        continuations[content.parent]!.removeAll { $0 == block }
        if continuations[content.parent]!.isEmpty { continuations[content.parent] = nil }
    }
}
