// The reference for the sampler: sampling by the definition; and reproducible random numbers.

import Foundation
import Sampling

/// Sampling by the definition: sort everything, cut, normalise.
enum NaiveSampler {
    static func probabilities(_ logits: [Float], _ params: TTSamplingParams) -> [Double] {
        let clean = logits.map { $0.isNaN ? -Double.infinity : Double($0) }
        let highest = clean.max()!
        let order = clean.indices.sorted { clean[$0] != clean[$1] ? clean[$0] > clean[$1] : $0 < $1 }
        let topK = params.topK <= 0 ? logits.count : min(Int(params.topK), logits.count)
        let weight = { (token: Int) in exp((clean[token] - highest) / Double(params.temperature)) }
        let kept = order.filter { weight($0) >= Double(params.minP) }.prefix(topK)
        let weights = kept.map(weight)
        let total = weights.reduce(0, +)
        var sum = 0.0
        var probabilities = Array(repeating: 0.0, count: logits.count)
        for (index, weight) in zip(kept, weights) {
            if params.topP < 1, sum > 0, sum >= Double(params.topP) * total { break }
            sum += weight
            probabilities[index] = weight
        }
        return probabilities.map { $0 / sum }
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
