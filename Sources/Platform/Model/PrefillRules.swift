// A device's rules for prefill: where it may begin after cached tokens, and how rows are padded (TT contract §1.3).

/// Where a row's prefill may begin if the keys and values of its first tokens are cached.
public enum PrefixSharing: Sendable, Equatable {
    /// At the first token only: rows share no blocks.
    case none
    /// At any token: full blocks are shared, and the block of a partial hit is copied.
    case anywhere
    /// After full blocks, at positions where the device's attention can start; no block is copied.
    case aligned(PrefillAlignment)
}

/// The positions at which a device's attention can start. They depend on the number of padded tokens that it computes
/// for the row, since a longer prefill runs in larger chunks.
public struct PrefillAlignment: Sendable, Equatable {
    /// A rule for prefills of up to `length` padded tokens.
    public struct Step: Sendable, Equatable {
        /// Maximum number of padded tokens that the rule applies to.
        public var length: Int
        /// Start positions are multiples of this number of tokens.
        public var multiple: Int

        /// For prefills of up to `length` padded tokens, start positions are multiples of `multiple`.
        public init(length: Int, multiple: Int) {
            self.length = length
            self.multiple = multiple
        }
    }

    /// The rules in ascending order of length; the last one also applies to all longer prefills. Not empty; multiples
    /// are at least 1.
    public let steps: [Step]

    /// An alignment by `steps`; `nil` if there are none, the lengths do not ascend, or a length or multiple is below 1.
    public init?(steps: [Step]) {
        guard let first = steps.first, first.length > 0, steps.allSatisfy({ $0.multiple > 0 }),
            zip(steps, steps.dropFirst()).allSatisfy({ $0.length < $1.length })
        else { return nil }
        self.steps = steps
    }

    /// The last position at or before `computed` where the prefill of a sequence of `total` tokens should start; 0 if
    /// starting after cached tokens does not pay.
    ///
    /// A row that starts after cached tokens runs alone. If the sequence is short and, padded, costs as much as without
    /// cached tokens, it starts at 0, where it can run together with others. A long sequence at least saves blocks.
    public func start(atMost computed: Int, of total: Int, _ padding: PrefillPadding) -> Int {
        var start = computed
        // An earlier start leaves more tokens to compute, which may need a larger multiple. `start` only decreases.
        while start > 0 {
            let multiple = multiple(forLength: padding.length(of: total, from: start))
            let floored = start / multiple * multiple
            if floored == start { break }
            start = floored
        }
        let whole = padding.length(of: total, from: 0)
        return whole <= Self.shortLength && padding.length(of: total, from: start) >= whole ? 0 : start
    }

    private static let shortLength = 1024

    private func multiple(forLength length: Int) -> Int {
        (steps.first { length <= $0.length } ?? steps[steps.count - 1]).multiple
    }
}

/// The length to which a device pads each row of a prefill.
public enum PrefillPadding: String, Decodable, Sendable, Equatable {
    /// No padding: rows are ragged.
    case none
    /// The tokens left to compute are padded to 128, 1024, and powers of two from there.
    case rest
    /// The padded length of the whole sequence, also after cached tokens.
    case whole

    /// Tokens that the device computes for a row of `total` tokens from position `start` on.
    public func length(of total: Int, from start: Int) -> Int {
        switch self {
        case .none: total - start
        case .rest: Self.bucket(total - start)
        case .whole: Self.bucket(total)
        }
    }

    private static func bucket(_ tokens: Int) -> Int {
        if tokens <= 128 { return 128 }
        if tokens <= 1024 { return 1024 }
        return 1 << (Int.bitWidth - (tokens - 1).leadingZeroBitCount)
    }
}
