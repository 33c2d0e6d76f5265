// A part of a prompt file, for a machine of its own: `--shard 3/8`.

/// One of the parts into which the prompts of a file are cut. Whoever cuts the same file into as many gets parts that
/// together have every line once.
public struct Shard: Sendable, Hashable, LosslessStringConvertible {
    /// The most parts of a file.
    public static let mostParts = 100_000

    /// Which part, from 0.
    public let index: Int
    /// The number of parts.
    public let count: Int

    /// Reads `I/N` with I from 0 to N - 1, as Slurm and Kubernetes count; nil if it is not that.
    public init?(_ text: String) {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let index = numbers[0], let count = numbers[1],
            (1...Self.mostParts).contains(count), (0..<count).contains(index)
        else { return nil }
        (self.index, self.count) = (index, count)
    }

    /// `I/N`
    public var description: String { "\(index)/\(count)" }
}

/// A set of line numbers.
public struct LineSet: Sendable, Hashable {
    private var words: [UInt64] = []

    /// The empty set.
    public init() {}

    /// Whether a line is in it.
    public func contains(_ line: Int) -> Bool {
        let word = line >> 6
        return word < words.count && words[word] & 1 << UInt64(line & 63) != 0
    }

    /// Adds a line, which is not negative.
    public mutating func insert(_ line: Int) {
        let word = line >> 6
        if word >= words.count { words += Array(repeating: 0, count: max(word + 1 - words.count, words.count)) }
        words[word] |= 1 << UInt64(line & 63)
    }

    /// Takes a line out.
    public mutating func remove(_ line: Int) {
        if contains(line) { words[line >> 6] &= ~(1 << UInt64(line & 63)) }
    }

    /// The number of lines.
    public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }
}
