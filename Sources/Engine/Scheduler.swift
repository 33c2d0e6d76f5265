// Chooses the requests of the next step: prefill first, never mixed with decode (design §4; TT contract §4).

import Platform
import Sampling

/// The requests in flight, their KV blocks, and the choice of the next step.
///
/// The rules, and why no request waits for ever:
///
/// - *Order.* Requests are served by priority, and then in the order of arrival; a preempted request gets its old place
///   in the queue.
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
/// - *Shares.* With an `OnlineShare`, online requests and those of batches have slots of their own. An online request
///   that finds no blocks takes those of the newest requests of batches, which are preempted. No step prefills both
///   kinds, and a long prompt of a batch is prefilled in pieces, with other steps between them; other requests of
///   batches, which might share its blocks, wait for its end.
/// - *Bounded prefill priority.* After `prefillStreakLimit` prefill steps in a row, the running requests decode once.
///   Filling an empty batch never takes more steps than that. Only a stream of requests that end with their first token
///   would, and it must not starve the others.
struct Scheduler {
    /// A step to run, and the requests that it preempts.
    struct Decision {
        var step: ScheduledStep
        var preempted: [RequestID] = []
        /// The request of which only a piece of the prompt is prefilled, and the tokens that are computed then.
        var piece: (id: RequestID, end: Int)?
        /// The request whose pieces this step goes on with, and the tokens that were cached before the first one.
        var continued: (id: RequestID, cached: Int)?
    }

    /// The limits of every step.
    let limits: StepLimits
    /// What online requests have for themselves; nil if there are none.
    let share: OnlineShare?
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
    /// The request that is prefilled in pieces.
    private var inPieces: RequestID?
    /// Requests that were preempted for the next step.
    private var preempted: [RequestID] = []

    /// An empty scheduler. The limits must allow the longest sequence to be prefilled in one step, because a preempted
    /// request is.
    init(limits: StepLimits, share: OnlineShare? = nil) {
        precondition(limits.maxNumSeqs > 0, "max_num_seqs must be at least 1")
        precondition(
            limits.maxNumBatchedTokens >= limits.prefillPadding.length(of: limits.maxModelLen, from: 0),
            "max_num_batched_tokens (\(limits.maxNumBatchedTokens)) must not be below max_model_len "
                + "(\(limits.maxModelLen)): prompts are prefilled in one piece")
        if let share {
            precondition(share.slots > 0 && share.slots < limits.maxNumSeqs, "both kinds of requests need slots")
            precondition(share.prefillTokens > 0, "a piece of a prompt has tokens")
        }
        self.limits = limits
        self.share = share
        hasWindows = limits.kvCache.groups.contains { $0.window != nil }
        // The reserve keeps common prefixes of ended requests cached: some templates in a large pool, one in a small
        // pool.
        pool = KVBlockPool(limits.kvCache, cachedReserve: { max($0 / 64, 64) })
    }

    /// How many newer requests may be admitted before a waiting one: a full device batch.
    var overtakingLimit: Int { limits.maxNumSeqs }
    /// Maximum number of prefill steps in a row while requests wait to decode.
    var prefillStreakLimit: Int { holdsUpOnline ? 1 : limits.maxNumSeqs }
    /// Whether the next prompt is a batch's, and an online request waits for its next token.
    private var holdsUpOnline: Bool {
        guard share != nil, let next = waiting.first, let first = running.first else { return false }
        return requests[next]!.priority == .batch && requests[first]!.priority == .online
    }

    /// Queues a new request, newer than all others.
    mutating func add(_ request: EngineRequest) {
        requests[request.id] = request
        insert(request.id, into: \.waiting)
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
            if request.pieces?.hasRow != false { leaving.append(id) }
            if inPieces == id { inPieces = nil }
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
        let canDecode = running.contains { requests[$0]!.pieces == nil }
        if !canDecode || prefillStreak < prefillStreakLimit {
            let rows = admitWaiting()
            if !rows.isEmpty { return prefill(rows, continued: nil) }
        }
        // After each piece of a prompt, the others decode once.
        if let id = inPieces, !canDecode || prefillStreak == 0 {
            let cached = requests[id]!.pieces!.cached
            return prefill([nextPiece(of: id)], continued: (id, cached))
        }
        prefillStreak = 0
        let rows = growRunning()
        return Decision(step: ScheduledStep(leaving: takeLeaving(), work: .decode(rows)), preempted: takePreempted())
    }

