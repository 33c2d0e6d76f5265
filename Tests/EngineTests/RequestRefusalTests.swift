// What cannot run is refused by name, before it costs anything.

import Platform
import Sampling
import Testing

@testable import Engine

@Suite struct RequestRefusalTests {
    private func refusal(
        _ prompt: [Int32], _ sampling: SamplingParams = .ending(after: 4), limits: StepLimits = .small()
    ) throws -> RequestRefusal? {
        let fixture = EngineFixture(limits)
        do throws(RequestRefusal) {
            _ = try fixture.add(prompt: prompt, sampling: sampling)
            return nil
        } catch {
            #expect(!fixture.engine.hasWork)
            #expect(try fixture.engine.step() == nil)
            #expect(fixture.executor.steps.isEmpty)
            #expect(fixture.engine.statistics.kvBlocksUsed == 0)
            return error
        }
    }

    private func prompt(_ length: Int) -> [Int32] { Array(repeating: 5, count: length) }

    @Test func refusesAnEmptyPrompt() throws {
        #expect(try refusal([]) == .emptyPrompt)
    }

    @Test func refusesAPromptThatLeavesNoRoomInTheModelsLength() throws {
        #expect(try refusal(prompt(63)) == nil)
        let refused = try refusal(prompt(64))
        #expect(refused == .promptTooLong(tokens: 64, maxModelLen: 64, canRaise: false))
        #expect(refused?.code == "context_length_exceeded")
    }

    /// The model's own length cannot be raised.
    @Test(arguments: [(false, ""), (true, ", or raise max_model_len")])
    func tellsOfMaxModelLenWhereThatHelps(canRaise: Bool, remedy: String) throws {
        var limits = StepLimits.small()
        limits.canRaiseMaxModelLen = canRaise
        #expect(
            try refusal(prompt(64), limits: limits)?.description
                == "the prompt has 64 tokens, but prompt and answer together may have 64: "
                + "shorten the prompt to at most 63" + remedy)
    }

    @Test func refusesAPromptThatTheWholePoolCannotHold() throws {
        let limits = StepLimits.small(blocks: 2, blockSize: 4)
        #expect(try refusal(prompt(7), limits: limits) == nil)
        let refused = try refusal(prompt(8), limits: limits)
        #expect(refused == .promptExceedsKVCache(tokens: 8, cacheTokens: 8))
        #expect(refused?.code == "context_length_exceeded")
    }

    @Test(arguments: [-1, 100] as [Int32])
    func refusesTokensOutsideTheVocabulary(token: Int32) throws {
        #expect(
            try refusal([5, token])
                == .promptTokenOutsideVocabulary(token: token, index: 1, vocabularySize: 100))
    }

    @Test func refusesWhatThePlatformRefuses() throws {
        let refused = try refusal([5], .ending(after: 0))
        #expect(refused?.code == "invalid_value")
        #expect(refused?.field == "max_tokens")
        #expect(try refusal([5], .ending(after: 4, min: 5))?.field == "min_tokens")
        #expect(try refusal([5], .ending(after: 4, stop: [100]))?.field == "stop_token_ids")
        #expect(try refusal([5], .ending(after: 4, min: 4, stop: [99])) == nil)
    }
}
