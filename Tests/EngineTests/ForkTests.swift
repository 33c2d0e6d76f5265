// Requests that come together with one prompt: it is prefilled once, and each continues as if it were alone.

import FakeModel
import Platform
import Sampling
import TestSupport
import Testing
import Worker

@testable import Engine

@Suite struct ForkTests {
    private let language = FakeLanguage(vocabularySize: 97, endOfGeneration: [0])

    private func engine(
        slots: Int, blocks: Int = 200, windows: [Int?] = [nil], sharing: PrefixSharing = .anywhere
    ) throws -> (engine: TTEngine, device: FakeMeshDevice, worker: TTWorker) {
        var capabilities = ModelCapabilities(
            supportsSampleOnDevice: true, deviceDraws: .sampleStream, prefixSharing: sharing)
        capabilities.editsLogits = true
        capabilities.kvCacheWindows = windows
        let device = FakeMeshDevice(capabilities: capabilities, language: language)
        var configuration = EngineConfiguration()
        configuration.maxNumSeqs = slots
        configuration.maxModelLen = 100
        configuration.blockSize = 8
        configuration.numBlocksOverride = blocks
        let worker = try TTWorker(
            device: device, configuration: configuration,
            model: FakeMeshDevice.modelConfig(vocabularySize: language.vocabularySize),
            endOfGenerationTokens: language.endOfGeneration)
        return (TTEngine(executor: worker, endOfGeneration: language.endOfGeneration), device, worker)
    }

    private func sampling(_ seed: Int, maxTokens: Int = 20) -> SamplingParams {
        SamplingParams(
            token: TTSamplingParams(temperature: 1, seed: UInt64(seed)),
            shaping: LogitShaping(penalties: Penalties(repetition: 1.2, frequency: 0.3)), maxTokens: maxTokens)
    }

    /// Runs until everything has ended; returns each request's tokens.
    private func run(_ engine: TTEngine) throws -> [RequestID: [Int32]] {
        var tokens: [RequestID: [Int32]] = [:]
        while let report = try engine.step() {
            try engine.checkIntegrity()
            for update in report.updates {
                if case .token(let token) = update.output { tokens[update.id, default: []].append(token.id) }
            }
        }
        return tokens
    }

    private func prompt(_ length: Int) -> [Int32] { (0..<length).map { Int32(($0 * 7) % 89 + 1) } }

    /// Of prompts that fill their blocks and that do not.
    @Test(arguments: [1, 7, 8, 9, 16, 37], [[nil], [nil, 11], [5]] as [[Int?]])
    func eightChoicesPrefillOnce(length: Int, windows: [Int?]) throws {
        let (engine, _, worker) = try engine(slots: 8, windows: windows)
        defer { worker.close() }
        let ids = (0..<8).map { RequestID(5, sequence: $0) }
        try engine.add(ids, prompt: prompt(length), sampling: (0..<8).map { sampling(40 + $0) })
        let tokens = try run(engine)
        #expect(engine.statistics.prefilledTokens == length)
        #expect(engine.statistics.prefillSteps == 1)
        for (index, id) in ids.enumerated() {
            #expect(tokens[id] == language.expectedTokens(prompt: prompt(length), sampling: sampling(40 + index)))
        }
    }

    /// More choices than slots, with other requests before and behind, and too few blocks for all.
    @Test(arguments: [1, 2, 3, 8], [14, 30, 200])
    func choicesThatDoNotFitWait(slots: Int, blocks: Int) throws {
        for sharing in [PrefixSharing.anywhere, .none] {
            let (engine, _, worker) = try engine(slots: slots, blocks: blocks, sharing: sharing)
            defer { worker.close() }
            var expected: [RequestID: [Int32]] = [:]
            for number in 0..<6 {
                let count = [1, 8, 1, 5, 2, 1][number]
                let ids = (0..<count).map { RequestID(number, sequence: $0) }
                let prompt = prompt(5 + number * 9)
                let all = (0..<count).map { sampling(number * 100 + $0, maxTokens: 25) }
                try engine.add(ids, prompt: prompt, sampling: all)
                for (id, sampling) in zip(ids, all) {
                    expected[id] = language.expectedTokens(prompt: prompt, sampling: sampling)
                }
            }
            #expect(try run(engine) == expected)
        }
    }

    @Test func aCancelledChoiceLeavesTheOthers() throws {
        let (engine, _, worker) = try engine(slots: 4)
        defer { worker.close() }
        let ids = (0..<4).map { RequestID(1, sequence: $0) }
        try engine.add(ids, prompt: prompt(12), sampling: (0..<4).map { sampling($0) })
        _ = try engine.step()
        #expect(engine.cancel(ids[0]))
        try engine.checkIntegrity()
        let tokens = try run(engine)
        for index in 1..<4 {
            let expected = language.expectedTokens(prompt: prompt(12), sampling: sampling(index))
            #expect(tokens[ids[index]] == Array(expected.dropFirst()))
        }
    }

    /// All or none: a request with one prompt that does not fit is refused as a whole.
    @Test func allChoicesAreRefusedTogether() throws {
        let (engine, _, worker) = try engine(slots: 4)
        defer { worker.close() }
        #expect(throws: RequestRefusal.self) {
            try engine.add(
                [RequestID(1), RequestID(1, sequence: 1)], prompt: prompt(100), sampling: [sampling(1), sampling(2)])
        }
        #expect(!engine.hasWork)
    }
}
