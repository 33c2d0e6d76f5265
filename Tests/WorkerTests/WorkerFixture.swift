// A worker over the fake model, with requests, blocks and expected tokens: the least engine that can drive it.

import FakeModel
import ModelFiles
import Platform
import Sampling
import Testing
import Worker

/// A worker whose model is a `FakeTTModel`.
struct WorkerFixture {
    let device: FakeMeshDevice
    let worker: TTWorker
    let language: FakeLanguage

    init(
        maxNumSeqs: Int = 4, blockSize: Int = 4, blocks: Int = 64, maxModelLen: Int = 48,
        mode: String? = nil, tt: [String: ConfigurationValue] = [:],
        settings: [String: ConfigurationValue] = [:],
        capabilities: ModelCapabilities = ModelCapabilities(
            supportsSampleOnDevice: true, deviceDraws: .sampleStream),
        language: FakeLanguage = FakeLanguage()
    ) throws {
        var tt = tt
        if let mode { tt["sample_on_device_mode"] = .string(mode) }
        var settings = settings
        settings["max_num_seqs"] = .integer(maxNumSeqs)
        settings["block_size"] = .integer(blockSize)
        settings["num_blocks_override"] = .integer(blocks)
        settings["max_model_len"] = .integer(maxModelLen)
        device = FakeMeshDevice(capabilities: capabilities, language: language)
        worker = try TTWorker(
            device: device, configuration: EngineConfiguration(parsing: settings, tt: tt),
            model: FakeMeshDevice.modelConfig(vocabularySize: language.vocabularySize),
            endOfGenerationTokens: language.endOfGeneration)
        self.language = language
    }

    /// The model behind the worker.
    var model: FakeTTModel { device.model! }

    /// The decode plans of the steps so far.
    var plans: [DecodePlan] {
        model.calls.compactMap { if case .decode(_, let plan) = $0 { plan } else { nil } }
    }

    /// Prefills one row for each request, whose blocks are `blocks(of: index)`.
    func prefill(_ requests: [FixtureRequest], leaving: [RequestID] = []) throws(DeviceFault) -> [Int32] {
        try worker.tokens(ScheduledStep(leaving: leaving, work: .prefill(requests.map(\.prefillRow))))
    }

    /// Decodes one token of each request.
    func decode(
        _ requests: [FixtureRequest], leaving: [RequestID] = [], newBlocks: [RequestID: [Int32]] = [:]
    ) throws(DeviceFault) -> [Int32] {
        let rows = requests.map { DecodeRow(id: $0.id, newBlocks: newBlocks[$0.id].map { [$0] } ?? []) }
        return try worker.tokens(ScheduledStep(leaving: leaving, work: .decode(rows)))
    }
}

/// A request with the tokens it has got, as an engine would keep it.
struct FixtureRequest {
    let id: RequestID
    let prompt: [Int32]
    let sampling: SamplingParams
    var generated: [Int32] = []
    var blocks: [Int32]

    /// Request number `number` with four tokens of prompt, and `blockCount` blocks that no other number has.
    init(
        _ number: Int, _ token: TTSamplingParams = .greedy, blockCount: Int = 8, minTokens: Int = 0,
        forced: [Int32] = []
    ) {
        id = RequestID(number)
        prompt = (0..<4).map { Int32(2 + (number * 7 + $0 * 3) % 50) }
        var sampling = SamplingParams(token: token, maxTokens: 30, minTokens: minTokens, ignoreEOS: true)
        sampling.forced = forced
        self.sampling = sampling
        blocks = (0..<blockCount).map { Int32(number * 8 + $0) }
    }

    /// `request` with another prompt.
    init(_ request: FixtureRequest, prompt: [Int32]) {
        id = request.id
        self.prompt = prompt
        sampling = request.sampling
        blocks = request.blocks
    }

    var prefillRow: PrefillRow {
        PrefillRow(
            id: id, tokens: prompt + generated, promptLength: prompt.count, blocks: [blocks], sampling: sampling)
    }
}

extension StepExecutor {
    /// Runs a step and checks that it answers for each row once.
    func execute(_ step: ScheduledStep) throws(DeviceFault) -> [RequestOutput] {
        try begin(step)
        let outputs = try finish().outputs
        #expect(outputs.count == step.work.ids.count)
        return outputs
    }

    /// Runs a step that gives each of its rows a token.
    func tokens(_ step: ScheduledStep) throws(DeviceFault) -> [Int32] {
        zip(step.work.ids, try execute(step)).map { id, output in
            guard case .token(let token) = output else {
                Issue.record("\(id) got no token: \(output)")
                return -1
            }
            return token.id
        }
    }
}

extension ScheduledStep.Work {
    /// The requests of the rows.
    var ids: [RequestID] {
        switch self {
        case .prefill(let rows): rows.flatMap(\.ids)
        case .decode(let rows): rows.map(\.id)
        }
    }
}
