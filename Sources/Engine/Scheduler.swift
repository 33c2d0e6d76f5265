// Chooses the requests of the next step: prefill first, never mixed with decode (design §4; TT contract §4).

import Platform
import Sampling

/// The requests in flight, their KV blocks, and the choice of the next step.
///
/// The rules, and why no request waits for ever:
///
/// - *Order.* Requests are served in the order of arrival; a preempted request gets its old place in the queue.
/// - *Admission.* A waiting request is prefilled when a batch slot is free, its tokens fit into the rest of the step's
///   token budget, and its blocks of every group leave the watermark free, which running requests grow into. When no
///   request runs, the watermark is ignored: every accepted request fits into the whole pool.
/// - *Sharing.* A request takes the blocks of its longest cached prefix, as far as the device can begin after them. If
///   the device can begin anywhere, the request copies the block of a partial hit. It computes the rest. Only full
///   blocks are shared and at least the last token is computed, so no request writes into a block that another refers
///   to. A block that is computed in a step cannot be shared before the next step, so a request that could then share
///   it waits. It waits for an older request that is admitted in the step, so at most as often as there are older
///   requests; newer requests that are admitted meanwhile overtake it.
/// - *Forks.* Requests that came together with one prompt are prefilled as one row, as far as slots and blocks allow. They
///   share its blocks but for the last, of which each gets a copy. The others wait as any request does.
/// - *Windows.* In a group with a window, a request frees its blocks that no later token attends to, after each step. A
///   prefill needs the blocks of all tokens that it computes. Prefixes can be shared without the blocks that the first
///   computed token does not attend to.
/// - *Overtaking.* A request that does not fit may be overtaken by newer ones that do, at most `overtakingLimit` times
///   during a wait. Then no newer request is admitted before it, and the running requests drain until it fits.
/// - *Preemption.* When a decode step needs a block of a group and none is free, the newest running request is
///   preempted. So the oldest keeps its blocks and gets a token in every decode step until it ends and another is the
///   oldest.
/// - *Bounded prefill priority.* After `prefillStreakLimit` prefill steps in a row, the running requests decode once.
///   Filling an empty batch never takes more steps than that. Only a stream of requests that end with their first token
///   would, and it must not starve the others.
struct Scheduler {
    /// A step to run, and the requests that it preempts.
    struct Decision {
        var step: ScheduledStep
        var preempted: [RequestID]
    }

    /// The limits of every step.
    let limits: StepLimits
    /// The KV blocks.
    private(set) var pool: KVBlockPool
    /// The requests in flight.
    private(set) var requests: [RequestID: EngineRequest] = [:]
    /// The waiting requests, in order of arrival.
    private(set) var waiting: [RequestID] = []
    /// The requests in the batch, in order of arrival.
    private(set) var running: [RequestID] = []
    /// Rows that the executor must remove with the next step.
    private var leaving: [RequestID] = []
    /// Whether a group of the KV cache has a window.
    private let hasWindows: Bool
    /// Prefill steps since the last decode step.
    private var prefillStreak = 0

    /// An empty scheduler. The limits must allow the longest sequence to be prefilled in one step, because a preempted
    /// request is.
    init(limits: StepLimits) {
        precondition(limits.maxNumSeqs > 0, "max_num_seqs must be at least 1")
        precondition(
            limits.maxNumBatchedTokens >= limits.prefillPadding.length(of: limits.maxModelLen, from: 0),
            "max_num_batched_tokens (\(limits.maxNumBatchedTokens)) must not be below max_model_len "
                + "(\(limits.maxModelLen)): prompts are prefilled in one piece")
        self.limits = limits
        hasWindows = limits.kvCache.groups.contains { $0.window != nil }
        // The reserve keeps common prefixes of ended requests cached: some templates in a large pool, one in a small
        // pool.
        pool = KVBlockPool(limits.kvCache, cachedReserve: { max($0 / 64, 64) })
    }

    /// How many newer requests may be admitted before a waiting one: a full device batch.
    var overtakingLimit: Int { limits.maxNumSeqs }
    /// Maximum number of prefill steps in a row while requests wait to decode.
    var prefillStreakLimit: Int { limits.maxNumSeqs }

    /// Queues a new request, newer than all others.
    mutating func add(_ request: EngineRequest) {
        requests[request.id] = request
        waiting.append(request.id)
    }

    /// Appends the next token of a running request.
    ///
    /// The step that produced it has written the keys and values of all earlier tokens; other requests may use them
    /// from now on. Blocks that the token does not attend to are freed.
    mutating func append(_ token: Int32, to id: RequestID) {
        if limits.prefixSharing != .none { cacheBlocks(of: id) }
        requests[id]!.append(token)
        if hasWindows, case .running(var blocks, let cached) = requests[id]!.phase {
            pool.freeBlocks(behind: requests[id]!.tokens.count - 1, of: &blocks)
            requests[id]!.phase = .running(blocks: blocks, cached: cached)
        }
    }

