// An executor whose next token depends on the whole sequence, if a KV cache that it really keeps holds it.

import Platform
import Sampling
import Testing

/// Executes steps on a pretended KV cache, and records an issue for every step that no worker could run.
///
/// What a token depends on, itself and all tokens before it, is written as a hash into the blocks that the engine assigned.
/// In each group, all that a computed token attends to is read back through them and must be right: a block that does not
/// hold what its row believes, or a sequence of which a part was neither prefilled nor shared, is an issue.
final class ScriptedExecutor: StepExecutor {
    /// A row of the batch.
    struct Row {
        /// The tokens, the one to decode next included.
        var tokens: [Int32]
        /// A hash of the tokens up to each one that was computed.
        var hashes: [UInt64]
        var blocks: [[Int32]]
    }

    let limits: StepLimits
    /// Makes the engine begin steps early.
    let runsStepsAsync: Bool
    /// What the row's next token is, by its whole sequence.
    let nextToken: ([Int32]) -> Int32
    /// Steps run, in order.
    private(set) var steps: [ScheduledStep] = []
    /// Makes the next step fail, after it has written.
    var failsNext = false
    private var rows: [RequestID: Row] = [:]
    /// Hashes by group and place.
    private var cache: [[UInt64]]
    /// Blocks of each group that the step wrote into.
    private var written: [Set<Int32>]
    /// Blocks of each group that the step filled for several rows.
    private var forked: [Set<Int32>]

    /// Requests that get no token.
    var badOutputs: Set<RequestID> = []

    private var begun: Result<[RequestOutput], DeviceFault>?

    init(limits: StepLimits, runsStepsAsync: Bool = false, nextToken: @escaping ([Int32]) -> Int32) {
        self.limits = limits
        self.runsStepsAsync = runsStepsAsync
        self.nextToken = nextToken
        cache = limits.kvCache.groups.map {
            Array(repeating: 0, count: $0.blockCount * limits.kvCache.blockSize)
        }
        written = limits.kvCache.groups.map { _ in [] }
        forked = written
    }

    /// The prefill rows of each step, `nil` for decode steps.
    var prefills: [[PrefillRow]?] {
        steps.map { step in
            if case .prefill(let rows) = step.work { rows } else { nil }
        }
    }

    func begin(_ step: ScheduledStep) throws(DeviceFault) {
        check(begun == nil, "a step begins before the last one has ended")
        do throws(DeviceFault) { begun = .success(try run(step)) } catch { begun = .failure(error) }
    }

    func finish() throws(DeviceFault) -> StepResult {
        guard let result = begun else { preconditionFailure("no step was begun") }
        begun = nil
        return StepResult(try result.get())
    }

    private func run(_ step: ScheduledStep) throws(DeviceFault) -> [RequestOutput] {
        steps.append(step)
        for group in written.indices { (written[group], forked[group]) = ([], []) }
        for id in step.leaving {
            check(rows.removeValue(forKey: id) != nil, "\(id) leaves a batch that it was not in")
        }
        let outputs =
            switch step.work {
            case .prefill(let prefill): run(prefill)
            case .decode(let decode): run(decode)
            }
        checkBlocks()
        dropBlocks()
        if failsNext { throw DeviceFault(operation: "scripted step", reason: "asked for") }
        return outputs
    }

    private func run(_ prefill: [PrefillRow]) -> [RequestOutput] {
        check(!prefill.isEmpty, "a prefill step without rows")
        check(
            prefill.reduce(0) { $0 + $1.tokens.count - $1.computedTokens } <= limits.maxNumBatchedTokens,
            "more tokens than a step has")
        for new in prefill { copy(of: new) }
        return prefill.flatMap { new in
            check(rows[new.id] == nil, "\(new.id) is in the batch already")
            check((0..<new.tokens.count).contains(new.computedTokens), "\(new.id) has nothing left to compute")
            check((limits.prefixSharing != .none) || new.computedTokens == 0, "\(new.id) shares what may not be shared")
            check((1...new.tokens.count).contains(new.promptLength), "\(new.id) has a prompt of \(new.promptLength)")
            var row = Row(tokens: new.tokens, hashes: [], blocks: new.blocks)
            for token in new.tokens[..<new.computedTokens] { row.hashes.append(Self.hash(row.hashes.last, token)) }
            let first = new.computedTokens
            if first > 0 { checkCache(of: new.id, row, for: first, upTo: first - 1) }
            while row.hashes.count < row.tokens.count { compute(&row) }
            return [sample(new.id, row, wantsToken: new.sampling.maxTokens > 0)] + new.forks.map { fork($0, row) }
        }
    }

