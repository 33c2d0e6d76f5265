// The original system's faults (TT contract §3.1), each with a test that it cannot happen here.

import FakeModel
import Platform
import Sampling
import Testing
import Worker

struct DefectTests {
    /// The original ran a resumed request as a decode, on blocks that held nothing of it.
    @Test func aResumedRequestIsPrefilledAgainWithAllThatItHad() throws {
        let fixture = try WorkerFixture()
        var request = FixtureRequest(0)
        let other = FixtureRequest(1)
        request.generated += [try fixture.prefill([request, other])[0]]
        for _ in 0..<5 { request.generated.append(try fixture.decode([request, other])[0]) }
        _ = try fixture.decode([other], leaving: [request.id])
        request.blocks = (40..<48).map { Int32($0) }
        request.generated += try fixture.prefill([request])
        for _ in 0..<5 { request.generated.append(try fixture.decode([request, other])[0]) }
        let expected = fixture.language.expectedTokens(prompt: request.prompt, sampling: request.sampling)
        #expect(request.generated == Array(expected.prefix(12)))
    }

    /// The original used the first row's temperature, top-k and top-p for the whole batch.
    @Test(arguments: ["all", "decode_only", "none"])
    func everyRowHasItsOwnSamplingParameters(mode: String) throws {
        let fixture = try WorkerFixture(mode: mode)
        var requests = [
            FixtureRequest(0), FixtureRequest(1, TTSamplingParams(temperature: 1, seed: 1)),
            FixtureRequest(2, TTSamplingParams(temperature: 0.5, topK: 3, seed: 2)),
            FixtureRequest(3, TTSamplingParams(temperature: 2, topP: 0.5, seed: 3)),
        ]
        try generate(10, &requests, fixture)
        for request in requests {
            let expected = fixture.language.expectedTokens(prompt: request.prompt, sampling: request.sampling)
            #expect(request.generated == Array(expected.prefix(10)))
        }
    }

    /// The original ignored the seed, so that equal requests differed, or a constant one, so that all were equal.
    @Test func theSeedDecidesAndNothingElse() throws {
        let fixture = try WorkerFixture()
        var requests = [1, 1, 2].enumerated().map { number, seed in
            FixtureRequest(number, TTSamplingParams(temperature: 1, seed: UInt64(seed)))
        }
        let prompt = requests[0].prompt
        requests = requests.map { request in
            FixtureRequest(request, prompt: prompt)
        }
        try generate(10, &requests, fixture)
        #expect(requests[0].generated == requests[1].generated)
        #expect(requests[0].generated != requests[2].generated)
    }

    /// The original ignored `min_tokens`; here it is kept, on the host, and only by the rows that ask for it.
    @Test(arguments: ["all", "decode_only", "none"])
    func minTokensIsInForceOnTheHostAndOnlyForItsRow(mode: String) throws {
        // In this language every token but one ends generation, so that masking is the only way not to end.
        let language = FakeLanguage(
            vocabularySize: 61, endOfGeneration: Set((0..<61).map { Int32($0) }).subtracting([7]))
        let fixture = try WorkerFixture(mode: mode, language: language)
        var requests = [FixtureRequest(0, minTokens: 4), FixtureRequest(1)]
        try generate(8, &requests, fixture)
        #expect(requests[0].generated.prefix(4) == [7, 7, 7, 7])
        #expect(requests[0].generated.suffix(4) != [7, 7, 7, 7])
        #expect(requests[1].generated.prefix(4) != [7, 7, 7, 7])
        if mode == "decode_only" {
            // Two first tokens and request 0's next three; everything else stayed on the device.
            #expect(fixture.model.rowsSentToHost == 5)
            #expect(fixture.model.tokensSampledOnDevice == 11)
        }
    }

    /// The original's device read "all tokens" as the 32 most probable.
    @Test func aTopKThatTheDeviceCannotDoIsDoneByTheHost() throws {
        let capabilities = ModelCapabilities(
            supportsSampleOnDevice: true, maxDeviceTopK: 32, deviceDraws: .sampleStream)
        let fixture = try WorkerFixture(mode: "all", capabilities: capabilities)
        var requests = [
            FixtureRequest(0, TTSamplingParams(temperature: 1, topK: 0)),
            FixtureRequest(1, TTSamplingParams(temperature: 1, topK: 33)),
            FixtureRequest(2, TTSamplingParams(temperature: 1, topK: 32)), FixtureRequest(3),
        ]
        try generate(5, &requests, fixture)
        #expect(fixture.model.rowsSentToHost == 2 * 5)
        #expect(fixture.model.tokensSampledOnDevice == 2 * 5)
    }

    /// The original drew from the device's own generator whatever the seed.
    @Test func aDeviceWithoutTheRandomStreamSamplesOnlyGreedyRows() throws {
        let fixture = try WorkerFixture(mode: "all", capabilities: ModelCapabilities(supportsSampleOnDevice: true))
        var requests = [FixtureRequest(0, TTSamplingParams(temperature: 1, seed: 4)), FixtureRequest(1)]
        try generate(5, &requests, fixture)
        #expect(fixture.model.rowsSentToHost == 5)
        #expect(fixture.model.tokensSampledOnDevice == 5)
    }

