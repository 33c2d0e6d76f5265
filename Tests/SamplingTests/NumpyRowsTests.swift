// Random rows and parameters: what is changed, drawn and told must be what numpy and transformers compute.

import Foundation
import Testing

@testable import Sampling

struct NumpyRowsTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "reference")

    /// `TTBATCH_TEST_PYTHON` names a Python that has numpy.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["TTBATCH_TEST_PYTHON"] != nil))
    func tenThousandRowsOfNumpy() throws {
        let process = Process()
        process.executableURL = URL(filePath: ProcessInfo.processInfo.environment["TTBATCH_TEST_PYTHON"]!)
        process.arguments = [Self.folder.appending(path: "rows.py").path, "10000", "3"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(try check(data) == 10_000)
    }

    @Test func rowsOfTransformers() throws {
        let data = try Data(contentsOf: Self.folder.appending(path: "transformers_rows.bin"))
        #expect(try check(data) == 200)
    }

    /// Checks all cases, and returns how many there were.
    private func check(_ data: Data) throws -> Int {
        var reader = CaseReader(data)
        let scratch = SamplerScratch()
        var count = 0
        while let row = reader.next() {
            check(row, scratch, "case \(count)")
            count += 1
        }
        return count
    }

    private func check(_ row: RowCase, _ scratch: SamplerScratch, _ name: String) {
        let vocabulary = row.logits.count
        // The state is the same whether the tokens came at once or one by one.
        let processor = RowProcessor(
            row.sampling, prompt: row.prompt, generated: row.generated, endOfGeneration: [], vocabulary: vocabulary)
        var grown = RowProcessor(
            row.sampling, prompt: row.prompt, generated: [], endOfGeneration: [], vocabulary: vocabulary)
        for token in row.generated { grown?.append(token) }
        let edits = processor.map { $0.edits() } ?? LogitEdits.none
        #expect((grown.map { $0.edits() } ?? LogitEdits.none) == edits || processor == nil, "\(name)")
        guard var edits else {
            #expect(row.changed.allSatisfy { $0 == -.infinity }, "\(name): edits leave no token")
            return
        }
        edits.constraint = row.constraint.map { TokenMask(vocabulary: vocabulary, allowing: $0) }
        var draw = TokenDraw(row.sampling.token, edits: edits, logprobs: row.logprobs)
        var changed = row.logits
        changed.withUnsafeMutableBufferPointer { logits in
            if let mask = edits.constraint { logits.baseAddress!.keep(mask, vocabulary: vocabulary) }
            logits.baseAddress!.apply(edits, vocabulary: vocabulary)
        }
        for (token, (ours, theirs)) in zip(changed, row.changed).enumerated() {
            #expect(isNear(Double(ours), theirs), "\(name): logit \(token) is \(ours), not \(theirs)")
        }
        for position in 0..<8 {
            draw.params.seed = UInt64(position * 77)
            var logits = row.logits
            let sampled = logits.withUnsafeMutableBufferPointer {
                TokenSampler.sample($0, draw, position: position, scratch: scratch)
            }
            guard let sampled else {
                #expect(row.changed.allSatisfy { $0 == -.infinity }, "\(name): no token")
                return
            }
            let token = Int(sampled.id)
            if draw.params.isGreedy {
                #expect(row.changed[token] > row.changed.max()! - 1e-4, "\(name): greedy token \(token)")
            } else {
                let before = row.drawn[..<token].reduce(0, +)
                let uniform = Double(SampleStream.uniform(seed: draw.params.seed, position: position))
                #expect(
                    before - 1e-4 <= uniform && uniform <= before + row.drawn[token] + 1e-4,
                    "\(name): token \(token) at \(uniform) of \(row.drawn)")
            }
            check(sampled, row, name)
        }
    }

    private func check(_ sampled: SampledToken, _ row: RowCase, _ name: String) {
        guard let told = sampled.logprobs, let rank = told.rank else {
            Issue.record("\(name): no logprobs")
            return
        }
        #expect(told.own.token == sampled.id, "\(name)")
        #expect(told.requested.map(\.token) == row.logprobs.tokens, "\(name)")
        for value in [told.own] + told.requested + told.top {
            let expected = row.expectedLogprobs[Int(value.token)]
            #expect(isNear(Double(value.logprob), expected), "\(name): \(value), not \(expected)")
        }
        #expect(told.top.count == row.logprobs.top, "\(name)")
        #expect(Set(told.top.map(\.token)).count == told.top.count, "\(name)")
        #expect(zip(told.top, told.top.dropFirst()).allSatisfy { $0.logprob >= $1.logprob }, "\(name)")
        let sorted = row.expectedLogprobs.sorted(by: >)
        for (value, expected) in zip(told.top, sorted) { #expect(isNear(Double(value.logprob), expected), "\(name)") }
        let own = row.expectedLogprobs[Int(sampled.id)]
        let ranks = row.expectedLogprobs.count { $0 > own + 1e-6 }...row.expectedLogprobs.count { $0 >= own - 1e-6 }
        #expect(ranks.contains(Int(rank)), "\(name): rank \(rank)")
    }

    private func isNear(_ left: Double, _ right: Double) -> Bool {
        left == right || abs(left - right) <= 1e-4 * max(1, abs(right))
    }
}

