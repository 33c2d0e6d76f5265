// Random schedules over the real worker and a fake model, in each sampling mode.

import FakeModel
import Platform
import Sampling
import TestSupport
import Testing
import Worker

@testable import Engine

@Suite struct WorkerSimulationTests {
    /// How the fake device shares prefixes.
    enum Device: CaseIterable {
        /// Not at all.
        case sharesNothing
        /// As the host does.
        case copiesBlocks
        /// As Tenstorrent's model classes: aligned starts, padded rows, padding through empty places of page tables.
        case pads

        var capabilities: ModelCapabilities {
            var capabilities = ModelCapabilities(
                supportsSampleOnDevice: true, deviceDraws: .sampleStream,
                prefixSharing: self == .sharesNothing ? .none : .anywhere)
            capabilities.editsLogits = self == .copiesBlocks
            capabilities.scoresPrompts = self == .copiesBlocks
            if self == .pads {
                let steps = [
                    PrefillAlignment.Step(length: 16, multiple: 4), PrefillAlignment.Step(length: 64, multiple: 16),
                ]
                capabilities.prefixSharing = .aligned(PrefillAlignment(steps: steps)!)
                capabilities.needsNullBlock = true
                capabilities.prefillPadding = .none
            }
            return capabilities
        }
    }

    @Test(arguments: SampleOnDeviceMode.allCases, Device.allCases)
    func everyRequestGetsTheTokensItGetsAlone(mode: SampleOnDeviceMode, device: Device) throws {
        try run(mode, device, windows: [nil])
    }

    /// Online requests and those of batches, whose prompts are prefilled in pieces.
    @Test(arguments: Device.allCases, [[nil], [nil, 7]])
    func prioritiesChangeNoToken(device: Device, windows: [Int?]) throws {
        try run(.decodeOnly, device, windows: windows, isShared: true)
    }

    @Test(arguments: Device.allCases, [[1], [9], [nil, 7], [nil, 20, 2]])
    func windowsChangeNoToken(device: Device, windows: [Int?]) throws {
        try run(.decodeOnly, device, windows: windows)
    }

    private func run(
        _ mode: SampleOnDeviceMode, _ device: Device, windows: [Int?], isShared: Bool = false
    ) throws {
        var capabilities = device.capabilities
        capabilities.kvCacheWindows = windows
        var preemptions = 0
        var cachedTokens = 0
        var deviceTokens = 0
        for seed in 0..<20 as Range<UInt64> {
            var simulation = try WorkerSimulation(
                mode: mode, capabilities: capabilities, isShared: isShared, seed: seed)
            try simulation.run()
            preemptions += simulation.engine.statistics.preemptions
            cachedTokens += simulation.engine.statistics.cachedTokens
            deviceTokens += simulation.device.model?.tokensSampledOnDevice ?? 0
        }
        // With windows alone, requests hardly grow.
        #expect(preemptions > 10 || windows[0] != nil)
        #expect(device == .sharesNothing ? cachedTokens == 0 : cachedTokens > (isShared ? 0 : 50))
        #expect((deviceTokens > 0) == (mode != .none))
    }
}

/// A run of random requests through an engine on a `TTWorker`.
private struct WorkerSimulation {
    private struct Job {
        var expected: [Int32]
        var generated: [Int32] = []
        /// The logprobs of the tokens that the request gives.
        var logprobs: [TokenLogprobs]?
        /// The logprobs of the prompt that it must be told once, whatever becomes of it.
        var promptLogprobs: [TokenLogprobs] = []
    }

    let device: FakeMeshDevice
    let engine: TTEngine
    private let limits: StepLimits
    private let language = FakeLanguage()
    private let seed: UInt64
    private var random: SplitMix64
    private var ids = RequestIDs()
    private var jobs: [RequestID: Job] = [:]

    init(mode: SampleOnDeviceMode, capabilities: ModelCapabilities, isShared: Bool, seed: UInt64) throws {
        self.seed = seed
        device = FakeMeshDevice(capabilities: capabilities)
        random = SplitMix64(seed: seed)
        var configuration = EngineConfiguration()
        configuration.maxModelLen = 48
        configuration.maxNumSeqs = Int.random(in: (isShared ? 2 : 1)...6, using: &random)
        let share = OnlineShare(
            slots: Int.random(in: 1..<max(2, configuration.maxNumSeqs), using: &random),
            prefillTokens: Int.random(in: 1...20, using: &random))
        configuration.blockSize = [2, 4, 16].randomElement(using: &random)!
        configuration.numBlocksOverride = 48 / configuration.blockSize! + Int.random(in: 0...12, using: &random)
        configuration.tt.sampleOnDeviceMode = mode
        let worker = try TTWorker(
            device: device, configuration: configuration,
            model: FakeMeshDevice.modelConfig(vocabularySize: language.vocabularySize),
            endOfGenerationTokens: language.endOfGeneration)
        device.model?.recordsCalls = false
        limits = worker.limits
        engine = TTEngine(
            executor: worker, endOfGeneration: language.endOfGeneration, share: isShared ? share : nil)
    }

