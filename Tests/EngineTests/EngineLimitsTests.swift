// Limits under which a preempted request could never be prefilled again are not accepted.

import Platform
import Testing

@testable import Engine

@Suite struct EngineLimitsTests {
    @Test func aStepMustHoldTheLongestSequence() async {
        await #expect(processExitsWith: .failure) {
            _ = EngineFixture(.small(maxModelLen: 64, batchedTokens: 63))
        }
        await #expect(processExitsWith: .success) {
            _ = EngineFixture(.small(maxModelLen: 64, batchedTokens: 64))
        }
    }
}
