// An executor whose next token is a hash of the whole sequence, read back from a KV cache that it really keeps.

import Platform
import Testing

/// Executes steps on a pretended KV cache, and records an issue for every step that no worker could run.
///
/// Tokens are written into the blocks that the engine assigned and read back through them, so that a block that does not
/// hold what its row believes, or a sequence of which a part was neither prefilled nor shared, changes what is generated.
final class ScriptedExecutor: StepExecutor {
    /// A row of the batch.
    struct Row {
        var length: Int
        var pending: Int32
        var blocks: [Int32]
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
    private var cache: [Int32]
    /// Blocks that the step wrote into.
    private var written: Set<Int32> = []

    /// Requests that get no token.
    var badOutputs: Set<RequestID> = []

    private var begun: Result<[RequestOutput], DeviceFault>?

    init(limits: StepLimits, runsStepsAsync: Bool = false, nextToken: @escaping ([Int32]) -> Int32) {
        self.limits = limits
        self.runsStepsAsync = runsStepsAsync
        self.nextToken = nextToken
        cache = Array(repeating: -1, count: limits.kvCache.blockCount * limits.kvCache.blockSize)
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

    func finish() throws(DeviceFault) -> [RequestOutput] {
        guard let result = begun else { preconditionFailure("no step was begun") }
        begun = nil
        return try result.get()
    }

    private func run(_ step: ScheduledStep) throws(DeviceFault) -> [RequestOutput] {
        steps.append(step)
        written = []
        for id in step.leaving {
            check(rows.removeValue(forKey: id) != nil, "\(id) leaves a batch that it was not in")
        }
        let outputs =
            switch step.work {
            case .prefill(let prefill): run(prefill)
            case .decode(let decode): run(decode)
            }
        checkBlocks()
        if failsNext { throw DeviceFault(operation: "scripted step", reason: "asked for") }
        return outputs
    }

    private func run(_ prefill: [PrefillRow]) -> [RequestOutput] {
        check(!prefill.isEmpty, "a prefill step without rows")
        check(
            prefill.reduce(0) { $0 + $1.tokens.count - $1.computedTokens } <= limits.maxNumBatchedTokens,
            "more tokens than a step has")
        for new in prefill { copy(of: new) }
        return prefill.map { new in
            check(rows[new.id] == nil, "\(new.id) is in the batch already")
            check((0..<new.tokens.count).contains(new.computedTokens), "\(new.id) has nothing left to compute")
            check((limits.prefixSharing != .none) || new.computedTokens == 0, "\(new.id) shares what may not be shared")
            check((1...new.tokens.count).contains(new.promptLength), "\(new.id) has a prompt of \(new.promptLength)")
            var row = Row(length: new.computedTokens, pending: 0, blocks: new.blocks)
            for token in new.tokens[new.computedTokens...] { write(token, to: &row) }
            return sample(new.id, row)
        }
    }

    private func copy(of new: PrefillRow) {
        let size = limits.kvCache.blockSize
        let (index, begun) = new.computedTokens.quotientAndRemainder(dividingBy: size)
        check((new.copiedBlock == nil) == (begun == 0), "\(new.id) copies no block, or one without need")
        guard let source = new.copiedBlock.map({ Int($0) * size }) else { return }
        cache.replaceSubrange(
            Int(new.blocks[index]) * size..<(Int(new.blocks[index]) + 1) * size, with: cache[source..<source + size])
    }

    private func run(_ decode: [DecodeRow]) -> [RequestOutput] {
        check(Set(decode.map(\.id)) == Set(rows.keys), "a decode step is for all rows of the batch")
        check(decode.count == rows.count, "a row is decoded twice")
        return decode.map { old in
            var row = rows[old.id]!
            row.blocks += old.newBlocks
            write(row.pending, to: &row)
            return sample(old.id, row)
        }
    }

    private func write(_ token: Int32, to row: inout Row) {
        let (index, offset) = row.length.quotientAndRemainder(dividingBy: limits.kvCache.blockSize)
        guard index < row.blocks.count else {
            Issue.record("no block for position \(row.length)")
            return
        }
        written.insert(row.blocks[index])
        cache[Int(row.blocks[index]) * limits.kvCache.blockSize + offset] = token
        row.length += 1
    }

    private func sample(_ id: RequestID, _ row: Row) -> RequestOutput {
        let size = limits.kvCache.blockSize
        let sequence = (0..<row.length).map { cache[Int(row.blocks[$0 / size]) * size + $0 % size] }
        let token = nextToken(sequence)
        rows[id] = Row(length: row.length, pending: token, blocks: row.blocks)
        return badOutputs.contains(id) ? .bad(BadOutput("asked for")) : .token(token)
    }

    private func checkBlocks() {
        check(rows.count <= limits.maxNumSeqs, "more rows than slots")
        let blocks = rows.values.flatMap(\.blocks)
        let exclusive = (limits.prefixSharing != .none) ? blocks.filter(written.contains) : blocks
        check(Set(exclusive).count == exclusive.count, "two rows own a block that is written")
        check(blocks.allSatisfy { $0 >= 0 && $0 < Int32(limits.kvCache.blockCount) }, "no such block")
    }

    /// Like `#expect`, which is slow where it holds millions of times.
    private func check(_ condition: Bool, _ comment: @autoclosure () -> Comment) {
        if !condition { Issue.record(comment()) }
    }
}
