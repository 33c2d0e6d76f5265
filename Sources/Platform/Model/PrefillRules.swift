// What a device asks of a prefill: where it may begin behind cached tokens, and its rows' padding (TT contract §1.3).

/// Where a row's prefill may begin when its first tokens have keys and values already.
public enum PrefixSharing: Sendable, Equatable {
    /// With the first token only: rows share nothing.
    case none
    /// Anywhere: whole blocks are shared, and one that holds a part of what follows is copied.
    case anywhere
    /// Behind whole blocks, where the device's attention can start; nothing is copied.
    case aligned(PrefillAlignment)
}

/// The starts that a device's attention can take. They depend on how many tokens it computes for the row, padded, since a
/// longer prefill runs in larger chunks.
public struct PrefillAlignment: Sendable, Equatable {
    /// A rule for prefills of up to `length` padded tokens.
    public struct Step: Sendable, Equatable {
        /// Most padded tokens that it is for.
        public var length: Int
        /// Starts are multiples of so many tokens.
        public var multiple: Int

        /// A rule as given.
        public init(length: Int, multiple: Int) {
            self.length = length
            self.multiple = multiple
        }
    }

    /// The rules, shorter lengths first; the last one is also for all longer prefills. Not empty, multiples at least 1.
    public let steps: [Step]

    /// Rules as given; `nil` where they are not in order, or a multiple is below 1.
    public init?(steps: [Step]) {
        guard let first = steps.first, first.length > 0, steps.allSatisfy({ $0.multiple > 0 }),
            zip(steps, steps.dropFirst()).allSatisfy({ $0.length < $1.length })
        else { return nil }
        self.steps = steps
    }

    /// The last start at or before `computed` of a sequence of `total` tokens that is worth it; 0 where none is.
    ///
    /// A row that begins behind cached tokens runs alone. A short one that costs as much as a whole one, which could run
    /// together with others, is not worth it; of a long one at least the blocks are spared.
    public func start(atMost computed: Int, of total: Int, _ padding: PrefillPadding) -> Int {
        var start = computed
        // An earlier start leaves more to compute, which may ask for a larger multiple. It only ever gets less.
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

/// What a device pads each row of a prefill to.
public enum PrefillPadding: String, Decodable, Sendable, Equatable {
    /// Nothing: rows are ragged.
    case none
    /// What is left to compute, to 128, 1024, and powers of two from there.
    case rest
    /// As many tokens as the whole sequence is padded to, also behind cached ones.
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