    /// A grammar that a third of the requests have.
    private var grammar: GrammarReference {
        GrammarReference(FakeGrammar(vocabulary: language.vocabularySize, length: 12, ends: language.endOfGeneration))
    }

    /// Feeds 16 requests, cancels some, and compares every one that ends.
    mutating func run() throws {
        var left = 16
        while left > 0 || engine.hasWork {
            for _ in 0..<min(left, Int.random(in: 0...3, using: &random)) {
                try addOne()
                left -= 1
            }
            if Int.random(in: 0..<30, using: &random) == 0,
                let id = jobs.keys.inOrder.randomElement(using: &random)
            {
                #expect(engine.cancel(id))
                jobs[id] = nil
            }
            if let report = try engine.step() { take(report) }
            try engine.checkIntegrity()
        }
        #expect(jobs.isEmpty)
    }

    private mutating func addOne() throws {
        let length = Int.random(in: 1...40, using: &random)
        // Half of the prompts begin alike.
        let alike = Bool.random(using: &random) ? Int.random(in: 0...length, using: &random) : 0
        let prompt = (0..<length).map { index in
            index < alike ? Int32(2 + index) : Int32.random(in: 0..<Int32(language.vocabularySize), using: &random)
        }
        let token = TTSamplingParams(
            temperature: [0, 0.7, 1].randomElement(using: &random)!, topK: [0, 1, 5].randomElement(using: &random)!,
            topP: [1, 0.9].randomElement(using: &random)!, seed: random.next())
        var sampling = SamplingParams(
            token: token, shaping: .random(vocabulary: language.vocabularySize, using: &random),
            maxTokens: Int.random(in: 3...30, using: &random),
            minTokens: [0, 0, 3].randomElement(using: &random)!,
            stopTokenIDs: [[], [9, 33]].randomElement(using: &random)!, ignoreEOS: Bool.random(using: &random),
            grammar: Int.random(in: 0..<3, using: &random) == 0 ? grammar : nil)
        if Int.random(in: 0..<5, using: &random) == 0 {
            // A text that is scored.
            sampling = SamplingParams(token: .greedy, maxTokens: sampling.maxTokens, ignoreEOS: true)
            sampling.forced = (0..<sampling.maxTokens).map { _ in
                Int32.random(in: 0..<Int32(language.vocabularySize), using: &random)
            }
        }
        let expected =
            sampling.forced.isEmpty
            ? language.expectedTokens(prompt: prompt, sampling: sampling) : sampling.forced
        var promptLogprobs: [TokenLogprobs] = []
        if limits.scoresPrompts, Int.random(in: 0..<3, using: &random) == 0 {
            let request = PromptLogprobsRequest(
                firstToken: Int.random(in: 1...length, using: &random), LogprobsRequest(top: 2, wantsRank: true))
            sampling.promptLogprobs = request
            promptLogprobs = language.promptLogprobs(of: prompt, request)
        }
        let id = ids.mint()
        let priority = RequestPriority.allCases.randomElement(using: &random)!
        try engine.add(id, priority: priority, prompt: prompt, sampling: sampling)
        jobs[id] = Job(
            expected: Array(expected.prefix(limits.maxSequenceLength - length)), promptLogprobs: promptLogprobs)
        if !sampling.forced.isEmpty {
            jobs[id]!.logprobs = language.promptLogprobs(
                of: prompt + sampling.forced,
                PromptLogprobsRequest(firstToken: length, LogprobsRequest(top: 1)))
        }
    }

    private mutating func take(_ report: StepReport) {
        for update in report.updates {
            let isFirst = jobs[update.id]!.generated.isEmpty
            #expect(update.promptLogprobs == (isFirst ? jobs[update.id]!.promptLogprobs : []), "seed \(seed)")
            if case .token(let chosen) = update.output {
                let job = jobs[update.id]!
                if let expected = job.logprobs?[job.generated.count] {
                    #expect(chosen.logprobs?.own == expected.own && chosen.logprobs?.top == expected.top)
                }
                jobs[update.id]!.generated.append(chosen.id)
            }
            if case .noToken = update.output {
                // What the request asks for leaves no token; alone it ends there, too.
                let job = jobs.removeValue(forKey: update.id)!
                #expect(job.generated == job.expected, "seed \(seed), \(update.id)")
                continue
            }
            guard update.finishReason != nil else { continue }
            let job = jobs.removeValue(forKey: update.id)!
            #expect(job.generated == job.expected, "seed \(seed), \(update.id)")
        }
    }
}
