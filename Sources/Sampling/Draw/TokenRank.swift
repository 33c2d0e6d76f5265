// The order of a row's tokens from the most to the least probable, as one integer; and a heap of such ranks.

/// A token's place in the order: descending logit, among equal logits ascending id. No two tokens of a row share a
/// rank.
struct TokenRank: Comparable, BitwiseCopyable {
    private let bits: UInt64

    /// The rank of `token`; its logit is not NaN.
    @inline(__always)
    init(logit: Float, token: Int) {
        // Adding 0 turns −0 into 0. A negative number's bits already descend with its value.
        let pattern = (logit + 0).bitPattern
        let descending = pattern >> 31 == 1 ? pattern : pattern ^ 0x7FFF_FFFF
        bits = UInt64(descending) << 32 | UInt64(UInt32(truncatingIfNeeded: token))
    }

    private init(bits: UInt64) { self.bits = bits }

    /// A rank after those of all tokens.
    static let last = TokenRank(bits: .max)

    var token: Int { Int(bits & 0xFFFF_FFFF) }

    @inline(__always)
    static func < (left: TokenRank, right: TokenRank) -> Bool { left.bits < right.bits }
}

/// A binary heap with the first rank at its root, in memory that the caller owns.
struct RankHeap {
    private let ranks: UnsafeMutablePointer<TokenRank>
    private var count: Int

    /// Takes over `count` ranks in any order.
    init(_ ranks: UnsafeMutablePointer<TokenRank>, count: Int) {
        self.ranks = ranks
        self.count = count
        var parent = count / 2
        while parent > 0 {
            parent -= 1
            siftDown(ranks[parent], from: parent)
        }
    }

    /// The first rank, which is not removed; nil if there is none.
    var first: TokenRank? { count > 0 ? ranks[0] : nil }

    mutating func removeFirst() {
        count -= 1
        if count > 0 { siftDown(ranks[count], from: 0) }
    }

    /// Puts `rank` at `hole` or below it.
    private func siftDown(_ rank: TokenRank, from hole: Int) {
        var hole = hole
        while true {
            var child = 2 * hole + 1
            guard child < count else { break }
            if child + 1 < count, ranks[child + 1] < ranks[child] { child += 1 }
            guard ranks[child] < rank else { break }
            ranks[hole] = ranks[child]
            hole = child
        }
        ranks[hole] = rank
    }
}
