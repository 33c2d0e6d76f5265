// A set of tokens as one bit each: a word of 32 bits belongs to a tile of logits.

/// Tokens of a vocabulary that may be chosen.
public struct TokenMask: Sendable, Hashable {
    /// Bit `t % 32` of word `t / 32` is token t's; the bits after the last token have no meaning.
    public private(set) var words: [UInt32]

    /// The mask with these words, one for each tile of the vocabulary.
    public init(words: [UInt32]) { self.words = words }

    /// The mask that allows `tokens`, which are in the vocabulary, and no others.
    public init(vocabulary: Int, allowing tokens: some Sequence<Int32>) {
        words = Array(repeating: 0, count: LogitTile.count(vocabulary: vocabulary))
        for token in tokens { words[Int(token) / 32] |= 1 << UInt32(token % 32) }
    }

    /// Whether the mask allows `token`.
    public func allows(_ token: Int32) -> Bool { words[Int(token) / 32] >> UInt32(token % 32) & 1 == 1 }

    /// Allows `token`, too.
    mutating func allow(_ token: Int32) { words[Int(token) / 32] |= 1 << UInt32(token % 32) }

    /// The mask of the same vocabulary that allows all tokens but some.
    func all(but excluded: Set<Int32>) -> TokenMask {
        var words = words.map { _ in ~0 as UInt32 }
        for token in excluded where token >= 0 && Int(token) / 32 < words.count {
            words[Int(token) / 32] &= ~(1 << UInt32(token % 32))
        }
        return TokenMask(words: words)
    }

    /// The tokens that both masks allow.
    public func intersection(_ other: TokenMask) -> TokenMask {
        precondition(words.count == other.words.count, "masks of the same vocabulary")
        var words = words
        for index in words.indices { words[index] &= other.words[index] }
        return TokenMask(words: words)
    }

    /// The number of tokens below `vocabulary` that it allows.
    public func count(vocabulary: Int) -> Int {
        var count = 0
        for (index, word) in words.enumerated() {
            let valid = min(32, vocabulary - index * 32)
            count += (valid == 32 ? word : word & (1 << UInt32(valid) - 1)).nonzeroBitCount
        }
        return count
    }
}
