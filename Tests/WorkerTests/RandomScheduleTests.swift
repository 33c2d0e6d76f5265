// Random schedules of joining, leaving, preempting and resuming: every request gets the tokens it would get alone.

import FakeModel
import Platform
import Sampling
import TestSupport
import Testing
import Worker

struct RandomScheduleTests {
    @Test(arguments: ["all", "decode_only", "none"], 0..<12)
    func everyScheduleGivesTheTokensOfARequestAlone(mode: String, seed: Int) throws {
        try run(mode, seed, windows: [nil])
    }

    @Test(arguments: 0..<12, [[1], [6], [nil, 1], [nil, 9]] as [[Int?]])
    func othersGetTheBlocksBehindAWindow(seed: Int, windows: [Int?]) throws {
        try run("decode_only", seed, windows: windows)
    }

    private func run(_ mode: String, _ seed: Int, windows: [Int?]) throws {
        var capabilities = [
            ModelCapabilities(supportsSampleOnDevice: true, deviceDraws: .sampleStream),
            ModelCapabilities(supportsSampleOnDevice: true, maxDeviceTopK: 8, deviceDraws: .sampleStream),
            ModelCapabilities(supportsSampleOnDevice: true, deviceDraws: .unseeded),
        ][seed % 3]
        capabilities.kvCacheWindows = windows
        let tt: [String: ConfigurationValue] = seed % 4 == 3 ? ["trace_mode": .string("none")] : [:]
        let fixture = try WorkerFixture(
            maxNumSeqs: 1 + seed % 6, blocks: windows == [nil] ? 40 : 20, mode: mode, tt: tt,
            capabilities: capabilities)
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
        /// In each group.
        var blocks: [[Int32]] = []
    }

    let fixture: WorkerFixture
    var random: SplitMix64
    var waiting: [Request] = []
    var running: [Request] = []
    var leaving: [RequestID] = []
    /// In each group.
    var freeBlocks: [[Int32]]
    var preemptions = 0

    init(_ fixture: WorkerFixture, seed: UInt64) {
        self.fixture = fixture
        var random = SplitMix64(seed: seed)
        let kvCache = fixture.worker.limits.kvCache
        freeBlocks = kvCache.groups.indices.map { kvCache.blocks(of: $0).shuffled(using: &random) }
        self.random = random
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
            token: choices.randomElement(using: &random)!, shaping: .random(vocabulary: 61, using: &random),
            maxTokens: maxTokens,
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
        free(request)
        request.blocks = []
        if Bool.random(using: &random) { request.generated = [] }
        waiting.append(request)
        preemptions += 1
    }

    private mutating func free(_ request: Request) {
        for (group, blocks) in request.blocks.enumerated() {
            freeBlocks[group] += blocks.filter { $0 != KVCacheShape.noBlock }.shuffled(using: &random)
        }
    }

    /// Takes `count` blocks of each group; `nil` if there are too few.
    private mutating func takeBlocks(_ count: Int) -> [[Int32]]? {
        guard freeBlocks.allSatisfy({ $0.count >= count }) else { return nil }
        return freeBlocks.indices.map { group in
            defer { freeBlocks[group].removeLast(count) }
            return Array(freeBlocks[group].suffix(count))
        }
    }

    /// Frees what the next tokens of the running requests do not attend to.
    private mutating func freeBlocksBehindWindows() {
        for index in running.indices {
            let position = running[index].prompt.count + running[index].generated.count - 1
            for group in freeBlocks.indices {
                let first = fixture.worker.limits.kvCache.firstBlock(of: group, at: position)
                for place in running[index].blocks[group].indices.prefix(first)
                where running[index].blocks[group][place] != KVCacheShape.noBlock {
                    freeBlocks[group].append(running[index].blocks[group][place])
                    running[index].blocks[group][place] = KVCacheShape.noBlock
                }
            }
        }
    }

    private mutating func prefill() throws {
        var rows: [PrefillRow] = []
        var joined: [Request] = []
        while running.count + joined.count < fixture.worker.limits.maxNumSeqs, var request = waiting.first {
            let tokens = request.prompt + request.generated
            guard let blocks = takeBlocks(blocksFor(tokens.count)) else { break }
            waiting.removeFirst()
            request.blocks = blocks
            rows.append(
                PrefillRow(
                    id: request.id, tokens: tokens, promptLength: request.prompt.count, blocks: request.blocks,
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
            if needed > running[index].blocks[0].count {
                guard let new = takeBlocks(1) else {
                    leave(anyOf: running.count)
                    rows = []
                    index = 0
                    continue
                }
                for group in new.indices { running[index].blocks[group] += new[group] }
                pendingBlocks[running[index].id] = new
            }
            index += 1
        }
        running.shuffle(using: &random)
        rows = running.map { DecodeRow(id: $0.id, newBlocks: pendingBlocks[$0.id] ?? []) }
        pendingBlocks = [:]
        try run(.decode(rows))
    }

    /// Blocks given to rows that the worker does not know yet.
    var pendingBlocks: [RequestID: [[Int32]]] = [:]

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
            free(request)
        }
        running.removeAll { $0.generated.count == $0.expected.count }
        freeBlocksBehindWindows()
    }
}
