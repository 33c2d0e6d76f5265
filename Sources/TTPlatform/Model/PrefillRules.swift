// What a device asks of a prefill: where it may begin behind cached tokens, and what its rows are padded to (contract §1.3).

/// Where a row's prefill may begin when its first tokens have keys and values already.
public enum PrefixSharing: Sendable, Equatable {
    /// With the first token only: rows share nothing.
    case none
    /// Anywhere: whole blocks are shared, and one that holds a part of what follows is copied.
    case anywhere
    /// Behind whole blocks, where the device's attention can start; nothing is copied.
    case aligned(PrefillAlignment)
}

/// The starts that a device's attention can take. They depend on the padded length of what is left to compute, since a
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

    /// The last start at or before `computed` of a sequence of `total` tokens, padded as `padding` says.
    public func start(atMost computed: Int, of total: Int, _ padding: PrefillPadding) -> Int {
        var start = computed
        // An earlier start leaves more to compute, which may ask for a larger multiple. It only ever gets less.
        while true {
            let multiple = multiple(forLength: padding.padded(total - start))
            let floored = start / multiple * multiple
            if floored == start { return start }
            start = floored
        }
    }

    private func multiple(forLength length: Int) -> Int {
        (steps.first { length <= $0.length } ?? steps[steps.count - 1]).multiple
    }
}

/// What a device pads each row of a prefill to.
public enum PrefillPadding: Sendable, Equatable {
    /// Nothing: rows are ragged.
    case none
    /// 128, 1024, and powers of two from there.
    case buckets

    /// Tokens that the device computes for a row of `tokens`, at least 1.
    public func padded(_ tokens: Int) -> Int {
        switch self {
        case .none: return tokens
        case .buckets:
            if tokens <= 128 { return 128 }
            if tokens <= 1024 { return 1024 }
            return 1 << (Int.bitWidth - (tokens - 1).leadingZeroBitCount)
        }
    }
}
