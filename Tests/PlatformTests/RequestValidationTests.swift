// Requests that the platform refuses by field, and where a row's tokens are sampled.

import Platform
import Sampling
import Testing

struct RequestValidationTests {
    @Test func anOrdinaryRequestIsAccepted() throws {
        try TTPlatform.validateRequest(request { _ in }, vocabularySize: 100)
    }

    @Test func whatCannotBeUsedIsRefusedByField() {
        for temperature in [-1, Float.nan, .infinity] {
            #expect(field { $0.token.temperature = temperature } == "temperature")
        }
        #expect(field { $0.token.topK = -1 } == "top_k")
        for topP in [0, 1.1, Float.nan] { #expect(field { $0.token.topP = topP } == "top_p") }
        #expect(field { $0.maxTokens = 0 } == "max_tokens")
        #expect(field { $0.minTokens = 11 } == "min_tokens")
        #expect(field { $0.stopTokenIDs = [100] } == "stop_token_ids")
        for outside in [-1, 100] as [Int32] {
            #expect(field { $0.shaping.bias = [3: 1, outside: 1] } == "logit_bias")
            #expect(field { $0.shaping.allowed = [3, outside] } == "allowed_token_ids")
            #expect(field { $0.shaping.badWords = [[3], [4, outside]] } == "bad_words")
        }
    }

    /// With every token masked there would be nothing to sample until `min_tokens` is reached.
    @Test func stopTokensMustLeaveATokenForMinTokens() throws {
        func check(stop: Range<Int32>, minTokens: Int, endOfGeneration: Set<Int32> = []) throws(RequestError) {
            let described = request {
                $0.stopTokenIDs = Set(stop)
                $0.minTokens = minTokens
            }
            try TTPlatform.validateRequest(described, vocabularySize: 100, endOfGeneration: endOfGeneration)
        }
        let error = #expect(throws: RequestError.self) { try check(stop: 0..<100, minTokens: 1) }
        #expect(error?.field == "stop_token_ids" && error?.reason.contains("min_tokens = 1") == true)
        #expect(throws: RequestError.self) { try check(stop: 2..<100, minTokens: 1, endOfGeneration: [0, 1]) }
        try check(stop: 2..<100, minTokens: 1, endOfGeneration: [0])
        try check(stop: 0..<100, minTokens: 0)
    }

    @Test func rowsFallBackToTheHostOneByOne() {
        let limited = ModelCapabilities(
            supportsSampleOnDevice: true, maxDeviceTopK: 32, deviceDraws: .sampleStream)
        let unseeded = ModelCapabilities(supportsSampleOnDevice: true)
        let complete = ModelCapabilities(supportsSampleOnDevice: true, deviceDraws: .sampleStream)
        let random = SamplingParams(token: TTSamplingParams(temperature: 1), maxTokens: 5)
        let top = SamplingParams(token: TTSamplingParams(temperature: 1, topK: 32), maxTokens: 5)
        let greedy = SamplingParams(token: .greedy, maxTokens: 5, minTokens: 2)
        #expect(limited.hostSamplingReason(random, generatedCount: 0) == .topK)
        #expect(limited.hostSamplingReason(top, generatedCount: 0) == nil)
        #expect(unseeded.hostSamplingReason(top, generatedCount: 0) == .seed)
        #expect(complete.hostSamplingReason(random, generatedCount: 0) == nil)
        #expect(complete.hostSamplingReason(greedy, generatedCount: 1) == .minTokens)
        #expect(unseeded.hostSamplingReason(greedy, generatedCount: 2) == nil)
        let anySeed = SamplingParams(token: TTSamplingParams(temperature: 1, topK: 32), maxTokens: 5, givesSeed: false)
        for draws in [DeviceDraws.unseeded, .byPosition] {
            let other = ModelCapabilities(supportsSampleOnDevice: true, deviceDraws: draws)
            #expect(other.hostSamplingReason(top, generatedCount: 0) == .seed)
            #expect(other.hostSamplingReason(anySeed, generatedCount: 0) == nil)
        }
    }

    private func request(_ change: (inout SamplingParams) -> Void) -> SamplingParams {
        var request = SamplingParams(token: .greedy, maxTokens: 10)
        change(&request)
        return request
    }

    private func field(_ change: (inout SamplingParams) -> Void) -> String? {
        do throws(RequestError) {
            try TTPlatform.validateRequest(request(change), vocabularySize: 100)
            return nil
        } catch {
            return error.field
        }
    }
}
