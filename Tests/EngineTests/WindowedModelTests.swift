// Real layers with a window, on the host device behind the real worker: others get the blocks of each request.

import HostDevice
import ModelFiles
import Platform
import RandomModels
import Sampling
import TestSupport
import Testing
import Worker

@testable import Engine

@Suite struct WindowedModelTests {
    private struct Job {
        let prompt: [Int32]
        let sampling: SamplingParams
    }

    /// Long generations, half of them from prompts that begin alike.
    private static func jobs(vocabulary: Int) -> [Job] {
        var random = SplitMix64(seed: 5)
        let beginning = (0..<45).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) }
        return (0..<8).map { number in
            let tail = (0..<Int.random(in: 3...30, using: &random)).map { _ in
                Int32.random(in: 0..<Int32(vocabulary), using: &random)
            }
            let token: TTSamplingParams =
                number % 3 == 0 ? TTSamplingParams(temperature: 1, topP: 0.9, seed: UInt64(number)) : .greedy
            return Job(
                prompt: (number % 2 == 0 ? beginning : []) + tail,
                sampling: SamplingParams(token: token, maxTokens: 45 - number, ignoreEOS: true))
        }
    }

    private static func engine(
        _ path: String, _ optimizations: Optimizations, share: OnlineShare? = nil,
        change: (inout EngineConfiguration) -> Void
    ) throws -> (TTEngine, TTWorker) {
        var configuration = EngineConfiguration()
        configuration.maxModelLen = 120
        configuration.maxNumBatchedTokens = 120
        configuration.blockSize = 8
        configuration.tt.optimizations = optimizations
        change(&configuration)
        let worker = try TTWorker(
            device: HostMeshDevice(threads: 2), configuration: configuration, model: ModelBundle(path: path).config,
            endOfGenerationTokens: [])
        return (TTEngine(executor: worker, endOfGeneration: [], share: share), worker)
    }

    private static func run(_ engine: TTEngine, _ jobs: [Job], at once: Bool) throws -> [[Int32]] {
        var tokens: [[Int32]] = jobs.map { _ in [] }
        func drain() throws {
            while let report = try engine.step() {
                try engine.checkIntegrity()
                for update in report.updates { tokens[update.id.number].append(try #require(update.token)) }
            }
        }
        for (number, job) in jobs.enumerated() {
            try engine.add(
                RequestID(number), priority: number % 3 == 1 ? .online : .batch, prompt: job.prompt,
                sampling: job.sampling)
            if !once { try drain() }
        }
        try drain()
        return tokens
    }

    /// A small pool, in which requests are preempted and share prefixes, gives each the tokens that it gets alone in a
    /// cache that keeps everything.
    @Test(arguments: ["gemma3", "cohere2", "olmo3", "mistral_swa"], Optimizations.allCases)
    func othersGetTheBlocksBehindTheWindow(name: String, optimizations: Optimizations) throws {
        let model = try RandomModel(name)
        let path = model.gguf ?? model.folder
        let jobs = Self.jobs(vocabulary: model.vocabularySize)
        let (alone, aloneWorker) = try Self.engine(path, optimizations) {
            $0.maxNumSeqs = 1
            $0.enablePrefixCaching = false
        }
        defer { aloneWorker.close() }
        let expected = try Self.run(alone, jobs, at: false)
        let keepsAll = name != "mistral_swa"
        let (engine, worker) = try Self.engine(path, optimizations) {
            $0.maxNumSeqs = 6
            $0.numBlocksOverride = keepsAll ? 30 : 15
        }
        defer { worker.close() }
        #expect(worker.limits.kvCache.groups.map(\.window) == (keepsAll ? [nil, 16] : [16]))
        #expect(try Self.run(engine, jobs, at: true) == expected)
        let statistics = engine.statistics
        #expect(statistics.preemptions > 0 || !keepsAll)
        #expect(statistics.cachedTokens > 0 && statistics.kvBlocksUsed == 0)
    }

    /// Real layers give the same tokens if prompts come in pieces between the steps of others.
    @Test(arguments: ["llama", "gemma3", "mistral_swa"], Optimizations.allCases)
    func promptsInPiecesGiveTheSameTokens(name: String, optimizations: Optimizations) throws {
        let model = try RandomModel(name)
        let path = model.gguf ?? model.folder
        let jobs = Self.jobs(vocabulary: model.vocabularySize)
        let (alone, aloneWorker) = try Self.engine(path, optimizations) {
            $0.maxNumSeqs = 1
            $0.enablePrefixCaching = false
        }
        defer { aloneWorker.close() }
        let expected = try Self.run(alone, jobs, at: false)
        let (engine, worker) = try Self.engine(path, optimizations, share: OnlineShare(slots: 2, prefillTokens: 17)) {
            $0.maxNumSeqs = 5
            $0.numBlocksOverride = 40
        }
        defer { worker.close() }
        #expect(try Self.run(engine, jobs, at: true) == expected)
        #expect(engine.statistics.prefillSteps > alone.statistics.prefillSteps)
    }
}
