// Follows a row's tokens and says what is changed in its next logits.

/// The state of a row's penalties, bad words and minimum length.
///
/// It depends on the request and the row's tokens alone, so a row that was preempted continues with the same state.
public struct RowProcessor: Sendable, Equatable {
    private let vocabulary: Int
    private let penalties: Penalties
    private let badWords: [[Int32]]
    /// Tokens that end the request, in order; excluded in the first `minTokens`.
    private let stops: [Int32]
    private let minTokens: Int
    private let allowed: TokenMask?
    /// Bias and counts of tokens, in the order of the tokens.
    private var changes: [LogitChange]
    private var generatedCount: Int
    /// The last generated tokens, as many as the longest bad word needs.
    private var tail: [Int32]

    /// The state of a row with these tokens; `nil` if nothing will ever be changed.
    ///
    /// - Parameters:
    ///   - endOfGeneration: the model's end-of-generation tokens.
    ///   - vocabulary: number of tokens; all tokens of the request are below it.
    public init?(
        _ params: SamplingParams, prompt: some Sequence<Int32>, generated: some Collection<Int32>,
        endOfGeneration: Set<Int32>, vocabulary: Int
    ) {
        let shaping = params.shaping
        let isShort = generated.count < params.minTokens
        guard isShort || shaping != .none else { return nil }
        self.vocabulary = vocabulary
        penalties = shaping.penalties
        badWords = shaping.badWords.filter { !$0.isEmpty }
        stops = isShort ? endOfGeneration.union(params.stopTokenIDs).sorted() : []
        minTokens = params.minTokens
        allowed = shaping.allowed.map { TokenMask(vocabulary: vocabulary, allowing: $0) }
        generatedCount = generated.count
        tail = []
        var changes = shaping.bias.mapValues { (count: Int32(-1), bias: $0) }
        if penalties.repetition != 1 {
            for token in prompt { changes[token, default: (0, 0)].count = 0 }
        }
        if penalties != .none {
            for token in generated {
                let count = changes[token]?.count ?? 0
                changes[token, default: (0, 0)].count = max(count, 0) + 1
            }
        }
        self.changes = changes.map { LogitChange(token: $0, count: $1.count, bias: $1.bias) }
            .sorted { $0.token < $1.token }
        remember(generated)
    }

    /// Adds the row's next token.
    public mutating func append(_ token: Int32) {
        generatedCount += 1
        remember(CollectionOfOne(token))
        guard penalties != .none else { return }
        let place = changes.firstPlace(from: token)
        if place < changes.count, changes[place].token == token {
            changes[place].count = max(changes[place].count, 0) + 1
        } else {
            changes.insert(LogitChange(token: token, count: 1), at: place)
        }
    }

    /// The changes to the next logits; `nil` if they leave no token.
    ///
    /// Where the minimum length alone leaves no token, the row may end before it, as in vLLM.
    /// - Parameter constraint: the tokens that the row's constraint allows.
    public func edits(constraint: TokenMask? = nil) -> LogitEdits? {
        let endings = badWords.compactMap(lastToken)
        var excluded = Set(endings)
        if generatedCount < minTokens {
            let all = excluded.union(stops)
            if leavesAToken(all, constraint) { excluded = all }
        }
        guard leavesAToken(excluded, constraint) else { return nil }
        return LogitEdits(
            constraint: constraint, allowed: allowed, changes: excluding(excluded.sorted()), penalties: penalties)
    }

    private mutating func remember(_ tokens: some Collection<Int32>) {
        guard let longest = badWords.map(\.count).max(), longest > 1 else { return }
        tail += tokens.suffix(longest - 1)
        tail.removeFirst(max(0, tail.count - (longest - 1)))
    }

    /// The last token of `word` if the row ends with the others.
    private func lastToken(of word: [Int32]) -> Int32? {
        let beginning = word.dropLast()
        return tail.suffix(beginning.count).elementsEqual(beginning) ? word.last : nil
    }

    private func leavesAToken(_ excluded: Set<Int32>, _ constraint: TokenMask?) -> Bool {
        guard let first = constraint ?? allowed else { return excluded.count < vocabulary }
        let mask = constraint.flatMap { constraint in allowed.map { constraint.intersection($0) } } ?? first
        return excluded.count { mask.allows($0) } < mask.count(vocabulary: vocabulary)
    }

    /// The changes, with those that exclude `tokens`, which are in order.
    private func excluding(_ tokens: [Int32]) -> [LogitChange] {
        var merged = changes
        for token in tokens {
            let change = LogitChange(token: token, bias: -.infinity)
            let place = merged.firstPlace(from: token)
            if place < merged.count, merged[place].token == token {
                merged[place] = change
            } else {
                merged.insert(change, at: place)
            }
        }
        return merged
    }
}

extension [LogitChange] {
    /// The place of the first change of `token` or a later one.
    fileprivate func firstPlace(from token: Int32) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].token < token { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