    /// Removes a request that has ended without a token; others may use its prompt's keys and values.
    mutating func complete(_ id: RequestID) {
        if limits.prefixSharing != .none { cacheBlocks(of: id) }
        remove(id)
    }

    private mutating func cacheBlocks(of id: RequestID) {
        guard case .running(let blocks, var cached)? = requests[id]?.phase,
            cached.blockCount < requests[id]!.tokens.count / pool.blockSize
        else { return }
        pool.cache(requests[id]!.tokens, in: blocks, cached: &cached)
        requests[id]!.phase = .running(blocks: blocks, cached: cached)
    }

    /// Removes a request and frees its blocks; `nil` if it is not in flight.
    @discardableResult
    mutating func remove(_ id: RequestID) -> EngineRequest? {
        guard let request = requests.removeValue(forKey: id) else { return nil }
        switch request.phase {
        case .waiting:
            waiting.removeAll { $0 == id }
        case .running(let blocks, _):
            running.removeAll { $0 == id }
            pool.free(blocks)
            leaving.append(id)
        }
        return request
    }

    /// Removes a request with a bad output. Its keys and values may be wrong too, so its blocks are no longer shared.
    mutating func discard(_ id: RequestID) {
        if let request = requests[id] { pool.uncache(request.blocks, of: request.tokens) }
        remove(id)
    }

    /// The next step; `nil` if no request is in flight.
    mutating func schedule() -> Decision? {
        guard !requests.isEmpty else { return nil }
        if running.isEmpty || prefillStreak < prefillStreakLimit {
            let rows = admitWaiting()
            if !rows.isEmpty {
                prefillStreak += 1
                return Decision(step: ScheduledStep(leaving: takeLeaving(), work: .prefill(rows)), preempted: [])
            }
        }
        prefillStreak = 0
        let (rows, preempted) = growRunning()
        return Decision(step: ScheduledStep(leaving: takeLeaving(), work: .decode(rows)), preempted: preempted)
    }

    /// Inserts a request before the first one that arrived later.
    private mutating func insert(_ id: RequestID, into queue: WritableKeyPath<Scheduler, [RequestID]>) {
        let arrival = requests[id]!.arrival
        let place = self[keyPath: queue].firstIndex { requests[$0]!.arrival > arrival }
        self[keyPath: queue].insert(id, at: place ?? self[keyPath: queue].endIndex)
    }

    private mutating func takeLeaving() -> [RequestID] {
        defer { leaving = [] }
        return leaving
    }
}

// MARK: - Prefill

extension Scheduler {
    /// Admits waiting requests to the batch, oldest first, as far as slots, token budget and blocks allow.
    private mutating func admitWaiting() -> [PrefillRow] {
        var rows: [PrefillRow] = []
        var budget = limits.maxNumBatchedTokens
        var skipped: [(id: RequestID, admittedBefore: Int)] = []
        var overtakingsLeft = Int.max
        // The first block that each row computes; it cannot be shared before the next step.
        var computing: Set<BlockContent> = []
        var admitted: Set<RequestID> = []
        for (place, id) in waiting.enumerated() where !admitted.contains(id) {
            // At most a device batch of requests that do not fit is skipped, so the cost of a step does not depend on
            // the length of the queue.
            guard running.count < limits.maxNumSeqs, skipped.count <= limits.maxNumSeqs else { break }
            guard overtakingsLeft > 0 else { break }
            if mixes(requests[id]!), var row = admit(requests[id]!, budget: budget, computing: &computing) {
                if !skipped.isEmpty { overtakingsLeft -= 1 }
                let forks = fork(row, from: waiting[(place + 1)...], atMost: overtakingsLeft)
                if !skipped.isEmpty { overtakingsLeft -= forks.count }
                row.forks = forks
                rows.append(row)
                admitted.formUnion(row.ids)
                budget -= limits.prefillPadding.length(of: row.tokens.count, from: row.computedTokens)
            } else if case .waiting(let overtaken) = requests[id]!.phase {
                skipped.append((id, admitted.count))
                overtakingsLeft = min(overtakingsLeft, overtakingLimit - overtaken)
            }
        }
        guard !rows.isEmpty else { return [] }
        for (id, admittedBefore) in skipped {
            guard case .waiting(let overtaken) = requests[id]!.phase else { continue }
            requests[id]!.phase = .waiting(overtaken: overtaken + admitted.count - admittedBefore)
        }
        waiting.removeAll { admitted.contains($0) }
        return rows
    }

    /// Whether the request may join the running ones: if the device has one set of sampling parameters for a step, all
    /// rows must have the same.
    private func mixes(_ request: EngineRequest) -> Bool {
        guard !limits.mixesSampling, let first = running.first else { return true }
        return SamplingSet(requests[first]!.sampling.token) == SamplingSet(request.sampling.token)
    }

