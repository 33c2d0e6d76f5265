// Random schedules of joining, leaving, preempting and resuming: every request gets the tokens it would get alone.

import FakeModel
import Platform
import TestSupport
import Testing
import Worker

struct RandomScheduleTests {
    @Test(arguments: ["all", "decode_only", "none"], 0..<12)
    func everyScheduleGivesTheTokensOfARequestAlone(mode: String, seed: Int) throws {
        let capabilities = [
            ModelCapabilities(supportsSampleOnDevice: true, deviceDraws: .sampleStream),
            ModelCapabilities(supportsSampleOnDevice: true, maxDeviceTopK: 8, deviceDraws: .sampleStream),
            ModelCapabilities(supportsSampleOnDevice: true, deviceDraws: .unseeded),
        ][seed % 3]
        let tt: [String: ConfigurationValue] = seed % 4 == 3 ? ["trace_mode": .string("none")] : [:]
        let fixture = try WorkerFixture(
            maxNumSeqs: 1 + seed % 6, blocks: 40, mode: mode, tt: tt, capabilities: capabilities)
        var simulation = Simulation(fixture, seed: UInt64(seed))
        try simulation.run(requestCount: 24)
        #expect(simulation.preemptions > 0 || fixture.worker.limits.maxNumSeqs == 1)
    }
}

/// A scheduler without any sense, but within the worker's rules.
private struct Simulation {
    struct Request {
        var id: RequestID
        var prompt: [Int32]
        var sampling: SamplingParams
        var expected: [Int32]
        var generated: [Int32] = []
        var blocks: [Int32] = []
    }

    let fixture: WorkerFixture
    var random: SplitMix64
    var waiting: [Request] = []
    var running: [Request] = []
    var leaving: [RequestID] = []
    var freeBlocks: [Int32]
    var preemptions = 0

    init(_ fixture: WorkerFixture, seed: UInt64) {
        self.fixture = fixture
        random = SplitMix64(seed: seed)
        freeBlocks = (0..<Int32(fixture.worker.limits.kvCache.blockCount)).shuffled(using: &random)
    }

    mutating func run(requestCount: Int) throws {
        waiting = (0..<requestCount).map { makeRequest($0) }
        while !waiting.isEmpty || !running.isEmpty {
            if !running.isEmpty, Int.random(in: 0..<8, using: &random) == 0 { leave(anyOf: running.count) }
            if running.isEmpty || Int.random(in: 0..<3, using: &random) == 0 { try prefill() }
            if !running.isEmpty { try decode() }
        }
    }

    private mutating func makeRequest(_ number: Int) -> Request {
        let prompt = (0..<Int.random(in: 1...20, using: &random)).map { _ in Int32.random(in: 0..<61, using: &random) }
        let choices: [TTSamplingParams] = [
            .greedy, TTSamplingParams(temperature: 1, seed: random.next()),
            TTSamplingParams(temperature: 0.7, topK: 5, seed: random.next()),
            TTSamplingParams(temperature: 1.5, topK: 20, topP: 0.8, seed: random.next()),
        ]
        let maxTokens = Int.random(in: 1...25, using: &random)
        let sampling = SamplingParams(
            token: choices.randomElement(using: &random)!, maxTokens: maxTokens,
            minTokens: Bool.random(using: &random) ? Int.random(in: 0...maxTokens, using: &random) : 0,
            stopTokenIDs: [Int32.random(in: 2..<61, using: &random)], ignoreEOS: Bool.random(using: &random))
        return Request(
            id: RequestID(number), prompt: prompt, sampling: sampling,
            expected: fixture.language.expectedTokens(prompt: prompt, sampling: sampling))
    }

    private func blocksFor(_ tokens: Int) -> Int {
        (tokens + fixture.worker.limits.kvCache.blockSize - 1) / fixture.worker.limits.kvCache.blockSize
    }

    /// Preempts, or cancels and starts again, a running request.
    private mutating func leave(anyOf count: Int) {
        var request = running.remove(at: Int.random(in: 0..<count, using: &random))
        leaving.append(request.id)
        freeBlocks.append(contentsOf: request.blocks.shuffled(using: &random))
        request.blocks = []
        if Bool.random(using: &random) { request.generated = [] }
        waiting.append(request)
        preemptions += 1
    }

    private mutating func prefill() throws {
        var rows: [PrefillRow] = []
        var joined: [Request] = []
        while running.count + joined.count < fixture.worker.limits.maxNumSeqs, var request = waiting.first {
            let tokens = request.prompt + request.generated
            let needed = blocksFor(tokens.count)
            guard freeBlocks.count >= needed else { break }
            waiting.removeFirst()
            request.blocks = Array(freeBlocks.suffix(needed))
            freeBlocks.removeLast(needed)
            rows.append(
                PrefillRow(
                    id: request.id, tokens: tokens, promptLength: request.prompt.count, blocks: [request.blocks],
                    sampling: request.sampling))
            joined.append(request)
            if Bool.random(using: &random) { break }
        }
        running += joined
        try run(.prefill(rows))
    }

    private mutating func decode() throws {
        var rows: [DecodeRow] = []
        var index = 0
        while index < running.count {
            let needed = blocksFor(running[index].prompt.count + running[index].generated.count)
            var new: [Int32] = []
            if needed > running[index].blocks.count {
                if freeBlocks.isEmpty {
                    leave(anyOf: running.count)
                    rows = []
                    index = 0
                    continue
                }
                new = [freeBlocks.removeLast()]
                running[index].blocks += new
                pendingBlocks[running[index].id, default: []] += new
            }
            index += 1
        }
        running.shuffle(using: &random)
        rows = running.map { DecodeRow(id: $0.id, newBlocks: pendingBlocks[$0.id].map { [$0] } ?? []) }
        pendingBlocks = [:]
        try run(.decode(rows))
    }

    /// Blocks given to rows that the worker does not know yet.
    var pendingBlocks: [RequestID: [Int32]] = [:]

    private mutating func run(_ work: ScheduledStep.Work) throws {
        let tokens = try fixture.worker.tokens(ScheduledStep(leaving: leaving, work: work))
        leaving = []
        for (id, token) in zip(work.ids, tokens) {
            let index = try #require(running.firstIndex { $0.id == id })
            running[index].generated.append(token)
            let count = running[index].generated.count
            try #require(
                running[index].generated == Array(running[index].expected.prefix(count)), "\(running[index].id)")
        }
        for request in running where request.generated.count == request.expected.count {
            leaving.append(request.id)
            freeBlocks.append(contentsOf: request.blocks)
        }
        running.removeAll { $0.generated.count == $0.expected.count }
    }
}
