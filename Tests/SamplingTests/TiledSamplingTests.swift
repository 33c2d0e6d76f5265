// Sampling from summaries of tiles: against the definition, against the full logits, and what it looks at.

import TestSupport
import Testing

@testable import Sampling

struct TiledSamplingTests {
    @Test(arguments: 0..<30)
    func randomRowsAgreeWithTheDefinition(seed: UInt64) {
        var random = SplitMix64(seed: seed &* 977)
        let scratch = SamplerScratch()
        for position in 0..<100 {
            let logits = row(&random)
            let params = parameters(&random)
            let token = logits.withUnsafeBufferPointer {
                TokenSampler.sample($0, params, position: position, scratch: scratch)
            }
            #expect(
                NaiveSampler.allows(token, logits, params, position: position),
                "token \(token) of \(logits.count), \(params) at \(position)")
        }
    }

    @Test(arguments: 0..<20)
    func whereTilesComeFromCannotMatter(seed: UInt64) {
        var random = SplitMix64(seed: seed &* 1231 &+ 5)
        let scratch = SamplerScratch()
        for position in 0..<50 {
            let logits = row(&random).map { $0.isNaN ? 0 : $0 }
            var params = parameters(&random)
            params.typicalP = [1, 1, 1, 0.2, 0.7, 0.97].randomElement(using: &random)!
            let expected = logits.withUnsafeBufferPointer { TokenSampler.sample($0, params, position: position) }
            #expect(sample(logits, params, position, scratch).token == expected)
        }
    }

    @Test func aNaNGivesNoToken() {
        var logits = [Float](repeating: 1, count: 100)
        logits[70] = .nan
        for params in [.greedy, TTSamplingParams(temperature: 1), TTSamplingParams(temperature: 1, topK: 5)] {
            #expect(sample(logits, params, 0).token == nil)
        }
    }

    @Test func looksIntoNoMoreTilesThanItNeeds() {
        // 100 tiles; each tile's highest logit is its first.
        var logits = [Float](repeating: -10, count: 3200)
        for tile in 0..<100 { logits[tile * 32] = 20 - Float(tile) / 4 }
        #expect(sample(logits, .greedy, 0).looks == 1)
        #expect(sample(logits, TTSamplingParams(temperature: 1), 0).looks == 1)
        // One look more to draw.
        #expect((4...5).contains(sample(logits, TTSamplingParams(temperature: 1, topK: 3), 0).looks))
        #expect(sample(logits, TTSamplingParams(temperature: 1, topK: 60), 0).looks <= 80)
        #expect(sample(logits, TTSamplingParams(temperature: 1, topP: 0.5), 0).looks <= 6)
        // Equal logits are taken in the order of their ids.
        let flat = [Float](repeating: 3, count: 3200)
        #expect(sample(flat, TTSamplingParams(temperature: 1, topK: 64), 0).looks <= 4)
        #expect(sample(flat, TTSamplingParams(temperature: 1, topP: 0.25), 0).looks <= 30)
    }

    /// The least and the greatest number that the random stream has give the first and the last of the kept tokens, in the
    /// order of ids, however sums are rounded.
    @Test(arguments: [
        (seeds: [8_054_623, 9_406_647, 36_258_138], isLeast: true),
        (seeds: [470_656, 23_157_770, 43_606_743], isLeast: false),
    ])
    func theEndsOfTheRandomNumbersDrawKeptTokens(seeds: [UInt64], isLeast: Bool) throws {
        var random = SplitMix64(seed: 37)
        let scratch = SamplerScratch()
        for number in 0..<400 {
            var logits = row(&random).map { $0.isFinite ? $0 : -.infinity }
            var params = parameters(&random)
            if number % 2 == 0 {
                // The tile's sum is a float, and may be more than its tokens; none follows the last of them.
                logits = (0..<32).map { $0 < 20 ? Float.random(in: -1...1, using: &random) : -.infinity }
                params = TTSamplingParams(temperature: 1)
            }
            guard params.temperature >= 0.01, !params.isGreedy, logits.contains(where: \.isFinite) else { continue }
            params.seed = seeds[number % 3]
            let uniform = SampleStream.uniform(seed: params.seed, position: 5)
            try #require(uniform == (isLeast ? 0 : 1 - 0x1p-24))
            let token = Int(try #require(sample(logits, params, 5, scratch).token))
            let probabilities = NaiveSampler.probabilities(logits, params)
            let place = "token \(token) of \(logits.count), \(params)"
            #expect(probabilities[token] > 0, "\(place)")
            let beyond = isLeast ? probabilities[..<token] : probabilities[(token + 1)...]
            #expect(beyond.reduce(0, +) < 1e-6, "\(place)")
        }
    }

    /// The cost of logprobs is that of a few tiles, whatever the vocabulary.
    @Test func logprobsLookIntoNoMoreTilesThanTheyNeed() {
        var random = SplitMix64(seed: 33)
        let logits = (0..<3200).map { _ in Float.random(in: -8...8, using: &random) }
        for top in [0, 1, 5, 20] {
            let tiles = summaries(logits, TokenSampler.logprobScale)
            var looks = 0
            var values = Array(repeating: TokenLogprob(token: -1, logprob: 0), count: 1 + 2 + top)
            let requested: [Int32] = [7, 3100]
            tiles.withUnsafeBufferPointer { tiles in
                logits.withUnsafeBufferPointer { logits in
                    requested.withUnsafeBufferPointer { requested in
                        values.withUnsafeMutableBufferPointer { values in
                            TokenSampler.writeLogprobs(
                                of: 900, tiles: tiles, vocabulary: 3200, top: top, requested: requested,
                                scratch: SamplerScratch(), to: values.baseAddress!
                            ) { tile in
                                looks += 1
                                return logits.baseAddress! + tile * 32
                            }
                        }
                    }
                }
            }
            #expect(values.map(\.token).prefix(3) == [900, 7, 3100])
            #expect(looks <= 3 + top, "\(looks) looks for \(top)")
        }
    }

    @Test func theNucleusOfEqualLogitsIsItsFirstTokens() {
        let flat = [Float](repeating: -4, count: 4000)
        let params = TTSamplingParams(temperature: 0.7, topP: 0.25)
        let drawn = (0..<2000).map { Int(sample(flat, params, $0).token!) }
        #expect(drawn.max()! < 1000)
        #expect(drawn.max()! > 980)
        #expect(drawn.min()! < 20)
    }

    @Test func weightsAreWantedOnlyWhereAllTokensMayBeDrawn() {
        #expect(TokenSampler.weightScale(.greedy, vocabulary: 100) == 0)
        #expect(TokenSampler.weightScale(TTSamplingParams(temperature: 1, topK: 99), vocabulary: 100) == 0)
        #expect(TokenSampler.weightScale(TTSamplingParams(temperature: 1, topK: 100), vocabulary: 100) > 0)
        for temperature in [Float.leastNonzeroMagnitude, 1e-30, 1, .greatestFiniteMagnitude] {
            let scale = TokenSampler.weightScale(TTSamplingParams(temperature: temperature), vocabulary: 100)
            #expect(scale > 0 && scale.isFinite)
        }
    }

    /// A row of a random size and kind.
    private func row(_ random: inout SplitMix64) -> [Float] {
        let count = [1, 5, 31, 32, 33, 64, 100, 257, 600].randomElement(using: &random)!
        let kind = Int.random(in: 0..<8, using: &random)
        let spread: Float = [8, 8, 3, 30, 0.01, 1e30, 8, 8][kind]
        var logits = (0..<count).map { _ in Float.random(in: -spread...spread, using: &random) }
        if kind == 1 || kind == 2 { logits = logits.map { $0.rounded() } }
        if kind >= 6 {
            for place in logits.indices where Int.random(in: 0..<3, using: &random) == 0 {
                logits[place] = kind == 6 || place % 2 == 0 ? -.infinity : .nan
            }
            if Int.random(in: 0..<10, using: &random) == 0 { logits[count / 2] = .infinity }
            if Int.random(in: 0..<10, using: &random) == 0 { logits = logits.map { _ in -.infinity } }
        }
        return logits
    }

    private func parameters(_ random: inout SplitMix64) -> TTSamplingParams {
        TTSamplingParams(
            temperature: [0, 1e-30, 0.01, 0.6, 1, 1, 1, 2.5, 1e30].randomElement(using: &random)!,
            topK: [0, 0, 0, 1, 2, 7, 40, 300, .max].randomElement(using: &random)!,
            topP: [1, 1, 0, 0.01, 0.5, 0.9, 0.999].randomElement(using: &random)!,
            minP: [0, 0, 0, 0.003, 0.1, 1].randomElement(using: &random)!, seed: random.next())
    }

    /// Samples as a device does, which has each tile only when it is asked for, and anything beyond the vocabulary.
    private func sample(
        _ logits: [Float], _ params: TTSamplingParams, _ position: Int, _ scratch: SamplerScratch = SamplerScratch()
    ) -> (token: Int32?, looks: Int) {
        let padded = logits + [Float](repeating: .infinity, count: 32)
        let tiles = summaries(logits, TokenSampler.weightScale(params, vocabulary: logits.count))
        var looks = 0
        let token = withUnsafeTemporaryAllocation(of: Float.self, capacity: 32) { buffer in
            tiles.withUnsafeBufferPointer {
                TokenSampler.sample(
                    tiles: $0, vocabulary: logits.count, params, position: position, scratch: scratch
                ) { tile in
                    looks += 1
                    for index in 0..<32 { buffer.initializeElement(at: index, to: padded[tile * 32 + index]) }
                    return UnsafePointer(buffer.baseAddress!)
                }
            }
        }
        return (token, looks)
    }

    /// A device's summaries of a row.
    private func summaries(_ logits: [Float], _ weightScale: Float) -> [LogitTile] {
        (0..<LogitTile.count(vocabulary: logits.count)).map { tile in
            let values = Array(logits[(tile * 32)..<min(tile * 32 + 32, logits.count)])
            var summary = LogitTile(highest: 0, weight: 0)
            values.withUnsafeBufferPointer {
                LogitTile.summarise($0, weightScale: weightScale, into: &summary)
            }
            if values.contains(where: \.isNaN) { summary.highest = .nan }
            return summary
        }
    }
}
