// The sampling function against a naive one, its frequencies against exact probabilities, and its edges.

import Sampling
import TestSupport
import Testing

struct TokenSamplerTests {
    @Test(arguments: 0..<60)
    func agreesWithANaiveReference(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let count = [1, 2, 7, 100, 999].randomElement(using: &random)!
        // Few different values, so that ties are common.
        let logits = (0..<count).map { _ in
            Int.random(in: 0..<20, using: &random) == 0
                ? -Float.infinity
                : Float.random(in: -8...8, using: &random)
                    .rounded(seed % 2 == 0 ? .down : .toNearestOrEven) * (seed % 3 == 0 ? 1 : 0.37)
        }
        for position in 0..<10 {
            let params = TTSamplingParams(
                temperature: [0.01, 0.5, 1, 3].randomElement(using: &random)!,
                topK: [0, 1, 2, 5, 50, 10_000].randomElement(using: &random)!,
                topP: [1, 0.999, 0.9, 0.5, 0.01].randomElement(using: &random)!, seed: random.next())
            let expected = NaiveSampler.sample(logits, params, position: position)
            #expect(sample(logits, params, position) == expected, "\(params) at \(position)")
        }
    }

    @Test(arguments: [
        TTSamplingParams(temperature: 1), TTSamplingParams(temperature: 0.6), TTSamplingParams(temperature: 1, topK: 4),
        TTSamplingParams(temperature: 1.3, topP: 0.8), TTSamplingParams(temperature: 0.9, topK: 6, topP: 0.9),
    ])
    func frequenciesAreTheExactProbabilities(params: TTSamplingParams) {
        let logits: [Float] = [1, 0.5, -0.3, 2, 0.5, 1.7, -2, 0.1, 0.9, 1.1]
        // The 99.9 % point for nine degrees of freedom; the seeds are fixed, so this is no gamble.
        expectFrequencies(logits, params, chiSquareBelow: 27.9)
    }

    @Test(arguments: [
        TTSamplingParams(temperature: 1), TTSamplingParams(temperature: 0.7, topK: 40),
        TTSamplingParams(temperature: 1.3, topP: 0.8), TTSamplingParams(temperature: 0.9, topK: 60, topP: 0.9),
    ])
    func frequenciesAreTheExactProbabilitiesAcrossTiles(params: TTSamplingParams) {
        var random = SplitMix64(seed: 11)
        let logits = (0..<75).map { _ in Float.random(in: -1...1, using: &random) }
        // The 99.9 % point for 74 degrees of freedom.
        expectFrequencies(logits, params, chiSquareBelow: 117.4)
    }

    private func expectFrequencies(_ logits: [Float], _ params: TTSamplingParams, chiSquareBelow limit: Double) {
        let exact = NaiveSampler.probabilities(logits, params)
        for seed in [UInt64(3), 77, 4_000_000_007] {
            var params = params
            params.seed = seed
            var counts = Array(repeating: 0, count: logits.count)
            let draws = 10_000
            let scratch = SamplerScratch()
            logits.withUnsafeBufferPointer { logits in
                for position in 0..<draws {
                    counts[Int(TokenSampler.sample(logits, params, position: position, scratch: scratch))] += 1
                }
            }
            var chiSquare = 0.0
            for (count, probability) in zip(counts, exact) {
                let expected = probability * Double(draws)
                if expected == 0 {
                    #expect(count == 0)
                } else {
                    chiSquare += (Double(count) - expected) * (Double(count) - expected) / expected
                }
            }
            #expect(chiSquare < limit)
        }
    }

    @Test func greedyTakesTheFirstOfTheHighest() {
        #expect(sample([1, 3, 3, 2], .greedy, 0) == 1)
        #expect(sample([1, 3, 3, 2], TTSamplingParams(temperature: 5, topK: 1), 0) == 1)
        #expect(sample([-.infinity, -.infinity], .greedy, 0) == 0)
        #expect(sample([.nan, -5, .nan], .greedy, 0) == 1)
    }

    /// The original cut the nucleus before it applied the temperature.
    @Test func temperatureComesBeforeTopP() {
        // At temperature 1 the first token alone reaches 0.6; at temperature 4 it takes two.
        let logits: [Float] = [2, 1, 0, -1]
        let params = TTSamplingParams(temperature: 4, topP: 0.6)
        let onlyNucleus = TTSamplingParams(temperature: 1, topP: 0.6)
        #expect(NaiveSampler.probabilities(logits, onlyNucleus).filter { $0 > 0 }.count == 1)
        let drawn = Set((0..<200).map { sample(logits, params, $0) })
        #expect(drawn == [0, 1])
    }

    @Test func amongEqualLogitsTopKKeepsTheFirst() {
        let logits = Array(repeating: Float(1), count: 50)
        let drawn = Set((0..<500).map { sample(logits, TTSamplingParams(temperature: 1, topK: 3), $0) })
        #expect(drawn == [0, 1, 2])
    }

    @Test func extremesAreSafe() {
        let logits: [Float] = [-1e30, 5, 4.999, 1e30]
        for temperature in [Float.leastNonzeroMagnitude, 1e-30, 1e-6] {
            #expect(sample(logits, TTSamplingParams(temperature: temperature), 3) == 3)
            #expect(sample(logits, TTSamplingParams(temperature: temperature, topK: 2, topP: 0.9), 3) == 3)
        }
        #expect(sample([1, .infinity, 2], TTSamplingParams(temperature: 1), 0) == 1)
        #expect(sample([-.infinity, -.infinity], TTSamplingParams(temperature: 1, topK: 1000), 0) == 0)
        #expect(sample([0, -.infinity], TTSamplingParams(temperature: 1e30, topP: 0.999), 5) == 0)
        #expect(sample([.nan, 0], TTSamplingParams(temperature: 1, topK: .max, topP: 0.5), 5) == 1)
        let wide = (0..<5).map { Float($0) }
        #expect((0..<5).contains(sample(wide, TTSamplingParams(temperature: .greatestFiniteMagnitude), 5)))
        #expect(sample(wide, TTSamplingParams(temperature: 1, topP: .leastNonzeroMagnitude), 5) == 4)
    }

    @Test func seedAndPositionDecide() {
        let logits = (0..<1000).map { Float($0 % 13) }
        let params = TTSamplingParams(temperature: 2, seed: 9)
        #expect(sample(logits, params, 4) == sample(logits, params, 4))
        #expect((0..<50).map { sample(logits, params, $0) } != (50..<100).map { sample(logits, params, $0) })
    }

    @Test func aLargeVocabularyAgreesWithTheReference() {
        var random = SplitMix64(seed: 5)
        let logits = (0..<20_000).map { _ in Float.random(in: -6...12, using: &random) }
        for params in [
            TTSamplingParams(temperature: 0.8, topP: 0.95, seed: 1),
            TTSamplingParams(temperature: 1, topK: 50, seed: 2),
            TTSamplingParams(temperature: 1, seed: 3),
        ] {
            #expect(sample(logits, params, 17) == NaiveSampler.sample(logits, params, position: 17))
        }
    }

    private func sample(_ logits: [Float], _ params: TTSamplingParams, _ position: Int) -> Int32 {
        logits.withUnsafeBufferPointer { TokenSampler.sample($0, params, position: position) }
    }
}