/// A row, its parameters, and what must come out.
private struct RowCase {
    var logits: [Float]
    var prompt: [Int32]
    var generated: [Int32]
    var sampling: SamplingParams
    var logprobs: LogprobsRequest
    var constraint: [Int32]?
    var changed: [Double]
    var drawn: [Double]
    var expectedLogprobs: [Double]
}

/// Reads what `reference/rows.py` writes.
private struct CaseReader {
    private let data: Data
    private var place = 0

    init(_ data: Data) { self.data = data }

    mutating func next() -> RowCase? {
        guard place < data.count else { return nil }
        let head = ints()!.map(Int.init)
        let (vocabulary, values) = (head[0], array(Float.self, 7))
        let (prompt, generated, stops, requested) = (ints()!, ints()!, ints()!, ints()!)
        let (allowed, constraint, biased) = (ints(), ints(), ints()!)
        let bias = Dictionary(uniqueKeysWithValues: zip(biased, array(Float.self, biased.count)))
        let badWords = (0..<Int(ints()![0])).map { _ in ints()! }
        let sampling = SamplingParams(
            token: TTSamplingParams(
                temperature: values[0], topK: Int32(head[1]), topP: values[1], minP: values[2], typicalP: values[3]),
            shaping: LogitShaping(
                penalties: Penalties(repetition: values[4], frequency: values[5], presence: values[6]), bias: bias,
                allowed: allowed, badWords: badWords),
            maxTokens: 100, minTokens: head[2], stopTokenIDs: Set(stops))
        return RowCase(
            logits: array(Float.self, vocabulary), prompt: prompt, generated: generated, sampling: sampling,
            logprobs: LogprobsRequest(top: head[3], tokens: requested, wantsRank: true), constraint: constraint,
            changed: array(Double.self, vocabulary), drawn: array(Double.self, vocabulary),
            expectedLogprobs: array(Double.self, vocabulary))
    }

    /// A list with its length before it; a negative length is none.
    private mutating func ints() -> [Int32]? {
        let count = Int(array(Int32.self, 1)[0])
        return count < 0 ? nil : array(Int32.self, count)
    }

    private mutating func array<Value: BitwiseCopyable>(_ type: Value.Type, _ count: Int) -> [Value] {
        defer { place += count * MemoryLayout<Value>.size }
        return data.withUnsafeBytes { bytes in
            (0..<count).map { index in
                bytes.loadUnaligned(fromByteOffset: place + index * MemoryLayout<Value>.size, as: Value.self)
            }
        }
    }
}
