// Ends texts that have begun to repeat themselves.

/// A text ends when its last tokens are one sequence, over and over.
public struct RepetitionLimit: Sendable, Hashable {
    /// The lengths of sequences that count, in tokens; at least 1.
    public var lengths: ClosedRange<Int>
    /// How often a sequence must follow itself, at least 2.
    public var count: Int

    /// A limit of `count` sequences.
    public init(lengths: ClosedRange<Int>, count: Int) {
        self.lengths = lengths
        self.count = count
    }

    /// Whether the generated `tokens` end with such a repetition.
    public func isReached(by tokens: some BidirectionalCollection<Int32> & RandomAccessCollection<Int32>) -> Bool {
        for length in lengths where length * count <= tokens.count {
            let tail = tokens.suffix(length * count)
            // Every token equals the one a sequence before it.
            if zip(tail, tail.dropFirst(length)).allSatisfy({ $0 == $1 }) { return true }
        }
        return false
    }
}
