// Finds the first tokens of a row that together reach a count or a weight, without sorting the row.

import Glibc

/// Collects tokens and keeps the first in the order of `TokenRank`, the fewest that reach a goal.
///
/// Once the tokens up to a rank reach the goal, tokens after that rank are dropped at once.
struct TokenSelection {
    /// A token that may be drawn.
    struct Candidate: BitwiseCopyable {
        let rank: TokenRank
        let weight: Float
    }

    /// What is added up until it reaches the goal.
    enum Measure {
        case tokens
        case weight
    }

    private let candidates: UnsafeMutablePointer<Candidate>
    private var measure: Measure
    private var goal: Double
    /// Tokens of less weight are never kept, nor are those without any.
    let floor: Float
    private var count = 0
    private var sum = 0.0
    /// Number of candidates at which the next cut pays: a quarter more than the last cut kept.
    private var cutCount = 0
    /// Tokens after this rank are never kept; `.last` until the goal has been reached.
    private(set) var bound = TokenRank.last

    /// An empty selection in memory for a row's tokens.
    init(_ candidates: UnsafeMutablePointer<Candidate>, reaching goal: Double, of measure: Measure, floor: Float = 0) {
        self.candidates = candidates
        self.goal = goal
        self.measure = measure
        self.floor = max(floor, .leastNonzeroMagnitude)
    }

    /// The kept candidates, in no order.
    var kept: UnsafeBufferPointer<Candidate> { UnsafeBufferPointer(start: candidates, count: count) }

    /// Adds `count` tokens from `first` on, with their logits and weights.
    mutating func insert(
        from first: Int, count: Int, _ logits: UnsafePointer<Float>, _ weights: UnsafePointer<Float>
    ) {
        var index = 0
        while index < count {
            let candidate = Candidate(
                rank: TokenRank(logit: logits[index], token: first + index), weight: weights[index])
            // Always written: a branch here could not be predicted.
            candidates[self.count] = candidate
            let isKept = candidate.weight >= floor && candidate.rank < bound
            self.count += isKept ? 1 : 0
            sum += isKept ? amount(candidate.weight) : 0
            index += 1
        }
        if sum >= goal, self.count >= cutCount { cut() }
    }

    /// Drops the candidates that are not needed to reach the goal; the first token always stays.
    mutating func cut() {
        guard count > 0, goal < .infinity else { return }
        var (low, high, before) = (0, count, 0.0)
        var places = PivotPlaces()
        while high - low > 1 {
            let (split, part) = partition(low, high, by: pivot(low, high, &places))
            if before + part >= goal {
                high = split
            } else {
                before += part
                low = split
            }
        }
        count = high
        sum = before + amount(candidates[low].weight)
        cutCount = count + count / 4 + 1
        if sum >= goal { bound = candidates[low].rank }
    }

    /// Keeps the first of the kept tokens that reach the fraction `share` of their total weight.
    mutating func narrow(toShare share: Double) {
        measure = .weight
        goal = share * kept.reduce(0) { $0 + Double($1.weight) }
        cut()
    }

    /// Keeps the kept tokens whose information is nearest to the mean information (arXiv 2202.00666), the fewest that
    /// reach the fraction `share` of their total weight.
    ///
    /// - Returns: which tokens these are.
    mutating func narrow(toTypicalShare share: Double) -> TypicalTokens {
        let total = kept.reduce(0) { $0 + Double($1.weight) }
        var entropy = 0.0
        for candidate in kept {
            let probability = Double(candidate.weight) / total
            entropy -= probability * log(probability)
        }
        var typical = TypicalTokens(total: total, entropy: entropy)
        for index in 0..<count {
            let (token, weight) = (candidates[index].rank.token, candidates[index].weight)
            candidates[index] = Candidate(rank: typical.rank(token: token, weight: weight), weight: weight)
        }
        (bound, cutCount) = (.last, 0)
        narrow(toShare: share)
        typical.last = kept.reduce(kept[0].rank) { max($0, $1.rank) }
        return typical
    }

    /// Puts the candidates up to rank `pivot` before the others of a range.
    ///
    /// - Returns: where the others begin, and the measure of the first part.
    private func partition(_ low: Int, _ high: Int, by pivot: TokenRank) -> (split: Int, measure: Double) {
        var (split, sum) = (low, 0.0)
        var index = low
        while index < high {
            // Always swapped, for the same reason.
            let candidate = candidates[index]
            candidates[index] = candidates[split]
            candidates[split] = candidate
            let isFirst = candidate.rank <= pivot
            split += isFirst ? 1 : 0
            sum += isFirst ? amount(candidate.weight) : 0
            index += 1
        }
        return (split, sum)
    }

    /// The median rank of three candidates of the range; never the last rank in it.
    private func pivot(_ low: Int, _ high: Int, _ places: inout PivotPlaces) -> TokenRank {
        let third = (high - low) / 3
        guard third > 0 else { return min(candidates[low].rank, candidates[low + 1].rank) }
        let first = candidates[low + places.next(below: third)].rank
        let second = candidates[low + third + places.next(below: third)].rank
        let last = candidates[low + 2 * third + places.next(below: third)].rank
        return max(min(first, second), min(max(first, second), last))
    }

    private func amount(_ weight: Float) -> Double { measure == .tokens ? 1 : Double(weight) }
}

/// The order of tokens by how far their information is from the mean, and the last token of it that is kept.
struct TypicalTokens {
    /// The weight of the tokens that there were to choose from.
    let total: Double
    /// Their mean information, in nats.
    let entropy: Double
    fileprivate(set) var last = TokenRank.last

    fileprivate init(total: Double, entropy: Double) {
        self.total = total
        self.entropy = entropy
    }

    func rank(token: Int, weight: Float) -> TokenRank {
        TokenRank(logit: Float(-abs(-log(Double(weight) / total) - entropy)), token: token)
    }
}

/// Deterministic pseudo-random places for pivots, so that no usual order of a row makes the work quadratic.
private struct PivotPlaces {
    private var state: UInt64 = 0

    mutating func next(below count: Int) -> Int {
        state = state &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
        return Int(state.multipliedFullWidth(by: UInt64(count)).high)
    }
}
