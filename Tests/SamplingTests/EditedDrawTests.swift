// Draws by seed from rows whose logits are changed: their frequencies are the probabilities that the formulas give.

import Foundation
import Sampling
import TestSupport
import Testing

struct EditedDrawTests {
    /// What a request asks for, and the tokens that its grammar allows.
    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var params = TTSamplingParams(temperature: 1)
        var shaping = LogitShaping()
        var grammar: [Int32]?

        init(_ name: String, _ params: TTSamplingParams = TTSamplingParams(temperature: 1)) {
            testDescription = name
            self.params = params
        }
    }

    private static func row(
        _ name: String, _ params: TTSamplingParams = TTSamplingParams(temperature: 1), _ change: (inout Row) -> Void
    ) -> Row {
        var row = Row(name, params)
        change(&row)
        return row
    }

    private static let prompt: [Int32] = [1, 4, 4, 9, 33, 40]
    private static let generated: [Int32] = [4, 7, 7, 7, 33, 45]
    /// A whole tile and a part of one.
    private static let logits: [Float] = {
        var random = SplitMix64(seed: 21)
        return (0..<50).map { _ in Float.random(in: -1.5...1.5, using: &random) }
    }()

    private static let penalties = Penalties(repetition: 1.7, frequency: 0.6, presence: -0.8)
    private static let bias: [Int32: Float] = [3: 1.5, 7: 2, 33: -2, 40: -100, 48: 0.7]
    private static let filters = TTSamplingParams(temperature: 0.8, topK: 30, topP: 0.85, minP: 0.03)
    private static let typical = TTSamplingParams(temperature: 1.2, topP: 0.95, typicalP: 0.7)
    private static let grammar = (0..<50 as Range<Int32>).filter { $0 % 3 != 1 }

    static let rows: [Row] = [
        row("repetition penalty") { $0.shaping.penalties = Penalties(repetition: 2) },
        row("reward of repetitions") { $0.shaping.penalties = Penalties(repetition: 0.5) },
        row("frequency penalty") { $0.shaping.penalties = Penalties(frequency: 0.9) },
        row("presence penalty") { $0.shaping.penalties = Penalties(presence: 1.4) },
        row("all penalties") { $0.shaping.penalties = penalties },
        row("bias") { $0.shaping.bias = bias },
        row("bias and penalties") { ($0.shaping.bias, $0.shaping.penalties) = (bias, penalties) },
        row("min-p, top-k and top-p", filters) { _ in },
        row("typical-p", typical) { _ in },
        row("grammar") { $0.grammar = grammar },
        row("allowed and bad words") {
            $0.shaping.allowed = Array(2..<46)
            $0.shaping.badWords = [[7], [45, 12], [33, 20], [33, 45, 21]]
        },
        row("everything", filters) {
            $0.params.typicalP = 0.8
            $0.grammar = grammar
            $0.shaping = LogitShaping(
                penalties: penalties, bias: bias, allowed: Array(2..<49), badWords: [[33, 45, 21], [6]])
        },
    ]

    /// The changed logits, written down from the definitions.
    private static func edited(_ row: Row) -> [Double] {
        let shaping = row.shaping
        return logits.enumerated().map { index, logit in
            let token = Int32(index)
            let isEnd = shaping.badWords.contains {
                $0.last == token && generated.suffix($0.count - 1) == $0.dropLast()
            }
            guard row.grammar?.contains(token) != false, shaping.allowed?.contains(token) != false, !isEnd else {
                return -.infinity
            }
            var logit = Double(logit) + Double(shaping.bias[token] ?? 0)
            let count = generated.count { $0 == token }
            if count > 0 || prompt.contains(token) {
                let factor = Double(shaping.penalties.repetition)
                logit = logit > 0 ? logit / factor : logit * factor
            }
            logit -= Double(shaping.penalties.frequency) * Double(count)
            return count > 0 ? logit - Double(shaping.penalties.presence) : logit
        }
    }

    /// With one seed along a text, and with the seeds that follow each other of one request's texts.
    @Test(arguments: rows, [true, false])
    func frequenciesAreTheExactProbabilities(row: Row, oneSeed: Bool) throws {
        let sampling = SamplingParams(token: row.params, shaping: row.shaping, maxTokens: 99)
        let processor = RowProcessor(
            sampling, prompt: Self.prompt, generated: Self.generated, endOfGeneration: [0],
            vocabulary: Self.logits.count)
        let mask = row.grammar.map { TokenMask(vocabulary: Self.logits.count, allowing: $0) }
        let edits = try #require(processor.map { $0.edits(constraint: mask) } ?? LogitEdits(constraint: mask))
        var draw = TokenDraw(row.params, edits: edits)
        var counts = Array(repeating: 0, count: Self.logits.count)
        let draws = 6000
        let scratch = SamplerScratch()
        for index in 0..<draws {
            var logits = Self.logits
            draw.params.seed = UInt64(oneSeed ? 40 : 40 + index)
            let token = logits.withUnsafeMutableBufferPointer {
                TokenSampler.sample($0, draw, position: oneSeed ? 12 + index : 12, scratch: scratch)
            }
            counts[Int(try #require(token).id)] += 1
        }
        let exact = NaiveSampler.probabilities(Self.edited(row), row.params)
        for (token, probability) in exact.enumerated() where probability == 0 {
            #expect(counts[token] == 0, "token \(token)")
        }
        let (chiSquare, degrees) = Self.chiSquare(counts, exact.map { $0 * Double(draws) })
        // Of rows that draw as they should, one of 10,000 is above; the seeds are fixed, so this is no gamble.
        #expect(degrees > 5 && chiSquare < Self.limit(degrees), "\(chiSquare) with \(degrees) degrees of freedom")
    }

    /// Pearson's statistic; what is expected less than five times is counted together.
    private static func chiSquare(_ counts: [Int], _ expected: [Double]) -> (value: Double, degrees: Int) {
        var cells: [(count: Double, expected: Double)] = []
        var rare = (count: 0.0, expected: 0.0)
        for (count, expected) in zip(counts, expected) {
            if expected >= 5 {
                cells.append((Double(count), expected))
            } else {
                rare = (rare.count + Double(count), rare.expected + expected)
            }
        }
        if rare.expected > 0 { cells.append(rare) }
        let value = cells.reduce(0) { $0 + ($1.count - $1.expected) * ($1.count - $1.expected) / $1.expected }
        return (value, cells.count - 1)
    }

    /// The 99.99 % point of the chi-square distribution, by Wilson and Hilferty's formula.
    private static func limit(_ degrees: Int) -> Double {
        let part = 2 / (9 * Double(degrees))
        return Double(degrees) * pow(1 - part + 3.719 * part.squareRoot(), 3)
    }
}
