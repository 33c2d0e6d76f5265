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
}
