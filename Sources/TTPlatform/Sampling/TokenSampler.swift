// Chooses a row's next token from its logits; host sampler and host device share it, so the place cannot change the token.

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Sampling in vLLM's order: temperature, then top-k, then top-p, then one draw (arXiv 1904.09751 for top-p).
///
/// Everything is decided by the logits, the parameters and the position alone. Among equal logits the lower token id
/// comes first; the draw goes through the kept tokens in the order of their ids. A NaN counts as −∞.
public enum TokenSampler {
    /// The token that will stand at `position` of its sequence.
    ///
    /// - Parameters:
    ///   - logits: `[vocabulary]`, not empty; −∞ excludes a token.
    ///   - params: temperature, top-k, top-p, and the seed of the row's `SampleStream`.
    ///   - position: position of the token to choose, counted from 0 at the prompt's first token.
    public static func sample(
        _ logits: UnsafeBufferPointer<Float>, _ params: TTSamplingParams, position: Int
    ) -> Int32 {
        let best = mostProbable(logits)
        let highest = logits[Int(best)]
        // An infinite highest logit leaves nothing to weigh: +∞ is certain, −∞ means that all are excluded.
        guard !params.isGreedy, highest.isFinite else { return best }
        let uniform = Double(SampleStream.uniform(seed: params.seed, position: position))
        let scale = Scale(highest: Double(highest), temperature: Double(params.temperature))
        let keepsAll = params.topK <= 0 || Int(params.topK) >= logits.count
        if keepsAll && params.topP >= 1 {
            return drawFromAll(logits, scale, uniform) ?? best
        }
        var kept =
            keepsAll
            ? aboveNucleusBound(logits, scale, topP: Double(params.topP))
            : topK(logits, scale, Int(params.topK))
        if params.topP < 1 {
            kept.candidates = nucleus(kept.candidates, mass: Double(params.topP) * kept.total)
        }
        return draw(kept.candidates, uniform) ?? best
    }

    /// The first of the highest logits.
    static func mostProbable(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
        precondition(!logits.isEmpty, "a row has at least one logit")
        let values = logits.baseAddress!
        var best = 0
        var highest = -Float.infinity
        var index = 0
        while index < logits.count {
            if values[index] > highest {
                highest = values[index]
                best = index
            }
            index += 1
        }
        return Int32(best)
    }
}

extension TokenSampler {
    /// Turns logits into weights, the highest one being 1: no temperature can overflow it.
    struct Scale {
        let highest: Double
        let temperature: Double

        func weight(_ logit: Float) -> Double {
            let weight = exp((Double(logit) - highest) / temperature)
            return weight.isNaN ? 0 : weight
        }
    }

    /// A token that may be drawn. `weight` is a logit while top-k selects, then a probability up to a common factor.
    struct Candidate {
        var weight: Double
        var token: Int32

        /// Descending weight, then ascending token.
        static func precedes(_ left: Candidate, _ right: Candidate) -> Bool {
            left.weight != right.weight ? left.weight > right.weight : left.token < right.token
        }
    }

    /// Tokens that may be drawn, in the order of their ids.
    struct Selection {
        var candidates: [Candidate]
        /// Weight of everything that top-p's share is taken of.
        var total: Double
    }

    /// A draw from the whole vocabulary, without a list of candidates.
    private static func drawFromAll(
        _ logits: UnsafeBufferPointer<Float>, _ scale: Scale, _ uniform: Double
    ) -> Int32? {
        withUnsafeTemporaryAllocation(of: Double.self, capacity: logits.count) { cumulative in
            let values = logits.baseAddress!
            let sums = cumulative.baseAddress!
            var sum = 0.0
            var index = 0
            while index < logits.count {
                sum += scale.weight(values[index])
                sums[index] = sum
                index += 1
            }
            let target = uniform * sum
            var low = 0
            var high = logits.count
            while low < high {
                let middle = (low + high) / 2
                if sums[middle] > target { high = middle } else { low = middle + 1 }
            }
            return low < logits.count ? Int32(low) : nil
        }
    }