    /// Allocates the request's blocks and admits it to the batch; `nil` if it does not fit now, or waits for a block
    /// that is computed in this step.
    private mutating func admit(
        _ request: EngineRequest, budget: Int, computing: inout Set<BlockContent>
    ) -> PrefillRow? {
        let tokens = request.tokens
        // The last token is always computed, because the next one is chosen from its logits; and so is each token before
        // one whose logprobs are wanted.
        let reusable = min(tokens.count, request.firstScoredToken ?? .max) - 1
        let sharable = blocksToShare(of: tokens, atMost: reusable)
        var (shared, cached) = pool.findPrefix(of: tokens, atMost: sharable)
        let first = limits.prefixSharing != .none ? pool.nextContent(of: tokens, after: cached) : nil
        if let first, cached.blockCount < sharable, computing.contains(first) { return nil }
        while true {
            let usable = blocksToShare(of: tokens, atMost: cached.blockCount * pool.blockSize)
            if usable == cached.blockCount { break }
            (shared, cached) = pool.findPrefix(of: tokens, atMost: usable)
        }
        var computed = cached.blockCount * pool.blockSize
        let copied =
            limits.prefixSharing == .anywhere
            ? pool.findPartialHit(of: tokens, after: cached, atMost: reusable - computed) : nil
        computed += copied?.count ?? 0
        pool.dropBlocks(behind: computed, of: &shared)
        guard limits.prefillPadding.length(of: tokens.count, from: computed) <= budget,
            let blocks = pool.allocate(
                pool.blocksNeeded(forTokens: tokens.count) - cached.blockCount, sharing: shared,
                leavesWatermark: !running.isEmpty)
        else { return nil }
        if let first { computing.insert(first) }
        requests[request.id]!.phase = .running(blocks: blocks, cached: cached)
        insert(request.id, into: \.running)
        return PrefillRow(
            id: request.id, tokens: tokens, promptLength: request.promptLength, computedTokens: computed,
            copiedBlocks: copied?.blocks ?? [], blocks: blocks, sampling: request.sampling)
    }
}

extension Scheduler {
    /// Admits those of `candidates` that came together with the row's request, as far as slots and blocks allow.
    ///
    /// They share the row's full blocks, and get a copy of the last one if its tokens do not fill it. They follow each
    /// other in the queue.
    private mutating func fork(
        _ row: PrefillRow, from candidates: ArraySlice<RequestID>, atMost most: Int
    ) -> [ForkedRow] {
        guard limits.prefixSharing == .anywhere, let group = requests[row.id]!.promptGroup,
            case .running(let blocks, let cached) = requests[row.id]!.phase, row.tokens.count == row.promptLength
        else { return [] }
        let full = row.tokens.count / pool.blockSize
        var forks: [ForkedRow] = []
        for id in candidates.prefix(while: { requests[$0]!.promptGroup == group })
        where requests[id]!.generatedCount == 0 {
            guard running.count < limits.maxNumSeqs, forks.count < most,
                let own = pool.allocate(
                    pool.blocksNeeded(forTokens: row.tokens.count) - full,
                    sharing: blocks.map { Array($0.prefix(full)) },
                    leavesWatermark: true)
            else { break }
            requests[id]!.phase = .running(blocks: own, cached: cached)
            insert(id, into: \.running)
            forks.append(ForkedRow(id: id, blocks: own, sampling: requests[id]!.sampling))
        }
        return forks
    }

    /// The number of full blocks, of those that hold the first `computed` tokens, that the sequence can share.
    private func blocksToShare(of tokens: [Int32], atMost computed: Int) -> Int {
        let blocks = computed / pool.blockSize
        return switch limits.prefixSharing {
        case .none: 0
        case .anywhere: blocks
        case .aligned(let alignment):
            alignment.start(atMost: blocks * pool.blockSize, of: tokens.count, limits.prefillPadding) / pool.blockSize
        }
    }
}

// MARK: - Decode

extension Scheduler {
    /// Allocates the block for the newest token of every running request, oldest first; preempts the newest request
    /// when no block is free.
    private mutating func growRunning() -> (rows: [DecodeRow], preempted: [RequestID]) {
        var rows: [DecodeRow] = []
        var preempted: [RequestID] = []
        while rows.count < running.count {
            let id = running[rows.count]
            let needed = pool.blocksNeeded(forTokens: requests[id]!.tokens.count) - requests[id]!.blockCount
            if needed == 0 {
                rows.append(DecodeRow(id: id))
            } else if let newBlocks = pool.allocate(needed) {
                requests[id]!.append(blocks: newBlocks)
                rows.append(DecodeRow(id: id, newBlocks: newBlocks))
            } else {
                preempted.append(preemptNewest())
            }
        }
        precondition(!rows.isEmpty, "the oldest request fits the pool alone")
        return (rows, preempted)
    }

    /// Frees the blocks of the newest running request and puts it back into the queue.
    private mutating func preemptNewest() -> RequestID {
        let id = running.removeLast()
        pool.free(requests[id]!.blocks)
        requests[id]!.phase = .waiting(overtaken: 0)
        insert(id, into: \.waiting)
        leaving.append(id)
        return id
    }
}
