// One random schedule: a queue of jobs fed to an engine, with cancellations and device faults, judged by an oracle.

import Platform
import Sampling
import TestSupport
import Testing

@testable import Engine

/// A job of the simulated daemon.
private struct SimulatedJob {
    var prompt: [Int32]
    var sampling: SamplingParams
    /// What it must generate.
    var expected: [Int32]
    var reason: FinishReason
    /// Whether it comes together with the job before it, whose prompt it has.
    var isTwin = false
    /// What it has generated in its current attempt.
    var generated: [Int32] = []
    var isOver = false
}

/// A run of random jobs through an engine, everything chosen by the seed.
struct Simulation {
    /// Which groups of layers the KV cache has.
    enum Groups: CaseIterable {
        /// One that keeps all tokens.
        case all
        /// One with a window.
        case window
        /// Both.
        case allAndWindow
        /// And another with a longer window.
        case allAndTwoWindows
    }

    private let seed: UInt64
    private var random: SplitMix64
    private let limits: StepLimits
    private let runsStepsAsync: Bool
    private var jobs: [SimulatedJob] = []
    private var ids = RequestIDs()
    private var inFlight: [RequestID: Int] = [:]
    private var batch: Set<RequestID> = []
    private var engine: TTEngine
    /// One for each life of the device.
    private(set) var executors: [ScriptedExecutor] = []
    /// Preemptions seen.
    private(set) var preemptions = 0
    /// Prefill steps that passed an older waiting request.
    private(set) var overtakings = 0
    /// Jobs that ended by a token.
    private(set) var stops = 0
    /// Outputs that were no token.
    private(set) var badOutputs = 0
    /// Jobs that got one, and start anew.
    private var again: [Int] = []
    /// Tokens that did not have to be computed.
    private(set) var cachedTokens = 0
    /// What prompts begin with.
    private var templates: [[Int32]] = []

    /// Draws sizes and jobs, which are the same for all `groups` but for the numbers of blocks.
    init(seed: UInt64, groups: Groups = .all) {
        self.seed = seed
        random = SplitMix64(seed: seed)
        let blockSize = [1, 2, 4, 16].randomElement(using: &random)!
        let maxModelLen = Int.random(in: 8...96, using: &random)
        let least = max(1, 8 / blockSize)
        let ample = 8 * maxModelLen / blockSize + least
        let blocks = Int.random(in: least...(Bool.random(using: &random) ? ample : ample / 6 + least), using: &random)
        let budget = maxModelLen + (Bool.random(using: &random) ? 0 : Int.random(in: 0...200, using: &random))
        limits = .small(
            slots: Int.random(in: 1...9, using: &random), maxModelLen: maxModelLen, batchedTokens: budget,
            blocks: blocks, blockSize: blockSize, vocabulary: 40, sharesPrefixes: Bool.random(using: &random),
            groups: Self.draw(groups, blocks: least...blocks, maxModelLen: maxModelLen, seed: seed))
        runsStepsAsync = Bool.random(using: &random)
        let executor = ScriptedExecutor(limits: limits, runsStepsAsync: runsStepsAsync, nextToken: Self.hashToken)
        executors = [executor]
        engine = TTEngine(executor: executor, endOfGeneration: [EngineFixture.endOfGeneration])
        for _ in 0..<3 { templates.append(drawTokens(maxModelLen)) }
        for _ in 0..<Int.random(in: 1...16, using: &random) {
            jobs.append(drawJob())
            guard Int.random(in: 0..<4, using: &random) == 0 else { continue }
            for _ in 0..<Int.random(in: 1...5, using: &random) { jobs.append(drawJob(twinOf: jobs.last)) }
        }
    }

