// Decode plans over the life of a batch: what is reloaded at each transition and what the device keeps.

import FakeModel
import Platform
import Sampling
import Testing

struct DecodePlannerTests {
    static let everything = DecodePlan.reloadEverything
    static let nothing = DecodePlan(inputs: .keep, reloadSamplingParams: false, resetSamplingState: false)

    @Test func steadyDeviceSamplingReloadsNothing() throws {
        let fixture = try WorkerFixture()
        let requests = [FixtureRequest(0), FixtureRequest(1, TTSamplingParams(temperature: 1))]
        _ = try fixture.prefill(requests)
        for _ in 0..<4 { _ = try fixture.decode(requests) }
        #expect(fixture.plans == [Self.everything, Self.nothing, Self.nothing, Self.nothing])
        // Only the two first tokens were sampled on the host.
        #expect(fixture.model.rowsSentToHost == 2)
    }

    @Test func aGrownTableIsReloadedAlone() throws {
        let fixture = try WorkerFixture()
        let request = FixtureRequest(0, blockCount: 2)
        _ = try fixture.prefill([request])
        for _ in 0..<4 { _ = try fixture.decode([request]) }
        _ = try fixture.decode([request], newBlocks: [request.id: [50]])
        _ = try fixture.decode([request])
        let grown = DecodePlan(inputs: .reloadPageTable, reloadSamplingParams: false, resetSamplingState: false)
        #expect(fixture.plans.suffix(3) == [Self.nothing, grown, Self.nothing])
    }

    @Test func aPrefillReloadsEverything() throws {
        let fixture = try WorkerFixture()
        let (first, second) = (FixtureRequest(0), FixtureRequest(1))
        _ = try fixture.prefill([first])
        _ = try fixture.decode([first])
        _ = try fixture.decode([first])
        _ = try fixture.prefill([second])
        _ = try fixture.decode([first, second])
        #expect(fixture.plans == [Self.everything, Self.nothing, Self.everything])
    }

    @Test func aRowThatLeavesReloadsEverything() throws {
        let fixture = try WorkerFixture()
        let requests = (0..<4).map { FixtureRequest($0) }
        _ = try fixture.prefill(requests)
        _ = try fixture.decode(requests)
        _ = try fixture.decode(requests)
        _ = try fixture.decode(Array(requests[..<3]), leaving: [requests[3].id])
        _ = try fixture.decode(Array(requests[1..<3]), leaving: [requests[0].id])
        #expect(fixture.plans == [Self.everything, Self.nothing, Self.everything, Self.everything])
    }

    /// A row that ends with its first token leaves a gap before any decode step; the others keep their slots and states.
    @Test func aRowThatEndsWithItsFirstTokenLeavesAGap() throws {
        let fixture = try WorkerFixture()
        let requests = (0..<3).map { FixtureRequest($0) }
        let first = try fixture.prefill(requests)
        let second = try fixture.decode(Array(requests[1...]), leaving: [requests[0].id])
        #expect(fixture.plans == [Self.everything])
        for index in 1...2 {
            let expected = fixture.language.expectedTokens(
                prompt: requests[index].prompt, sampling: requests[index].sampling)
            #expect([first[index], second[index - 1]] == Array(expected.prefix(2)))
        }
    }

    @Test func hostSamplingReloadsTheInputsOfEveryStep() throws {
        let fixture = try WorkerFixture(mode: "none")
        let request = FixtureRequest(0)
        _ = try fixture.prefill([request])
        for _ in 0..<3 { _ = try fixture.decode([request]) }
        let first = DecodePlan(inputs: .reloadAll, reloadSamplingParams: true, resetSamplingState: false)
        let later = DecodePlan(inputs: .reloadAll, reloadSamplingParams: false, resetSamplingState: false)
        #expect(fixture.plans == [first, later, later])
    }

    @Test func aRowThatGoesOverToTheDeviceReloadsEverything() throws {
        let fixture = try WorkerFixture()
        let requests = [FixtureRequest(0, minTokens: 3), FixtureRequest(1)]
        _ = try fixture.prefill(requests)
        for _ in 0..<4 { _ = try fixture.decode(requests) }
        let inputs = DecodePlan(inputs: .reloadAll, reloadSamplingParams: false, resetSamplingState: false)
        #expect(fixture.plans == [Self.everything, inputs, Self.everything, Self.nothing])
    }

    /// The device has chosen other tokens than those that the request gives.
    @Test func tokensThatTheRequestGivesAreReloaded() throws {
        var capabilities = ModelCapabilities(supportsSampleOnDevice: true, deviceDraws: .byPosition)
        capabilities.editsLogits = true
        let fixture = try WorkerFixture(capabilities: capabilities)
        let requests = [FixtureRequest(0, forced: [40, 3, 17, 3]), FixtureRequest(1)]
        var tokens = [try fixture.prefill(requests)]
        for _ in 0..<4 { tokens.append(try fixture.decode(requests)) }
        let prompt = requests[1].prompt
        #expect(
            tokens.map { $0[1] }
                == Array(fixture.language.expectedTokens(prompt: prompt, sampling: requests[1].sampling).prefix(5)))
        #expect(tokens.map { $0[0] }.prefix(4) == [40, 3, 17, 3])
        let inputs = DecodePlan(inputs: .reloadAll, reloadSamplingParams: true, resetSamplingState: false)
        #expect(fixture.plans == [Self.everything, inputs, inputs, inputs])
        // The two first tokens.
        #expect(fixture.model.rowsSentToHost == 2)
    }

    @Test func withoutTracesTheInputsAreReloadedInEveryStep() throws {
        let fixture = try WorkerFixture(tt: ["trace_mode": .string("none")])
        let request = FixtureRequest(0)
        _ = try fixture.prefill([request])
        for _ in 0..<2 { _ = try fixture.decode([request]) }
        let inputs = DecodePlan(inputs: .reloadAll, reloadSamplingParams: false, resetSamplingState: false)
        #expect(fixture.plans == [Self.everything, inputs])
    }
}