    /// A step that is sampled in one place goes to the host as a whole for one row that the device cannot sample, and comes
    /// back with all its inputs reloaded.
    @Test func aStepThatIsSampledInOnePlaceFollowsItsHostRow() throws {
        var capabilities = ModelCapabilities(supportsSampleOnDevice: true)
        capabilities.deviceSamplingScope = .step
        let fixture = try WorkerFixture(mode: "decode_only", capabilities: capabilities)
        var requests = [FixtureRequest(0, minTokens: 3), FixtureRequest(1)]
        try generate(6, &requests, fixture)
        // Two first tokens, and two steps of two rows while the first request's min_tokens is in force.
        #expect(fixture.model.rowsSentToHost == 2 + 2 * 2)
        #expect(fixture.model.tokensSampledOnDevice == 3 * 2)
        #expect(fixture.plans.map(\.inputs) == [.reloadAll, .reloadAll, .reloadAll, .keep, .keep])
        #expect(fixture.plans.map(\.resetSamplingState) == [false, false, true, false, false])
    }

    /// The original's short prompts were padded with what an earlier row had left in the buffer.
    @Test func promptsAreRaggedAndCarryNothingStale() throws {
        let fixture = try WorkerFixture()
        let long = FixtureRequest(0)
        let short = FixtureRequest(FixtureRequest(1), prompt: [5])
        _ = try fixture.prefill([long, short])
        guard case .prefill(let batch) = fixture.model.calls.last else {
            Issue.record("no prefill")
            return
        }
        #expect(batch.tokens == [long.prompt, [5]])
        #expect(batch.startPositions == [0, 0])
    }

    /// Rows without a request have position −1, so that the device skips them, and no blocks.
    @Test func emptyPlacesArePadded() throws {
        let fixture = try WorkerFixture()
        let request = FixtureRequest(3)
        _ = try fixture.prefill([request])
        _ = try fixture.decode([request])
        let batches = fixture.model.calls.compactMap { if case .decode(let batch, _) = $0 { batch } else { nil } }
        let batch = try #require(batches.first)
        #expect(batch.positions == [4, -1, -1, -1])
        #expect(batch.tokens.dropFirst() == [0, 0, 0])
        #expect(batch.pageTable.rowCount == 4 && batch.pageTable.width == 12)
        #expect(Array(batch.pageTable[0]) == request.blocks + [0, 0, 0, 0])
        #expect(batch.pageTable[1].allSatisfy { $0 == 0 })
    }

    /// The original's replicas shared one step, and an idle one shifted the results of the next.
    @Test func anIdleReplicaCannotTouchAnother() throws {
        let idle = try WorkerFixture()
        let busy = try WorkerFixture()
        var requests = [FixtureRequest(0), FixtureRequest(1)]
        try generate(6, &requests, busy)
        for request in requests {
            let expected = busy.language.expectedTokens(prompt: request.prompt, sampling: request.sampling)
            #expect(request.generated == Array(expected.prefix(6)))
        }
        #expect(idle.model.stepCount == 0)
        #expect(busy.model.initialization.maxBatchSize == 4)
    }

    /// The original's settings under `override_tt_config` never reached worker and model.
    @Test func theTTSectionReachesTheModel() throws {
        let fixture = try WorkerFixture(
            tt: [
                "sample_on_device_mode": .string("all"), "trace_mode": .boolean(false),
                "optimizations": .string("accuracy"),
            ])
        #expect(fixture.model.initialization.optimizations == .accuracy)
        let plan = WarmUpPlan(
            decodeBatchSize: 4, pageTableWidth: 12, traceMode: false, samplePrefillOnDevice: true,
            sampleDecodeOnDevice: true)
        #expect(fixture.model.calls.contains(.warmUp(plan)))
    }

    /// The original let the first requests pay for compiling and capturing.
    @Test(arguments: [true, false])
    func warmUpRunsBeforeTheFirstRequestUnlessSwitchedOff(enabled: Bool) throws {
        let fixture = try WorkerFixture(tt: ["enable_model_warmup": .boolean(enabled)])
        let warmedUp = fixture.model.calls.contains { if case .warmUp = $0 { true } else { false } }
        #expect(warmedUp == enabled)
    }

    /// The original narrowed the page table where the pool was smaller than the longest sequence.
    @Test func aPoolSmallerThanTheLongestSequenceIsRefused() throws {
        #expect(throws: ConfigurationError.keyValueCacheTooSmall(blocks: 11, blockSize: 4, maxModelLen: 48)) {
            try WorkerFixture(blocks: 11)
        }
        _ = try WorkerFixture(blocks: 12)
    }

    /// Prefills and decodes until each request has `count` tokens.
    private func generate(
        _ count: Int, _ requests: inout [FixtureRequest], _ fixture: WorkerFixture
    ) throws {
        var tokens = try fixture.prefill(requests)
        for step in 0..<count {
            for index in requests.indices { requests[index].generated.append(tokens[index]) }
            if step < count - 1 { tokens = try fixture.decode(requests) }
        }
    }
}