    /// Feeds, steps, cancels and breaks until every job is over.
    mutating func run() throws {
        var queue = Array(jobs.indices.reversed())
        var steps = 0
        while !queue.isEmpty || engine.hasWork || !again.isEmpty {
            steps += 1
            try #require(steps < 20_000, "no end, seed \(seed)")
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                guard let job = queue.popLast() else { break }
                var group = [job]
                while let next = queue.last, jobs[next].isTwin, jobs[next].prompt == jobs[job].prompt {
                    group.append(queue.removeLast())
                }
                let keys = group.map { _ in ids.mint() }
                try engine.add(keys, prompt: jobs[job].prompt, sampling: group.map { jobs[$0].sampling })
                for (key, job) in zip(keys, group) { inFlight[key] = job }
            }
            if Int.random(in: 0..<40, using: &random) == 0 { cancelOne() }
            queue += again
            again = []
            executors.last!.badOutputs = []
            if Int.random(in: 0..<60, using: &random) == 0,
                let bad = inFlight.keys.inOrder.randomElement(using: &random)
            {
                executors.last!.badOutputs = [bad]
            }
            executors.last!.failsNext = Int.random(in: 0..<120, using: &random) == 0
            do throws(DeviceFault) {
                if let report = try engine.step() { take(report) }
            } catch {
                queue += restart().reversed()
            }
            try engine.checkIntegrity()
        }
        #expect(!jobs.contains { !$0.isOver })
        #expect(inFlight.isEmpty)
        #expect(engine.statistics.kvBlocksUsed == 0)
    }

    private mutating func take(_ report: StepReport) {
        batch.formUnion(report.tokenIDs)
        batch.subtract(report.preempted)
        if report.kind == .prefill, let newest = report.tokenIDs.map(\.number).max(),
            inFlight.keys.contains(where: { $0.number < newest && !batch.contains($0) })
        {
            overtakings += 1
        }
        preemptions += report.preempted.count
        for update in report.updates { take(update) }
    }

    private mutating func take(_ update: RequestUpdate) {
        let job = inFlight[update.id]!
        if update.cachedTokens > 0 {
            cachedTokens += update.cachedTokens
            #expect(limits.prefixSharing != .none, "seed \(seed)")
        }
        switch update.output {
        case .bad:
            #expect(update.finishReason == nil, "seed \(seed)")
            inFlight[update.id] = nil
            batch.remove(update.id)
            jobs[job].generated = []
            badOutputs += 1
            again.append(job)
        case .noToken, .nothing:
            Issue.record("seed \(seed): \(update.id) got no token")
        case .token(let token):
            jobs[job].generated.append(token.id)
        }
        if let reason = update.finishReason {
            inFlight[update.id] = nil
            #expect(!jobs[job].isOver, "seed \(seed)")
            #expect(jobs[job].generated == jobs[job].expected, "seed \(seed)")
            #expect(reason == jobs[job].reason, "seed \(seed)")
            jobs[job].isOver = true
            if reason != .length { stops += 1 }
        }
    }

    private mutating func cancelOne() {
        guard let id = inFlight.keys.inOrder.randomElement(using: &random) else { return }
        let job = inFlight.removeValue(forKey: id)!
        #expect(engine.cancel(id))
        #expect(!engine.cancel(id))
        #expect(jobs[job].expected.starts(with: jobs[job].generated))
        jobs[job].isOver = true
    }

    /// A new device and engine; the jobs that were in flight start anew.
    private mutating func restart() -> [Int] {
        let taken = engine.takeBackAll()
        #expect(taken == inFlight.keys.inOrder)
        let again = taken.map { inFlight[$0]! }
        for job in again { jobs[job].generated = [] }
        ids = RequestIDs()
        inFlight = [:]
        batch = []
        let executor = ScriptedExecutor(limits: limits, runsStepsAsync: runsStepsAsync, nextToken: Self.hashToken)
        executors.append(executor)
        engine = TTEngine(executor: executor, endOfGeneration: [EngineFixture.endOfGeneration])
        return again
    }
}

// MARK: - Jobs and what they generate alone

extension Simulation {
    /// Groups of some windows, with numbers of blocks from `blocks`; where all tokens are kept, the most.
    private static func draw(
        _ groups: Groups, blocks: ClosedRange<Int>, maxModelLen: Int, seed: UInt64
    ) -> [KVCacheGroup] {
        var random = SplitMix64(seed: ~seed)
        let longest = Bool.random(using: &random) ? maxModelLen + 2 : max(1, maxModelLen / 4)
        let windows = (0..<2).map { _ in Int.random(in: 1...longest, using: &random) }.sorted(by: >)
        let all = KVCacheGroup(blockCount: blocks.upperBound)
        let windowed = windows.map { KVCacheGroup(window: $0, blockCount: Int.random(in: blocks, using: &random)) }
        return switch groups {
        case .all: [all]
        case .window: [KVCacheGroup(window: windows[0], blockCount: blocks.upperBound)]
        case .allAndWindow: [all, windowed[1]]
        case .allAndTwoWindows: [all] + windowed
        }
    }

    private mutating func drawJob(twinOf twin: SimulatedJob? = nil) -> SimulatedJob {
        let longest = min(limits.maxModelLen, limits.kvCache.longestSequence)
        let length = Int.random(in: 1...(Bool.random(using: &random) ? longest - 1 : (longest + 2) / 3), using: &random)
        let alike = Int.random(in: 0...length, using: &random)
        let beginning = Array(templates.randomElement(using: &random)!.prefix(alike))
        let prompt = twin?.prompt ?? beginning + drawTokens(length - beginning.count)
        let maxTokens = Int.random(in: 1...40, using: &random)
        let sampling = SamplingParams.ending(
            after: maxTokens,
            min: Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 0...maxTokens, using: &random) : 0,
            stop: Int.random(in: 0..<3, using: &random) == 0 ? [3, 17] : [],
            ignoreEOS: Int.random(in: 0..<3, using: &random) == 0)
        let (expected, reason) = Self.alone(prompt, sampling, longest: longest)
        return SimulatedJob(
            prompt: prompt, sampling: sampling, expected: expected, reason: reason, isTwin: twin != nil)
    }

    private mutating func drawTokens(_ count: Int) -> [Int32] {
        (0..<count).map { _ in Int32.random(in: 0..<Int32(limits.vocabularySize), using: &random) }
    }

    /// The oracle: generation as a plain loop.
    private static func alone(
        _ prompt: [Int32], _ sampling: SamplingParams, longest: Int
    ) -> (tokens: [Int32], reason: FinishReason) {
        var sequence = prompt
        while sequence.count < longest, sequence.count - prompt.count < sampling.maxTokens {
            let mayStop = sequence.count - prompt.count >= sampling.minTokens
            let token = hashToken(sequence)
            sequence.append(token)
            let isEnd = token == EngineFixture.endOfGeneration && !sampling.ignoreEOS
            if mayStop && (isEnd || sampling.stopTokenIDs.contains(token)) {
                let reason = isEnd ? FinishReason.endOfGeneration(token: token) : .stop(token: token)
                return (Array(sequence[prompt.count...]), reason)
            }
        }
        return (Array(sequence[prompt.count...]), .length)
    }

    /// A token that depends on every token before it.
    private static func hashToken(_ sequence: [Int32]) -> Int32 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for token in sequence { hash = (hash ^ UInt64(UInt32(bitPattern: token))) &* 0x100_0000_01B3 }
        return Int32((hash >> 32) % 40)
    }
}
