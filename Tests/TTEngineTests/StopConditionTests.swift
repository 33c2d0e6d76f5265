// When a request ends, and which tokens count as text.

import TTPlatform
import TTWorker
import Testing

@testable import TTEngine

@Suite struct StopConditionTests {
    private let end = EngineFixture.endOfGeneration

    /// Runs one request whose generated tokens are `script`, 7 after its end, and gives its events.
    private func events(
        _ script: [Int32], sampling: SamplingParams, promptLength: Int = 3, limits: StepLimits = .small()
    ) throws -> [EngineEvent] {
        let fixture = EngineFixture(limits) { sequence in
            let index = sequence.count - promptLength
            return index < script.count ? script[index] : 7
        }
        _ = try fixture.engine.add(prompt: Array(repeating: 5, count: promptLength), sampling: sampling)
        return try fixture.drain().flatMap(\.events)
    }

    private let id = RequestID(0)

    @Test func anEndOfGenerationTokenEndsTheRequestAndIsNotText() throws {
        #expect(
            try events([8, end], sampling: .ending(after: 9))
                == [.token(id, 8), .stopToken(id, end), .finished(id, .endOfGeneration(token: end))])
    }

    @Test func aStopTokenEndsTheRequestAndIsNotText() throws {
        #expect(
            try events([8, 9], sampling: .ending(after: 9, stop: [9]))
                == [.token(id, 8), .stopToken(id, 9), .finished(id, .stop(token: 9))])
    }

    @Test func maxTokensEndsTheRequestAndItsLastTokenIsText() throws {
        #expect(
            try events([8, 9], sampling: .ending(after: 2))
                == [.token(id, 8), .token(id, 9), .finished(id, .length)])
    }

    @Test func aStopTokenThatIsAlsoTheLastOneAllowedStops() throws {
        #expect(
            try events([8, end], sampling: .ending(after: 2))
                == [.token(id, 8), .stopToken(id, end), .finished(id, .endOfGeneration(token: end))])
    }

    @Test func ignoreEOSEmitsTheEndTokenAndGoesOn() throws {
        #expect(
            try events([end, 8], sampling: .ending(after: 2, ignoreEOS: true))
                == [.token(id, end), .token(id, 8), .finished(id, .length)])
    }

    @Test func ignoreEOSLeavesTheRequestsOwnStopTokens() throws {
        #expect(
            try events([end], sampling: .ending(after: 2, stop: [end], ignoreEOS: true))
                == [.stopToken(id, end), .finished(id, .stop(token: end))])
    }

    @Test func nothingStopsBeforeMinTokens() throws {
        #expect(
            try events([end, 9, end], sampling: .ending(after: 9, min: 2, stop: [9]))
                == [.token(id, end), .token(id, 9), .stopToken(id, end), .finished(id, .endOfGeneration(token: end))])
    }

    @Test func theModelsLengthEndsTheRequestWhateverMinTokensSays() throws {
        let events = try events([], sampling: .ending(after: 99, min: 50), limits: .small(maxModelLen: 8))
        #expect(events.count == 6)
        #expect(events.last == .finished(id, .length))
    }

    @Test func aSequenceThatOutgrowsTheWholePoolEndsByLength() throws {
        let limits = StepLimits.small(maxModelLen: 64, blocks: 2, blockSize: 4)
        let events = try events([], sampling: .ending(after: 99), limits: limits)
        #expect(events.count == 6)
        #expect(events.last == .finished(id, .length))
    }
}
