// The worker's life: bringing up, steps that contradict the batch, faults, closing.

import FakeModel
import ModelFiles
import Platform
import Testing
import Worker

struct WorkerTests {
    @Test func limitsSayWhatWasAllocated() throws {
        let fixture = try WorkerFixture()
        let limits = fixture.worker.limits
        #expect(
            limits
                == StepLimits(
                    maxNumSeqs: 4, maxModelLen: 48, maxNumBatchedTokens: 2048,
                    kvCache: KVCacheShape(blockCount: 64, blockSize: 4), vocabularySize: 61, canRaiseMaxModelLen: true,
                    prefixSharing: .none))
        #expect(fixture.model.calls.first == .allocate(limits.kvCache))
    }

    @Test func freeMemoryBoundsThePool() throws {
        let device = FakeMeshDevice()
        // Half of it holds 20 blocks of 16 tokens at 8 bytes.
        device.availableKVCacheBytes = 2 * 20 * 16 * 8
        var configuration = EngineConfiguration()
        configuration.maxModelLen = 100
        let worker = try TTWorker(
            device: device, configuration: configuration, model: FakeMeshDevice.modelConfig(),
            endOfGenerationTokens: [])
        #expect(worker.limits.kvCache == KVCacheShape(blockCount: 20, blockSize: 16))
    }

    @Test func whatTheDeviceCouldNotHeedIsAmongTheWarnings() throws {
        let device = FakeMeshDevice()
        device.warnings = [ConfigurationWarning(key: "threads", message: "lowered from 9 to 2")]
        let worker = try TTWorker(
            device: device, configuration: EngineConfiguration(), model: FakeMeshDevice.modelConfig(),
            endOfGenerationTokens: [])
        #expect(worker.configuration.warnings == device.warnings)
    }

    @Test func theModelIsReleasedBeforeTheDevice() throws {
        let fixture = try WorkerFixture()
        fixture.worker.close()
        fixture.worker.close()
        #expect(fixture.device.events == ["closed after the model"])
        #expect(fixture.worker.health == .closed)
        #expect(throws: DeviceFault(operation: "scheduled step", reason: "the worker is closed")) {
            try fixture.prefill([FixtureRequest(0)])
        }
    }

    @Test func aWorkerThatCannotStartClosesTheDevice() throws {
        let device = FakeMeshDevice()
        let config = try FakeMeshDevice.modelConfig()
        // It stands in the model's file, whatever the settings.
        let refusal = ModelFileError.unsupported(
            path: config.path, what: "the end-of-generation token 61 of a vocabulary of 61 tokens")
        #expect(throws: refusal) {
            try TTWorker(
                device: device, configuration: EngineConfiguration(), model: config, endOfGenerationTokens: [61])
        }
        #expect(device.events == ["closed after the model"])
    }

    @Test func anUnknownArchitectureIsNamedWithTheKnownOnes() throws {
        var config = try FakeMeshDevice.modelConfig()
        config.architectures = ["MambaForCausalLM"]
        let expected = ConfigurationError.noModel(
            model: config.name, tried: ["TTMambaForCausalLM"], known: ["TTLlamaForCausalLM"], platform: "fake")
        #expect(throws: expected) {
            try TTWorker(
                device: FakeMeshDevice(), configuration: EngineConfiguration(), model: config,
                endOfGenerationTokens: [])
        }
    }

    @Test func afterAFaultNothingRuns() throws {
        let fixture = try WorkerFixture()
        let request = FixtureRequest(0)
        _ = try fixture.prefill([request])
        let fault = DeviceFault(operation: "decode step", reason: "the link is down")
        fixture.model.beforeStep = { _ throws(DeviceFault) in throw fault }
        #expect(throws: fault) { try fixture.decode([request]) }
        #expect(fixture.worker.health == .failed(fault))
        fixture.model.beforeStep = nil
        #expect(throws: fault) { try fixture.decode([request]) }
        #expect(fixture.model.stepCount == 2)
    }

    @Test(arguments: [Int32(61), -1])
    func aTokenOutsideTheVocabularyIsTheRowsAloneAndTheOthersGoOn(token: Int32) throws {
        let fixture = try WorkerFixture(mode: "all")
        var other = FixtureRequest(4)
        other.generated += try fixture.prefill([other])
        fixture.model.corruptToken = { _ in token }
        let outputs = try fixture.worker.execute(
            ScheduledStep(leaving: [], work: .prefill([FixtureRequest(5).prefillRow])))
        let reason = "token \(token) of a vocabulary of 61 in a prefill step"
        #expect(outputs == [.bad(BadOutput(reason))])
        fixture.model.corruptToken = nil
        other.generated += try fixture.decode([other], leaving: [RequestID(5)])
        for _ in 0..<4 { other.generated += try fixture.decode([other]) }
        let expected = fixture.language.expectedTokens(prompt: other.prompt, sampling: other.sampling)
        #expect(other.generated == Array(expected.prefix(6)))
    }

    @Test func decodeNamesExactlyTheRowsOfTheBatch() throws {
        let (first, second) = (FixtureRequest(0), FixtureRequest(1))
        for wrong in [[first], [first, first], [first, second, FixtureRequest(2)]] {
            let fixture = try WorkerFixture()
            _ = try fixture.prefill([first, second])
            #expect(throws: DeviceFault.self) { try fixture.decode(wrong) }
            #expect(fixture.model.stepCount == 1)
        }
    }

    @Test func contradictoryStepsAreRefusedBeforeTheDeviceRuns() throws {
        var beyondPool = FixtureRequest(0)
        beyondPool.blocks = [64]
        var withoutBlocks = FixtureRequest(0)
        withoutBlocks.blocks = []
        let tooLong = FixtureRequest(FixtureRequest(0), prompt: Array(repeating: 3, count: 48))
        let unknownToken = FixtureRequest(FixtureRequest(0), prompt: [61])
        let tooMany = (0..<5).map { FixtureRequest($0) }
        let twice = [FixtureRequest(0), FixtureRequest(0)]
        for rows in [[beyondPool], [withoutBlocks], [tooLong], [unknownToken], tooMany, twice] {
            let fixture = try WorkerFixture()
            #expect(throws: DeviceFault.self) { try fixture.prefill(rows) }
            #expect(fixture.model.stepCount == 0)
        }
        let fixture = try WorkerFixture()
        #expect(throws: DeviceFault.self) { try fixture.decode([], leaving: [RequestID(9)]) }
    }

    @Test func aSequenceThatOutgrowsItsBlocksIsRefused() throws {
        let fixture = try WorkerFixture()
        let request = FixtureRequest(0, blockCount: 1)
        _ = try fixture.prefill([request])
        #expect(throws: DeviceFault.self) { try fixture.decode([request]) }
    }

    @Test func sharedBlocksAreOnlyTakenWhereTheModelDeclaresIt() throws {
        let capabilities = ModelCapabilities(
            supportsSampleOnDevice: true, deviceDraws: .sampleStream, prefixSharing: .anywhere)
        let fixture = try WorkerFixture(capabilities: capabilities)
        var first = FixtureRequest(FixtureRequest(0), prompt: [2, 3, 4, 5, 6])
        var second = FixtureRequest(FixtureRequest(1), prompt: [2, 3, 4, 5, 9, 8])
        second.blocks[0] = first.blocks[0]
        var row = second.prefillRow
        row.computedTokens = 4
        first.generated += try fixture.prefill([first])
        second.generated += try fixture.worker.tokens(ScheduledStep(leaving: [], work: .prefill([row])))
        for request in [first, second] {
            let expected = fixture.language.expectedTokens(prompt: request.prompt, sampling: request.sampling)
            #expect(request.generated == Array(expected.prefix(1)))
        }
        let without = try WorkerFixture()
        _ = try without.prefill([first])
        #expect(throws: DeviceFault.self) {
            try without.worker.execute(ScheduledStep(leaving: [], work: .prefill([row])))
        }
    }

    @Test func aBlockIsCopiedWhereComputedTokensDoNotFillTheirs() throws {
        let capabilities = ModelCapabilities(
            supportsSampleOnDevice: true, deviceDraws: .sampleStream, prefixSharing: .anywhere)
        let first = FixtureRequest(FixtureRequest(0), prompt: [2, 3, 4, 5, 6, 7, 8, 9, 10])
        let second = FixtureRequest(FixtureRequest(1), prompt: [2, 3, 4, 5, 6, 7, 11])
        func prefill(_ change: (inout PrefillRow) -> Void) throws -> [Int32] {
            let fixture = try WorkerFixture(capabilities: capabilities)
            _ = try fixture.prefill([first])
            var row = second.prefillRow
            row.blocks[0][0] = first.blocks[0]
            row.computedTokens = 6
            row.copiedBlocks = [first.blocks[1]]
            change(&row)
            return try fixture.worker.tokens(ScheduledStep(leaving: [], work: .prefill([row])))
        }
        #expect(throws: DeviceFault.self) { try prefill { $0.copiedBlocks = [] } }
        #expect(throws: DeviceFault.self) { try prefill { $0.copiedBlocks = [Int32.max] } }
        #expect(throws: DeviceFault.self) { try prefill { $0.computedTokens = 4 } }
        let expected = try WorkerFixture().language.expectedTokens(prompt: second.prompt, sampling: second.sampling)
        #expect(try prefill { _ in } == Array(expected.prefix(1)))
    }

    @Test func anEmptyStepOnlyLetsRequestsLeave() throws {
        let fixture = try WorkerFixture()
        let request = FixtureRequest(0)
        _ = try fixture.prefill([request])
        #expect(try fixture.decode([], leaving: [request.id]).isEmpty)
        #expect(try fixture.prefill([]).isEmpty)
        #expect(fixture.model.stepCount == 1)
        _ = try fixture.prefill([request])
    }
}