    private func fork(_ fork: ForkedRow, _ row: Row) -> RequestOutput {
        let size = limits.kvCache.blockSize
        let (full, rest) = row.tokens.count.quotientAndRemainder(dividingBy: size)
        check(rows[fork.id] == nil, "\(fork.id) is in the batch already")
        for (group, blocks) in fork.blocks.enumerated() {
            check(blocks.prefix(full) == row.blocks[group].prefix(full), "\(fork.id) forks other blocks")
            check(blocks.count == row.blocks[group].count, "\(fork.id) has too many blocks or too few")
            forked[group].formUnion(blocks.prefix(full))
            guard rest > 0 else { continue }
            let (from, to) = (Int(row.blocks[group][full]) * size, Int(blocks[full]) * size)
            check(from != to, "\(fork.id) writes into the block of another row")
            cache[group].replaceSubrange(to..<to + size, with: cache[group][from..<from + size])
            written[group].insert(blocks[full])
        }
        return sample(fork.id, Row(tokens: row.tokens, hashes: row.hashes, blocks: fork.blocks))
    }

    private func copy(of new: PrefillRow) {
        let size = limits.kvCache.blockSize
        let (index, begun) = new.computedTokens.quotientAndRemainder(dividingBy: size)
        let count = begun == 0 ? 0 : limits.kvCache.groups.count
        check(new.copiedBlocks.count == count, "\(new.id) copies no block, or one without need")
        for (group, source) in new.copiedBlocks.enumerated() {
            let (from, to) = (Int(source) * size, Int(new.blocks[group][index]) * size)
            cache[group].replaceSubrange(to..<to + size, with: cache[group][from..<from + size])
        }
    }

    private func run(_ decode: [DecodeRow]) -> [RequestOutput] {
        check(Set(decode.map(\.id)) == Set(rows.keys), "a decode step is for all rows of the batch")
        check(decode.count == rows.count, "a row is decoded twice")
        return decode.map { old in
            var row = rows[old.id]!
            for (group, new) in old.newBlocks.enumerated() { row.blocks[group] += new }
            compute(&row)
            return sample(old.id, row)
        }
    }

    /// Computes the next of the row's tokens.
    private func compute(_ row: inout Row) {
        let size = limits.kvCache.blockSize
        let (index, offset) = row.hashes.count.quotientAndRemainder(dividingBy: size)
        row.hashes.append(Self.hash(row.hashes.last, row.tokens[row.hashes.count]))
        for (group, blocks) in row.blocks.enumerated() {
            guard index < blocks.count, blocks[index] != KVCacheShape.noBlock else {
                Issue.record("no block for position \(row.hashes.count - 1)")
                return
            }
            written[group].insert(blocks[index])
            cache[group][Int(blocks[index]) * size + offset] = row.hashes.last!
        }
    }

    private static func hash(_ before: UInt64?, _ token: Int32) -> UInt64 {
        ((before ?? 0xCBF2_9CE4_8422_2325) ^ UInt64(UInt32(bitPattern: token))) &* 0x100_0000_01B3
    }

    /// Checks that the cache holds what the token at `position` attends to, up to the one at `last`.
    private func checkCache(of id: RequestID, _ row: Row, for position: Int, upTo last: Int) {
        let size = limits.kvCache.blockSize
        for (group, blocks) in row.blocks.enumerated() {
            let first = limits.kvCache.groups[group].window.map { max(0, position + 1 - $0) } ?? 0
            for read in first..<max(first, last + 1) {
                let block = read / size < blocks.count ? blocks[read / size] : KVCacheShape.noBlock
                let isRight = block >= 0 && cache[group][Int(block) * size + read % size] == row.hashes[read]
                check(isRight, "\(id): group \(group) does not hold position \(read) for \(position)")
            }
        }
    }

    private func sample(_ id: RequestID, _ row: Row, wantsToken: Bool = true) -> RequestOutput {
        checkCache(of: id, row, for: row.tokens.count - 1, upTo: row.tokens.count - 1)
        guard wantsToken else {
            rows[id] = row
            return .nothing
        }
        let token = nextToken(row.tokens)
        rows[id] = Row(tokens: row.tokens + [token], hashes: row.hashes, blocks: row.blocks)
        return badOutputs.contains(id) ? .bad(BadOutput("asked for")) : .token(token)
    }

    private func checkBlocks() {
        check(rows.count <= limits.maxNumSeqs, "more rows than slots")
        for group in limits.kvCache.groups.indices {
            let blocks = rows.values.flatMap { $0.blocks[group] }.filter { $0 != KVCacheShape.noBlock }
            let exclusive =
                (limits.prefixSharing != .none)
                ? blocks.filter { written[group].contains($0) && !forked[group].contains($0) } : blocks
            check(Set(exclusive).count == exclusive.count, "two rows own a block that is written")
            check(blocks.allSatisfy(limits.kvCache.blocks(of: group).contains), "no such block")
        }
    }

    /// Forgets the blocks that the rows' next tokens do not attend to: the engine gives them to others.
    private func dropBlocks() {
        for group in limits.kvCache.groups.indices where limits.kvCache.groups[group].window != nil {
            for (id, row) in rows {
                let first = limits.kvCache.firstBlock(of: group, at: row.hashes.count)
                for place in 0..<min(first, row.blocks[group].count) {
                    rows[id]!.blocks[group][place] = KVCacheShape.noBlock
                }
            }
        }
    }

    /// Like `#expect`, which is slow where it holds millions of times.
    private func check(_ condition: Bool, _ comment: @autoclosure () -> Comment) {
        if !condition { Issue.record(comment()) }
    }
}
