// The reference for the sampler: sampling by the definition; and reproducible random numbers.

import Foundation
import Sampling

/// Sampling by the definition: sort everything, cut, normalise.
enum NaiveSampler {
    static func probabilities(_ logits: [Float], _ params: TTSamplingParams) -> [Double] {
        probabilities(logits.map { $0.isNaN ? -Double.infinity : Double($0) }, params)
    }

    static func probabilities(_ logits: [Double], _ params: TTSamplingParams) -> [Double] {
        let highest = logits.max()!
        let weights = logits.map { exp(($0 - highest) / Double(params.temperature)) }
        let order = logits.indices.sorted { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
        let topK = params.topK <= 0 ? logits.count : min(Int(params.topK), logits.count)
        var kept = Array(order.filter { weights[$0] >= Double(params.minP) }.prefix(topK))
        kept = first(kept, reaching: params.topP, weights)
        if params.typicalP < 1 {
            kept.removeAll { weights[$0] == 0 }
            let total = kept.reduce(0) { $0 + weights[$1] }
            let entropy = kept.reduce(0) { $0 - weights[$1] / total * log(weights[$1] / total) }
            let distance = weights.map { abs(-log($0 / total) - entropy) }
            kept.sort { distance[$0] != distance[$1] ? distance[$0] < distance[$1] : $0 < $1 }
            kept = first(kept, reaching: params.typicalP, weights)
        }
        var probabilities = Array(repeating: 0.0, count: logits.count)
        let total = kept.reduce(0) { $0 + weights[$1] }
        for token in kept { probabilities[token] = weights[token] / total }
        return probabilities
    }

    /// The first tokens that together reach a part of the weight of all, at least one.
    private static func first(_ tokens: [Int], reaching part: Float, _ weights: [Double]) -> [Int] {
        guard part < 1 else { return tokens }
        let goal = Double(part) * tokens.reduce(0) { $0 + weights[$1] }
        var sum = 0.0
        let end = tokens.firstIndex { token in
            defer { sum += weights[token] }
            return sum > 0 && sum >= goal
        }
        return Array(tokens[..<(end ?? tokens.count)])
    }

    static func sample(_ logits: [Float], _ params: TTSamplingParams, position: Int) -> Int32 {
        let highest = logits.indices.max { (logits[$0], -$0) < (logits[$1], -$1) }!
        if params.isGreedy || logits[highest] == -.infinity { return Int32(highest) }
        let target = Double(SampleStream.uniform(seed: params.seed, position: position))
        var sum = 0.0
        for (index, probability) in probabilities(logits, params).enumerated() {
            sum += probability
            if sum > target { return Int32(index) }
        }
        return Int32(highest)
    }

    /// Whether `token` is right, if sums may be rounded: its share, widened by 10⁻⁶ at both ends, holds the number drawn,
    /// and so does the share of the nucleus's last token.
    static func allows(_ token: Int32, _ logits: [Float], _ params: TTSamplingParams, position: Int) -> Bool {
        let clean = logits.map { $0.isNaN ? -Float.infinity : $0 }
        let highest = clean.max()!
        if params.isGreedy || !highest.isFinite { return Int(token) == clean.firstIndex(of: highest)! }
        let target = Double(SampleStream.uniform(seed: params.seed, position: position))
        return [0, -1e-6, 1e-6].contains { slack in
            var params = params
            if params.topP < 1 { params.topP = min(params.topP * Float(1 + slack), 1) }
            let probabilities = probabilities(logits, params)
            let below = probabilities[..<Int(token)].reduce(0, +)
            let share = probabilities[Int(token)]
            return share > 0 && below - 1e-6 <= target && target <= below + share + 1e-6
        }
    }
}
