// Masks together: which tokens a row may get when its grammar, allowed tokens, bad words and minimum length meet.

import TestSupport
import Testing

@testable import Sampling

struct RowProcessorTests {
    private static let vocabulary = 40
    private static let end: Int32 = 0

    /// The tokens that may be chosen after `generated`; nil if there is none.
    private func possible(
        _ sampling: SamplingParams, generated: [Int32] = [], grammar: [Int32]? = nil
    ) -> Set<Int32>? {
        let mask = grammar.map { TokenMask(vocabulary: Self.vocabulary, allowing: $0) }
        let processor = RowProcessor(
            sampling, prompt: [1, 2], generated: generated, endOfGeneration: [Self.end], vocabulary: Self.vocabulary)
        guard let edits = processor.map({ $0.edits(constraint: mask) }) ?? LogitEdits(constraint: mask) else {
            return nil
        }
        var logits = [Float](repeating: 0, count: Self.vocabulary)
        logits.withUnsafeMutableBufferPointer { logits in
            if let mask = edits.constraint { logits.baseAddress!.keep(mask, vocabulary: Self.vocabulary) }
            logits.baseAddress!.apply(edits, vocabulary: Self.vocabulary)
        }
        return Set((0..<Int32(Self.vocabulary)).filter { logits[Int($0)] > -.infinity })
    }

    private func sampling(
        minTokens: Int = 0, stops: Set<Int32> = [], allowed: [Int32]? = nil, badWords: [[Int32]] = []
    ) -> SamplingParams {
        SamplingParams(
            token: .greedy, shaping: LogitShaping(allowed: allowed, badWords: badWords), maxTokens: 20,
            minTokens: minTokens, stopTokenIDs: stops)
    }

    /// A grammar's text that is complete ends before its minimum length, because nothing else is possible.
    @Test func theMinimumLengthGivesWay() {
        #expect(possible(sampling(minTokens: 5), grammar: [0]) == [0])
        #expect(possible(sampling(minTokens: 5), grammar: [0, 7]) == [7])
        #expect(possible(sampling(minTokens: 5, stops: [7]), grammar: [0, 7]) == [0, 7])
        #expect(possible(sampling(minTokens: 1), generated: [7], grammar: [0, 7]) == [0, 7])
        #expect(possible(sampling(minTokens: 5, allowed: [0]), grammar: nil) == [0])
        #expect(possible(sampling(minTokens: 5, badWords: [[7]]), grammar: [0, 7]) == [0])
    }

    /// What a request excludes stays excluded: the row gets no token rather than one of these.
    @Test func nothingElseGivesWay() {
        #expect(possible(sampling(allowed: [3, 4]), grammar: [5]) == nil)
        #expect(possible(sampling(badWords: [[5], [6]]), grammar: [5, 6]) == nil)
        #expect(possible(sampling(allowed: [3, 4], badWords: [[3], [9, 4]]), generated: [9]) == nil)
        #expect(possible(sampling(allowed: [3, 4], badWords: [[3], [9, 4]]), generated: [8]) == [4])
    }

    @Test func randomMasksMeetAsTheDefinitionSays() {
        var random = SplitMix64(seed: 26)
        func tokens(_ count: Int) -> [Int32] {
            (0..<count).map { _ in Int32.random(in: 0..<Int32(Self.vocabulary), using: &random) }
        }
        var (none, gaveWay) = (0, 0)
        for number in 0..<3000 {
            let grammar = Bool.random(using: &random) ? tokens(Int.random(in: 1...3, using: &random)) : nil
            let allowed = Bool.random(using: &random) ? tokens(Int.random(in: 1...30, using: &random)) : nil
            let badWords = (0..<Int.random(in: 0...30, using: &random)).map { _ in tokens(1) }
            let stops = Set(tokens(Int.random(in: 0...20, using: &random)))
            let sampling = sampling(
                minTokens: [0, 3].randomElement(using: &random)!, stops: stops, allowed: allowed, badWords: badWords)
            var expected = Set(0..<Int32(Self.vocabulary)).subtracting(badWords.joined())
            if let grammar { expected.formIntersection(grammar) }
            if let allowed { expected.formIntersection(allowed) }
            let longer = sampling.minTokens > 0 ? expected.subtracting(stops).subtracting([Self.end]) : expected
            if longer.isEmpty != expected.isEmpty { gaveWay += 1 }
            if !longer.isEmpty { expected = longer }
            if expected.isEmpty { none += 1 }
            #expect(possible(sampling, grammar: grammar) == (expected.isEmpty ? nil : expected), "case \(number)")
        }
        #expect(none > 50 && gaveWay > 50, "\(none), \(gaveWay)")
    }
}
