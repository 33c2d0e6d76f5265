// An index of full blocks by their tokens, which finds the blocks that sequences with a common prefix can share.

import Platform

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
/// A content has one block in each group of the KV cache, or none where it was evicted. If the first group keeps all
/// tokens of a sequence, a content is known as long as its block there is: when that is removed, the blocks that
/// continue it become unreachable until they are removed too, since its sequence gets a new id when it is seen again. If
/// the first group has a window, blocks can be shared without those far before them, so a content is known as long as it
/// has a block, or is continued by another that is known.
struct PrefixIndex {
    /// A known content.
    struct Entry {
        /// Its block in each group; `KVCacheShape.noBlock` where there is none.
        fileprivate(set) var blocks: [Int32]
        /// The sequence that ends with the content.
        let prefix: PrefixID
        /// The number of known contents that continue the sequence; not counted if the first group keeps all tokens.
        fileprivate var continuations = 0
    }

    private var entries: [BlockContent: Entry] = [:]
    /// The first group's blocks that continue each sequence, the most recently cached last.
    private var continuations: [PrefixID: [Int32]] = [:]
    /// The content of each group's blocks; `nil` if a block is not cached.
    private var contents: [[BlockContent?]]
    /// The content that each sequence ends with; empty if the first group keeps all tokens.
    private var ends: [PrefixID: BlockContent] = [:]
    private var lastID: UInt64 = 0
    private let firstKeepsAll: Bool

    /// An empty index for groups of `blockCounts` blocks.
    ///
    /// - Parameter firstKeepsAll: whether the first group keeps all tokens of a sequence.
    init(blockCounts: [Int], firstKeepsAll: Bool) {
        contents = blockCounts.map { Array(repeating: nil, count: $0) }
        self.firstKeepsAll = firstKeepsAll
    }

    /// The entry of `content`.
    func find(_ content: BlockContent) -> Entry? { entries[content] }

    /// Among the last 256 blocks that continue the sequence `prefix` in the first group, the one that begins with the
    /// most of `tokens`, with those of the other groups, and the number of these tokens; `nil` if no block begins with
    /// the first token.
    func findPartialHit(of tokens: ArraySlice<Int32>, after prefix: PrefixID) -> (blocks: [Int32], count: Int)? {
        var best: (blocks: [Int32], count: Int)?
        for block in (continuations[prefix] ?? []).suffix(256).reversed() {
            let content = contents[0][Int(block)]!
            let count = zip(content.tokens, tokens).prefix { $0 == $1 }.count
            guard count > best?.count ?? 0, let blocks = entries[content]?.blocks,
                !blocks.contains(KVCacheShape.noBlock)
            else { continue }
            best = (blocks, count)
            if count == tokens.count { break }
        }
        return best
    }

    /// The content of a cached block of `group`; `nil` if it is not cached.
    func content(of block: Int32, in group: Int) -> BlockContent? { contents[group][Int(block)] }

    /// Caches `blocks`, one of each group, which hold `content`; in a group in which another block with this content is
    /// cached, that remains.
    ///
    /// - Returns: the id of the sequence that ends with `content`.
    mutating func insert(_ content: BlockContent, in blocks: [Int32]) -> PrefixID {
        let known = entries[content]
        if let known, !known.blocks.contains(KVCacheShape.noBlock) { return known.prefix }
        let content = content.compact
        var entry = known ?? addEntry(content, groups: blocks.count)
        for (group, block) in blocks.enumerated() where entry.blocks[group] == KVCacheShape.noBlock {
            precondition(contents[group][Int(block)] == nil, "block \(block) has a content already")
            entry.blocks[group] = block
            contents[group][Int(block)] = content
            if group == 0 { continuations[content.parent, default: []].append(block) }
        }
        entries[content] = entry
        return entry.prefix
    }

    private mutating func addEntry(_ content: BlockContent, groups: Int) -> Entry {
        lastID += 1
        let entry = Entry(
            blocks: Array(repeating: KVCacheShape.noBlock, count: groups), prefix: PrefixID(rawValue: lastID))
        if !firstKeepsAll {
            ends[entry.prefix] = content
            if let before = ends[content.parent] { entries[before]!.continuations += 1 }
        }
        return entry
    }

    /// Removes a block of `group`, whose content is about to change.
    mutating func remove(_ block: Int32, in group: Int) {
        guard let content = contents[group][Int(block)] else { return }
        contents[group][Int(block)] = nil
        if group == 0 {
            continuations[content.parent]!.removeAll { $0 == block }
            if continuations[content.parent]!.isEmpty { continuations[content.parent] = nil }
        }
        // The content may be unknown by now, or have another block.
        guard entries[content]?.blocks[group] == block else { return }
        entries[content]!.blocks[group] = KVCacheShape.noBlock
        if !firstKeepsAll { forgetUnused(content) } else if group == 0 { entries[content] = nil }
    }

    /// Removes the entry of `content` if it has no block and no continuation, and then those before it.
    private mutating func forgetUnused(_ content: BlockContent) {
        var last: BlockContent? = content
        while let content = last, let entry = entries[content], entry.continuations == 0,
            entry.blocks.allSatisfy({ $0 == KVCacheShape.noBlock })
        {
            entries[content] = nil
            ends[entry.prefix] = nil
            last = ends[content.parent]
            if let last { entries[last]!.continuations -= 1 }
        }
    }
}
