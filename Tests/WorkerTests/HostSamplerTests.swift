// The host sampler: outputs that are the request's doing, and those that are the device's.

import Platform
import Sampling
import Testing

@testable import Worker

struct HostSamplerTests {
    let sampler = HostSampler()

    @Test func edits() {
        let edits = LogitEdits(changes: [LogitChange(token: 0, bias: -.infinity), LogitChange(token: 3, bias: 5)])
        #expect(sampler.sample([9, 8, 7, 6], TokenDraw(.greedy), position: 1) == .token(0))
        #expect(sampler.sample([9, 8, 7, 6], TokenDraw(.greedy, edits: edits), position: 1) == .token(3))
    }

    /// What a request excludes is no fault of the device.
    @Test func aRequestThatExcludesEverythingIsNoFault() {
        let mask = TokenMask(vocabulary: 3, allowing: [2])
        let draw = TokenDraw(.greedy, edits: LogitEdits(allowed: mask))
        #expect(sampler.sample([1, 2, -.infinity], draw, position: 0) == .excluded)
    }

    @Test(arguments: [[Float.nan, .nan], [-.infinity, -.infinity]])
    func logitsThatAllowNoTokenAreNoNumbers(logits: [Float]) {
        #expect(sampler.sample(logits, TokenDraw(.greedy), position: 0) == .notNumbers)
        let edits = LogitEdits(changes: [LogitChange(token: 0, bias: -.infinity)])
        #expect(sampler.sample(logits, TokenDraw(.greedy, edits: edits), position: 0) == .notNumbers)
    }

    @Test func logprobsAreThoseBeforeTheEdits() throws {
        let edits = LogitEdits(changes: [LogitChange(token: 0, bias: -.infinity)])
        let draw = TokenDraw(.greedy, edits: edits, logprobs: LogprobsRequest(top: 2))
        guard case .token(let token) = sampler.sample([3, 1, 2, -1], draw, position: 0) else {
            throw TokenMissing()
        }
        #expect(token.id == 2)
        let logprobs = try #require(token.logprobs)
        #expect(logprobs.top.map(\.token) == [0, 2])
        #expect(logprobs.own == logprobs.top[1])
        #expect(abs(logprobs.own.logprob - -1.4197) < 1e-3)
    }

    private struct TokenMissing: Error {}
}
