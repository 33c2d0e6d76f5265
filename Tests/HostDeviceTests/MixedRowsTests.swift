// Rows of every kind in one step: each gets what the host's function gives it from its logits alone, bit for bit.

import FakeModel
import Platform
import Sampling
import TestSupport
import Testing

@testable import HostDevice
@testable import ModelFiles

@Suite struct MixedRowsTests {
    /// A prompt, and how its next token is chosen.
    private struct Row {
        let prompt: [Int32]
        let sampling: RowSampling
    }

    @Test(arguments: ModelMode.all, [1, 2])
    func everyKindOfRowInOnePrefill(mode: ModelMode, threads: Int) throws {
        var random = SplitMix64(seed: UInt64(threads))
        let alone = try LoadedModel(tiny: mode.name, mode.optimizations)
        let together = try LoadedModel(tiny: mode.name, mode.optimizations, threads: threads)
        for _ in 0..<6 {
            let rows = (0..<7).map { _ in row(&random, vocabulary: alone.config.vocabularySize) }
            let output = try together.model.prefillForward(
                PrefillBatch(
                    tokens: rows.map(\.prompt), startPositions: rows.map { _ in 0 },
                    pageTable: together.table(rows: rows.count), slots: Array(rows.indices),
                    sampling: rows.map(\.sampling)))
            for (row, output) in zip(rows, output.rows) {
                #expect(try output == expected(row.sampling, alone.prefill(row.prompt), position: row.prompt.count))
            }
        }
    }

    @Test(arguments: ModelMode.all, [1, 2])
    func everyKindOfRowInOneDecodeStep(mode: ModelMode, threads: Int) throws {
        var random = SplitMix64(seed: 40 + UInt64(threads))
        let alone = try LoadedModel(tiny: mode.name, mode.optimizations)
        let together = try LoadedModel(tiny: mode.name, mode.optimizations, threads: threads)
        let table = together.table(rows: 7)
        for _ in 0..<6 {
            let rows = (0..<7).map { _ in row(&random, vocabulary: alone.config.vocabularySize) }
            for (index, row) in rows.enumerated() where row.prompt.count > 1 {
                var own = PageTable(rows: 1, width: table.width)
                own.setRow(0, to: table[index])
                _ = try together.prefill(row.prompt.dropLast(), table: own)
            }
            try together.model.decodeForward(
                DecodeBatch(
                    tokens: rows.map { $0.prompt.last! }, positions: rows.map { Int32($0.prompt.count - 1) },
                    pageTable: table, sampling: rows.map(\.sampling)),
                plan: .reloadEverything)
            for (row, output) in zip(rows, try together.model.readDecodeOutput().rows) {
                #expect(try output == expected(row.sampling, alone.prefill(row.prompt), position: row.prompt.count))
            }
        }
    }

    /// What the host's function gives.
    private func expected(_ sampling: RowSampling, _ logits: [Float], position: Int) -> RowOutput {
        guard case .onDevice(let draw) = sampling else { return .logits(logits) }
        var edited = logits
        let token = edited.withUnsafeMutableBufferPointer {
            TokenSampler.sample($0, draw, position: position, scratch: SamplerScratch())
        }
        return token.map { .token($0) } ?? .excluded
    }

    private func row(_ random: inout SplitMix64, vocabulary: Int) -> Row {
        let prompt = someTokens(Int.random(in: 1...40, using: &random), seed: random.next())
        guard Int.random(in: 0..<8, using: &random) > 0 else { return Row(prompt: prompt, sampling: .onHost) }
        let params = TTSamplingParams(
            temperature: [0, 0.5, 1, 1, 2].randomElement(using: &random)!,
            topK: [0, 0, 1, 7, 300].randomElement(using: &random)!,
            topP: [1, 1, 0.9, 0.3].randomElement(using: &random)!,
            minP: [0, 0, 0.02, 0.4].randomElement(using: &random)!,
            typicalP: [1, 1, 1, 1, 1, 1, 0.6].randomElement(using: &random)!, seed: random.next())
        let processor = RowProcessor(
            SamplingParams(
                token: params, shaping: .random(vocabulary: vocabulary, using: &random), maxTokens: 9,
                minTokens: [0, 3].randomElement(using: &random)!, stopTokenIDs: [5, 200]),
            prompt: prompt.dropLast(4), generated: prompt.suffix(4), endOfGeneration: [0], vocabulary: vocabulary)
        var edits = processor.map { $0.edits()! } ?? .none
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1:
            let tokens = (0..<60).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) }
            edits.constraint = TokenMask(vocabulary: vocabulary, allowing: tokens)
        case 2:
            edits.constraint = TokenMask(vocabulary: vocabulary, allowing: [7])
        case 3:
            edits.constraint = TokenMask(vocabulary: vocabulary, allowing: [])
        default: break
        }
        let logprobs = LogprobsRequest(
            top: Int.random(in: 0...20, using: &random), tokens: [[], [3, 255, 3]].randomElement(using: &random)!)
        return Row(
            prompt: prompt,
            sampling: .onDevice(
                TokenDraw(params, edits: edits, logprobs: Bool.random(using: &random) ? logprobs : nil)))
    }
}
