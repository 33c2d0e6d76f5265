// The host sampler: the shared sampling function, with tokens masked while `min_tokens` is in force.

import Platform
import Testing

@testable import Worker

struct HostSamplerTests {
    let sampler = HostSampler(endOfGenerationTokens: [0])

    @Test func endOfGenerationAndStopTokensAreMaskedUntilMinTokens() {
        var logits: [Float] = [9, 8, 7, 6]
        #expect(sampler.sample(&logits, row(generated: 1, minTokens: 2)) == 2)
        logits = [9, 8, 7, 6]
        #expect(sampler.sample(&logits, row(generated: 2, minTokens: 2)) == 0)
    }

    @Test func logitsThatAllowNoTokenGiveNone() {
        var logits: [Float] = [.nan, .nan]
        #expect(sampler.sample(&logits, row(generated: 0, minTokens: 0)) == nil)
        logits = [-.infinity, -.infinity]
        #expect(sampler.sample(&logits, row(generated: 0, minTokens: 0)) == nil)
    }

    /// What a request asks for is no fault of the device.
    @Test func aRequestThatMasksEverythingIsSampledAsIfItDidNot() {
        var logits: [Float] = [1, 2]
        #expect(sampler.sample(&logits, row(generated: 0, minTokens: 1)) == 1)
        logits = [1, 2, -.infinity]
        #expect(sampler.sample(&logits, row(generated: 0, minTokens: 1)) == 1)
        logits = [.nan, .nan]
        #expect(sampler.sample(&logits, row(generated: 0, minTokens: 1)) == nil)
    }

    private func row(generated: Int, minTokens: Int) -> InputBatch.Row {
        InputBatch.Row(
            id: RequestID(0), tokens: Array(repeating: 3, count: 1 + generated), promptLength: 1, blocks: [[0]],
            sampling: SamplingParams(token: .greedy, maxTokens: 9, minTokens: minTokens, stopTokenIDs: [1]))
    }
}
