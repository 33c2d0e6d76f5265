// The paged KV cache: groups of layers, each with a pool of blocks, and which blocks of a sequence a step needs.

/// Layers whose keys and values are kept for as many tokens: a block holds some tokens of all of them.
public struct KVCacheGroup: Sendable, Equatable {
    /// Positions that a token of these layers attends to, its own included; `nil` for all before it.
    public var window: Int?
    /// Blocks that rows can own.
    public var blockCount: Int

    /// A group of `blockCount` blocks for layers with `window`.
    public init(window: Int? = nil, blockCount: Int) {
        self.window = window
        self.blockCount = blockCount
    }
}

/// The paged KV cache: a pool of blocks for each group, shared by all rows (TT contract §1.2, §2.4).
///
/// A row has a list of blocks in each group, in the order of its tokens and of the same length. Where the tokens of a
/// block lie behind the group's window, the row owns no block.
public struct KVCacheShape: Sendable, Equatable {
    /// The groups, at least one; the layers without a window first, then those with the longest windows.
    public var groups: [KVCacheGroup]
    /// Tokens in a block.
    public var blockSize: Int
    /// Each group has an additional block 0, which no row owns. The unused entries of page tables name it, so what a
    /// device writes or reads through them does no harm.
    public var hasNullBlock: Bool

    /// In a row's list of blocks: the row owns no block for these tokens, because no later token attends to them.
    public static let noBlock: Int32 = -1

    /// Pools of `groups`, with blocks of `blockSize` tokens.
    public init(groups: [KVCacheGroup], blockSize: Int, hasNullBlock: Bool = false) {
        self.groups = groups
        self.blockSize = blockSize
        self.hasNullBlock = hasNullBlock
    }

    /// One pool of `blockCount` blocks of `blockSize` tokens, which keep all tokens of all layers.
    public init(blockCount: Int, blockSize: Int, hasNullBlock: Bool = false) {
        self.init(groups: [KVCacheGroup(blockCount: blockCount)], blockSize: blockSize, hasNullBlock: hasNullBlock)
    }

    /// Blocks of the first group that rows can own.
    public var blockCount: Int { groups[0].blockCount }
    /// Longest sequence that every group can hold as a whole, in tokens. A prefill needs it as a whole.
    public var longestSequence: Int { groups.map(\.blockCount).min()! * blockSize }

    /// Blocks to allocate for a group.
    public func allocatedCount(of group: Int) -> Int { groups[group].blockCount + (hasNullBlock ? 1 : 0) }
    /// A group's blocks that rows can own, as page tables name them.
    public func blocks(of group: Int) -> Range<Int32> { (hasNullBlock ? 1 : 0)..<Int32(allocatedCount(of: group)) }

    /// The place in a row's list of the first block that the token at `position` attends to. No later token attends to
    /// a block before it.
    public func firstBlock(of group: Int, at position: Int) -> Int {
        groups[group].window.map { max(0, position + 1 - $0) / blockSize } ?? 0
    }

    /// The group that keeps enough tokens for a layer with `window`, and no more than necessary; `nil` if none does.
    public func group(ofWindow window: Int?) -> Int? {
        groups.lastIndex { group in group.window.map { kept in window.map { $0 <= kept } ?? false } ?? true }
    }
}