    private mutating func prefill(_ rows: [PrefillRow], continued: (id: RequestID, cached: Int)?) -> Decision {
        prefillStreak += 1
        let piece = rows.first { requests[$0.id]!.pieces != nil }.map { (id: $0.id, end: $0.tokens.count) }
        return Decision(
            step: ScheduledStep(leaving: takeLeaving(), work: .prefill(rows)), preempted: takePreempted(), piece: piece,
            continued: continued)
    }

    private mutating func takePreempted() -> [RequestID] {
        defer { preempted = [] }
        return preempted
    }

    /// Inserts a request before the first one that is served after it.
    private mutating func insert(_ id: RequestID, into queue: WritableKeyPath<Scheduler, [RequestID]>) {
        let request = requests[id]!
        // Mostly it is the last one.
        let place = self[keyPath: queue].lastIndex { requests[$0]!.precedes(request) }.map { $0 + 1 } ?? 0
        self[keyPath: queue].insert(id, at: place)
    }

    private mutating func takeLeaving() -> [RequestID] {
        defer { leaving = [] }
        return leaving
    }
}

// MARK: - Prefill

extension Scheduler {
    /// Admits waiting requests to the batch, in their order, as far as slots, token budget and blocks allow. Preempts
    /// requests of batches for the blocks of online ones.
    private mutating func admitWaiting() -> [PrefillRow] {
        var rows: [PrefillRow] = []
        var budget = limits.maxNumBatchedTokens
        // What an online request may have to wait for: the first prompt of batches, and further ones as far as they come to
        // no more than a piece.
        var piece = share?.prefillTokens ?? .max
        var skipped: [(id: RequestID, admittedBefore: Int)] = []
        var overtakingsLeft = Int.max
        // The first block that each row computes; it cannot be shared before the next step.
        var computing: Set<BlockContent> = []
        var admitted: Set<RequestID> = []
        for (place, id) in waiting.enumerated() where !admitted.contains(id) {
            // At most a device batch of requests that do not fit is skipped, so the cost of a step does not depend on
            // the length of the queue.
            let request = requests[id]!
            guard hasSlot(for: request), skipped.count <= limits.maxNumSeqs, overtakingsLeft > 0 else { break }
            if share != nil, request.priority == .batch, !rows.isEmpty, requests[rows[0].id]!.priority == .online {
                break
            }
            let isFurther = request.priority == .batch && !rows.isEmpty
            var admission =
                mixes(request)
                ? admit(request, budget: isFurther ? min(budget, piece) : budget, computing: &computing) : nil
            while admission == nil, rows.isEmpty, mixes(request), let victim = victim(for: request) {
                preempt(victim)
                admission = admit(request, budget: budget, computing: &computing)
            }
            if var row = admission {
                if !skipped.isEmpty { overtakingsLeft -= 1 }
                let forks = fork(row, from: waiting[(place + 1)...], atMost: overtakingsLeft)
                if !skipped.isEmpty { overtakingsLeft -= forks.count }
                row.forks = forks
                rows.append(row)
                admitted.formUnion(row.ids)
                let length = limits.prefillPadding.length(of: row.tokens.count, from: row.computedTokens)
                budget -= length
                if request.priority == .batch { piece -= length }
                if requests[row.id]!.pieces != nil { break }
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

    /// Whether a request's kind has a free slot. While a prompt is prefilled in pieces, requests of batches have none.
    private func hasSlot(for request: EngineRequest) -> Bool {
        guard let share else { return running.count < limits.maxNumSeqs }
        let own = running.count { requests[$0]!.priority == request.priority }
        return switch request.priority {
        case .online: own < share.slots
        case .batch: own < limits.maxNumSeqs - share.slots && inPieces == nil
        }
    }

    /// The request that an online one may take blocks of: the newest of a batch.
    private func victim(for request: EngineRequest) -> RequestID? {
        guard share != nil, request.priority == .online, let last = running.last,
            requests[last]!.priority == .batch
        else { return nil }
        return last
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
        let row = PrefillRow(
            id: request.id, tokens: tokens, promptLength: request.promptLength, computedTokens: computed,
            copiedBlocks: copied?.blocks ?? [], blocks: blocks, sampling: request.sampling)
        guard let share, request.priority == .batch, tokens.count - computed > max(share.prefillTokens, pool.blockSize),
            limits.prefixSharing == .anywhere, request.promptGroup == nil, request.firstScoredToken == nil
        else { return row }
        inPieces = request.id
        requests[request.id]!.pieces = EngineRequest.Pieces(cached: computed, computed: computed, hasRow: true)
        return piece(of: row, end: endOfPiece(from: computed, share))
    }

    /// Pieces end with a block.
    private func endOfPiece(from computed: Int, _ share: OnlineShare) -> Int {
        max((computed + share.prefillTokens) / pool.blockSize, computed / pool.blockSize + 1) * pool.blockSize
    }

    /// A row with the first tokens of another one, which gets no token.
    private func piece(of row: PrefillRow, end: Int) -> PrefillRow {
        var piece = row
        piece.tokens = Array(row.tokens[..<end])
        piece.promptLength = min(row.promptLength, end)
        piece.blocks = row.blocks.map { Array($0.prefix(pool.blocksNeeded(forTokens: end))) }
        piece.sampling = SamplingParams(token: .greedy, maxTokens: 0)
        return piece
    }

    /// The next piece of a prompt, or what is left of it.
    private mutating func nextPiece(of id: RequestID) -> PrefillRow {
        guard let request = requests[id], let share, let pieces = request.pieces else {
            preconditionFailure("\(id) is not prefilled in pieces")
        }
        let row = PrefillRow(
            id: id, tokens: request.tokens, promptLength: request.promptLength, computedTokens: pieces.computed,
            blocks: request.blocks, sampling: request.sampling)
        guard request.tokens.count - pieces.computed > max(share.prefillTokens, pool.blockSize) else {
            requests[id]!.pieces = nil
            inPieces = nil
            return row
        }
        requests[id]!.pieces!.hasRow = true
        return piece(of: row, end: endOfPiece(from: pieces.computed, share))
    }

    /// Notes that the tokens before `end` are computed. Until the next piece the request leaves the device batch, whose rows
    /// all decode.
    mutating func advance(_ id: RequestID, to end: Int) {
        guard requests[id]?.pieces != nil else { return }
        requests[id]!.pieces!.computed = end
        requests[id]!.pieces!.hasRow = false
        leaving.append(id)
        guard case .running(var blocks, var cached)? = requests[id]?.phase else { return }
        if limits.prefixSharing != .none {
            pool.cache(Array(requests[id]!.tokens[..<end]), in: blocks, cached: &cached)
        }
        if hasWindows { pool.freeBlocks(behind: end, of: &blocks) }
        requests[id]!.phase = .running(blocks: blocks, cached: cached)
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
            guard hasSlot(for: requests[id]!), forks.count < most,
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
    /// Allocates the block for the newest token of every running request, in their order; preempts the last request when
    /// no block is free.
    private mutating func growRunning() -> [DecodeRow] {
        var rows: [DecodeRow] = []
        var place = 0
        while place < running.count {
            let id = running[place]
            let needed = pool.blocksNeeded(forTokens: requests[id]!.tokens.count) - requests[id]!.blockCount
            if requests[id]!.pieces != nil {
                place += 1
            } else if needed == 0 {
                rows.append(DecodeRow(id: id))
                place += 1
            } else if let newBlocks = pool.allocate(needed) {
                requests[id]!.append(blocks: newBlocks)
                rows.append(DecodeRow(id: id, newBlocks: newBlocks))
                place += 1
            } else {
                preempt(running.last!)
            }
        }
        precondition(!rows.isEmpty, "the oldest request fits the pool alone")
        return rows
    }

    /// Frees the blocks of a running request and puts it back into the queue.
    private mutating func preempt(_ id: RequestID) {
        running.removeAll { $0 == id }
        pool.free(requests[id]!.blocks)
        requests[id]!.phase = .waiting(overtaken: 0)
        let hasRow = requests[id]!.pieces?.hasRow != false
        requests[id]!.pieces = nil
        if inPieces == id { inPieces = nil }
        insert(id, into: \.waiting)
        if hasRow { leaving.append(id) }
        preempted.append(id)
    }
}

/// What online requests have for themselves in an engine that also runs batches.
public struct OnlineShare: Sendable, Equatable {
    /// Batch slots of their own; the others are for batches.
    public var slots: Int
    /// The most tokens of batches' prompts that are prefilled in one step, so that an online request waits no longer.
    public var prefillTokens: Int

    /// A share.
    public init(slots: Int, prefillTokens: Int) {
        self.slots = slots
        self.prefillTokens = prefillTokens
    }
}
