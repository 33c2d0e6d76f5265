// Limits, prompts and engines that the tests share.

import TTPlatform
import TTWorker

@testable import TTEngine

extension StepLimits {
    /// Small limits, each to be changed.
    static func small(
        slots: Int = 4, maxModelLen: Int = 64, batchedTokens: Int? = nil, blocks: Int = 64, blockSize: Int = 4,
        vocabulary: Int = 100, sharesPrefixes: Bool = false
    ) -> StepLimits {
        StepLimits(
            maxNumSeqs: slots, maxModelLen: maxModelLen, maxNumBatchedTokens: batchedTokens ?? maxModelLen,
            kvCache: KVCacheShape(blockCount: blocks, blockSize: blockSize), vocabularySize: vocabulary,
            prefixSharing: sharesPrefixes ? .anywhere : .none)
    }
}

extension SamplingParams {
    /// Greedy, with these conditions of ending.
    static func ending(
        after maxTokens: Int, min minTokens: Int = 0, stop: Set<Int32> = [], ignoreEOS: Bool = false
    ) -> SamplingParams {
        SamplingParams(
            token: .greedy, maxTokens: maxTokens, minTokens: minTokens, stopTokenIDs: stop, ignoreEOS: ignoreEOS)
    }
}

/// An engine on a scripted executor.
struct EngineFixture {
    static let endOfGeneration: Int32 = 0
    let executor: ScriptedExecutor
    let engine: TTEngine

    /// Generates `token` for ever, or what `nextToken` says.
    init(_ limits: StepLimits, runsApart: Bool = false, nextToken: @escaping ([Int32]) -> Int32 = { _ in 7 }) {
        executor = ScriptedExecutor(limits: limits, runsApart: runsApart, nextToken: nextToken)
        engine = TTEngine(executor: executor, endOfGeneration: [Self.endOfGeneration])
    }

    /// Adds a request with a prompt of `length` tokens.
    func add(_ length: Int, maxTokens: Int) throws -> RequestID {
        try engine.add(prompt: Array(repeating: 5, count: length), sampling: .ending(after: maxTokens))
    }

    /// Runs one step and checks what must always hold.
    @discardableResult
    func step() throws -> StepReport? {
        let report = try engine.step()
        try engine.checkIntegrity()
        return report
    }

    /// Runs until nothing is in flight.
    func drain() throws -> [StepReport] {
        var reports: [StepReport] = []
        while let report = try step() { reports.append(report) }
        return reports
    }
}

extension StepReport {
    /// Who was admitted or decoded: those that got a token.
    var tokenIDs: [RequestID] {
        events.compactMap { event in
            switch event {
            case .token(let id, _), .stopToken(let id, _): id
            case .finished, .preempted, .cached, .badOutput: nil
            }
        }
    }

    /// Who was preempted.
    var preemptedIDs: [RequestID] {
        events.compactMap { event in
            if case .preempted(let id) = event { id } else { nil }
        }
    }
}

/// A seeded generator (SplitMix64), so that a failing schedule can be run again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
