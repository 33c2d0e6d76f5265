// Limits, prompts and engines that the tests share.

import Platform

@testable import Engine
@testable import Sampling

extension StepLimits {
    /// Small limits, each to be changed.
    static func small(
        slots: Int = 4, maxModelLen: Int = 64, batchedTokens: Int? = nil, blocks: Int = 64, blockSize: Int = 4,
        vocabulary: Int = 100, sharesPrefixes: Bool = false, groups: [KVCacheGroup]? = nil
    ) -> StepLimits {
        StepLimits(
            maxNumSeqs: slots, maxModelLen: maxModelLen, maxNumBatchedTokens: batchedTokens ?? maxModelLen,
            kvCache: KVCacheShape(groups: groups ?? [KVCacheGroup(blockCount: blocks)], blockSize: blockSize),
            vocabularySize: vocabulary,
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

/// Requests' ids in an engine's life: 0, 1, 2 …
struct RequestIDs {
    private var count = 0

    mutating func mint() -> RequestID {
        defer { count += 1 }
        return RequestID(count)
    }
}

extension Sequence<RequestID> {
    /// By their numbers, which is the order of arrival where ids were minted.
    var inOrder: [RequestID] { sorted { $0.number < $1.number } }
}

/// An engine on a scripted executor.
final class EngineFixture {
    static let endOfGeneration: Int32 = 0
    let executor: ScriptedExecutor
    let engine: TTEngine
    private var ids = RequestIDs()

    /// Generates `token` for ever, or what `nextToken` says.
    init(
        _ limits: StepLimits, share: OnlineShare? = nil, runsStepsAsync: Bool = false,
        nextToken: @escaping ([Int32]) -> Int32 = { _ in 7 }
    ) {
        executor = ScriptedExecutor(limits: limits, runsStepsAsync: runsStepsAsync, nextToken: nextToken)
        engine = TTEngine(executor: executor, endOfGeneration: [Self.endOfGeneration], share: share)
    }

    /// Adds a request with a prompt of `length` tokens.
    func add(_ length: Int, maxTokens: Int, priority: RequestPriority = .batch) throws -> RequestID {
        try add(
            prompt: Array(repeating: 5, count: length), sampling: .ending(after: maxTokens), priority: priority)
    }

    /// Adds a request under the next id.
    func add(
        prompt: [Int32], sampling: SamplingParams, priority: RequestPriority = .batch
    ) throws(RequestRefusal) -> RequestID {
        let id = ids.mint()
        try engine.add(id, priority: priority, prompt: prompt, sampling: sampling)
        return id
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
    var tokenIDs: [RequestID] { updates.filter { $0.token != nil }.map(\.id) }

    /// The tokens that a request got, those that end it included.
    func tokens(of id: RequestID) -> [Int32] { updates.filter { $0.id == id }.compactMap(\.token) }

    /// Who ended by itself, and why.
    var endings: [Ending] {
        updates.compactMap { update in update.finishReason.map { Ending(update.id, $0) } }
    }
}

extension RequestUpdate {
    /// The number of its token; `nil` where the output is none.
    var token: Int32? {
        if case .token(let token) = output { token.id } else { nil }
    }
}

/// A request's end.
struct Ending: Equatable {
    let id: RequestID
    let reason: FinishReason

    init(_ id: RequestID, _ reason: FinishReason) {
        self.id = id
        self.reason = reason
    }
}
