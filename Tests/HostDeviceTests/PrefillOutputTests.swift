// Further outputs of a prefill on the host device: forks of a row, and the logprobs of a prompt's tokens.

import Platform
import Sampling
import TestSupport
import Testing

@testable import HostDevice

@Suite struct PrefillOutputTests {
    /// Each fork draws as if it were the only output, and its copied block holds what the row's holds.
    @Test(arguments: ModelMode.all, [1, 2])
    func forksDrawFromTheSameLogits(mode: ModelMode, threads: Int) throws {
        let alone = try LoadedModel(tiny: mode.name, mode.optimizations)
        let model = try LoadedModel(tiny: mode.name, mode.optimizations, threads: threads)
        let prompts = [someTokens(21, seed: 1), someTokens(40, seed: 2)]
        let table = model.table(rows: 3)
        let draws = (0..<5).map { TokenDraw(TTSamplingParams(temperature: 1.5, seed: UInt64($0))) }
        let output = try model.model.prefillForward(
            PrefillBatch(
                tokens: prompts, startPositions: [0, 0], pageTable: table, slots: [0, 1],
                sampling: [.onDevice(draws[0]), .onHost],
                forks: (1..<5).map { fork in
                    // The second block of row 0 is copied to row 2's.
                    PrefillFork(
                        row: 0, slot: 2 + fork, sampling: .onDevice(draws[fork]),
                        copies: fork == 4 ? [BlockCopy(source: table[0][1], target: table[2].dropFirst().first!)] : [])
                }))
        #expect(output.rows.count == 6)
        let logits = try alone.prefill(prompts[0])
        for (row, draw) in zip([0, 2, 3, 4, 5], draws) {
            let expected = logits.withUnsafeBufferPointer {
                TokenSampler.sample($0, draw.params, position: prompts[0].count)
            }
            #expect(output.rows[row] == .token(expected))
        }
        #expect(output.rows[1].logits == (try alone.prefill(prompts[1])))
        var forked = PageTable(rows: 1, width: table.width)
        forked.setRow(0, to: [table[0].first!] + table[2].dropFirst())
        let next = try model.decode([9], [21], table: forked)
        #expect(next[0] == (try alone.prefill(prompts[0] + [9])))
    }

    /// The logprobs of a prompt are those of the logits after each of its prefixes, in any company.
    @Test(arguments: ModelMode.all, [1, 2])
    func promptsAreScored(mode: ModelMode, threads: Int) throws {
        let alone = try LoadedModel(tiny: mode.name, mode.optimizations)
        let model = try LoadedModel(tiny: mode.name, mode.optimizations, threads: threads)
        // Longer than a tile, so that outputs of one row lie in two.
        let prompts = [someTokens(30, seed: 3), someTokens(150, seed: 4), someTokens(5, seed: 5)]
        let wanted = LogprobsRequest(top: 5, tokens: [7], wantsRank: true)
        let scoring = [1: PromptLogprobsRequest(wanted), 2: PromptLogprobsRequest(firstToken: 4, wanted)]
        let output = try model.model.prefillForward(
            PrefillBatch(
                tokens: prompts, startPositions: [0, 0, 0], pageTable: model.table(rows: 3), slots: [0, 1, 2],
                sampling: [.onHost, .onDevice(.greedy), .nothing], scoring: scoring))
        #expect(output.rows[0].logits == (try alone.prefill(prompts[0])))
        #expect(output.rows[2] == .padding)
        for (row, request) in scoring {
            let told = try #require(output.promptLogprobs[row] ?? nil)
            #expect(told.count == prompts[row].count - request.firstToken)
            for (place, told) in zip(request.firstToken..., told) {
                let logits = try alone.prefill(Array(prompts[row][..<place]))
                let expected = logits.withUnsafeBufferPointer {
                    TokenSampler.logprobs($0, of: prompts[row][place], wanted, scratch: SamplerScratch())
                }
                #expect(told == expected, "token \(place) of row \(row)")
            }
        }
        #expect(output.promptLogprobs[0] == nil)
    }
}