    /// A draw from candidates in the order of their tokens.
    private static func draw(_ candidates: [Candidate], _ uniform: Double) -> Int32? {
        let target = uniform * candidates.reduce(0) { $0 + $1.weight }
        var sum = 0.0
        for candidate in candidates {
            sum += candidate.weight
            if sum > target { return candidate.token }
        }
        return nil
    }

    /// The `count` highest logits: a heap whose root is the last of them, so that most logits cost one comparison.
    private static func topK(
        _ logits: UnsafeBufferPointer<Float>, _ scale: Scale, _ count: Int
    ) -> Selection {
        let values = logits.baseAddress!
        var heap = CandidateHeap()
        heap.reserve(count)
        var bound = -Float.infinity
        var index = 0
        while index < logits.count {
            let logit = values[index].isNaN ? -Float.infinity : values[index]
            if heap.count < count {
                heap.insert(Candidate(weight: Double(logit), token: Int32(index)))
                if heap.count == count { bound = Float(heap.root.weight) }
            } else if logit > bound {
                heap.replaceRoot(Candidate(weight: Double(logit), token: Int32(index)))
                bound = Float(heap.root.weight)
            }
            index += 1
        }
        let candidates = heap.elements.sorted { $0.token < $1.token }.map { kept in
            Candidate(weight: scale.weight(Float(kept.weight)), token: kept.token)
        }
        return Selection(candidates: candidates, total: candidates.reduce(0) { $0 + $1.weight })
    }

    /// The tokens that can be in the nucleus, and the weight of all tokens.
    ///
    /// Tokens that weigh less than (1 − p)/V of the total weigh less than 1 − p of it together, so none of them is in
    /// the nucleus; what is left is short in practice.
    private static func aboveNucleusBound(
        _ logits: UnsafeBufferPointer<Float>, _ scale: Scale, topP: Double
    ) -> Selection {
        withUnsafeTemporaryAllocation(of: Double.self, capacity: logits.count) { buffer in
            let values = logits.baseAddress!
            let weights = buffer.baseAddress!
            var total = 0.0
            var index = 0
            while index < logits.count {
                weights[index] = scale.weight(values[index])
                total += weights[index]
                index += 1
            }
            // Half the bound, because sums are rounded.
            let bound = 0.5 * (1 - max(topP, 0)) * total / Double(logits.count)
            var candidates: [Candidate] = []
            index = 0
            while index < logits.count {
                if weights[index] >= bound {
                    candidates.append(Candidate(weight: weights[index], token: Int32(index)))
                }
                index += 1
            }
            return Selection(candidates: candidates, total: total)
        }
    }

    /// The most probable candidates, until they reach `mass`; at least one, in the order in which they came.
    ///
    /// Candidates are put in buckets by the leading bits of their weights, so that only the bucket in which the nucleus
    /// ends has to be sorted.
    private static func nucleus(_ candidates: [Candidate], mass: Double) -> [Candidate] {
        var sums: [Double] = []
        for candidate in candidates {
            let bucket = bucket(candidate.weight)
            while sums.count <= bucket { sums.append(0) }
            sums[bucket] += candidate.weight
        }
        var sum = 0.0
        var last = 0
        while last < sums.count - 1, sum + sums[last] < mass || sums[last] == 0 {
            sum += sums[last]
            last += 1
        }
        let boundary = candidates.filter { bucket($0.weight) == last }.sorted(by: Candidate.precedes)
        var end = 0
        while end < boundary.count - 1, sum + boundary[end].weight < mass {
            sum += boundary[end].weight
            end += 1
        }
        return candidates.filter { !Candidate.precedes(boundary[end], $0) }
    }

    /// 64 buckets for each power of two, descending from weight 1.
    private static func bucket(_ weight: Double) -> Int {
        Int((1.0.bitPattern - min(weight, 1).bitPattern) >> 46)
    }
}
