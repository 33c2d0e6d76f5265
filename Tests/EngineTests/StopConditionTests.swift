// When a request ends, and which tokens count as text.

import Platform
import Sampling
import Testing

@testable import Engine

@Suite struct StopConditionTests {
    private let end = EngineFixture.endOfGeneration

    /// Runs one request whose generated tokens are `script`, 7 after its end, and gives its updates.
    private func updates(
        _ script: [Int32], sampling: SamplingParams, promptLength: Int = 3, limits: StepLimits = .small()
    ) throws -> [RequestUpdate] {
        let fixture = EngineFixture(limits) { sequence in
            let index = sequence.count - promptLength
            return index < script.count ? script[index] : 7
        }
        _ = try fixture.add(prompt: Array(repeating: 5, count: promptLength), sampling: sampling)
        let reports = try fixture.drain()
        #expect(reports.allSatisfy { $0.preempted.isEmpty })
        return reports.flatMap(\.updates)
    }

    private func token(_ token: Int32, _ reason: FinishReason? = nil) -> RequestUpdate {
        RequestUpdate(id: RequestID(0), output: .token(token), finishReason: reason)
    }

    @Test func anEndOfGenerationTokenEndsTheRequestAndIsNotText() throws {
        #expect(
            try updates([8, end], sampling: .ending(after: 9))
                == [token(8), token(end, .endOfGeneration(token: end))])
    }

    @Test func aStopTokenEndsTheRequestAndIsNotText() throws {
        #expect(
            try updates([8, 9], sampling: .ending(after: 9, stop: [9]))
                == [token(8), token(9, .stop(token: 9))])
    }

    @Test func maxTokensEndsTheRequestAndItsLastTokenIsText() throws {
        #expect(
            try updates([8, 9], sampling: .ending(after: 2))
                == [token(8), token(9, .length)])
    }

    @Test func aStopTokenThatIsAlsoTheLastOneAllowedStops() throws {
        #expect(
            try updates([8, end], sampling: .ending(after: 2))
                == [token(8), token(end, .endOfGeneration(token: end))])
    }

    @Test func ignoreEOSEmitsTheEndTokenAndGoesOn() throws {
        #expect(
            try updates([end, 8], sampling: .ending(after: 2, ignoreEOS: true))
                == [token(end), token(8, .length)])
    }

    @Test func ignoreEOSLeavesTheRequestsOwnStopTokens() throws {
        #expect(
            try updates([end], sampling: .ending(after: 2, stop: [end], ignoreEOS: true))
                == [token(end, .stop(token: end))])
    }

    @Test func nothingStopsBeforeMinTokens() throws {
        #expect(
            try updates([end, 9, end], sampling: .ending(after: 9, min: 2, stop: [9]))
                == [token(end), token(9), token(end, .endOfGeneration(token: end))])
    }

    @Test func theModelsLengthEndsTheRequestWhateverMinTokensSays() throws {
        let updates = try updates([], sampling: .ending(after: 99, min: 50), limits: .small(maxModelLen: 8))
        #expect(updates.count == 5)
        #expect(updates.last == token(7, .length))
    }

    @Test func aSequenceThatOutgrowsTheWholePoolEndsByLength() throws {
        let limits = StepLimits.small(maxModelLen: 64, blocks: 2, blockSize: 4)
        let updates = try updates([], sampling: .ending(after: 99), limits: limits)
        #expect(updates.count == 5)
        #expect(updates.last == token(7, .length))
    }

    /// Patterns of one token and of several, as soon as the last one is whole, and not before min_tokens.
    @Test(arguments: [
        (script: [8, 9, 9, 9], lengths: 1...2, count: 3, min: 0, length: 4),
        (script: [8, 1, 2, 1, 2, 1, 2], lengths: 1...2, count: 3, min: 0, length: 7),
        (script: [8, 1, 2, 1, 2, 1, 2, 1], lengths: 2...2, count: 2, min: 6, length: 6),
        (script: [1, 1, 1, 1, 2, 2, 3, 3, 3, 3], lengths: 2...4, count: 2, min: 0, length: 4),
    ])
    func aTextThatRepeatsItselfEnds(
        _ example: (script: [Int32], lengths: ClosedRange<Int>, count: Int, min: Int, length: Int)
    ) throws {
        var sampling = SamplingParams.ending(after: 12, min: example.min)
        sampling.repetition = RepetitionLimit(lengths: example.lengths, count: example.count)
        let updates = try updates(example.script, sampling: sampling)
        #expect(updates.count == example.length)
        #expect(updates.last == token(example.script[example.length - 1], .repetition))
    }

    /// The prompt's repetitions are none of the text, and an end token counts first.
    @Test func onlyGeneratedTokensRepeat() throws {
        var sampling = SamplingParams.ending(after: 3)
        sampling.repetition = RepetitionLimit(lengths: 1...1, count: 3)
        #expect(try updates([5, 5, 8], sampling: sampling).map(\.finishReason) == [nil, nil, .length])
        sampling.maxTokens = 9
        let ended = try updates([end, 8, 8, 8], sampling: sampling)
        #expect(ended.map(\.finishReason) == [.endOfGeneration(token: end)])
    }
}
