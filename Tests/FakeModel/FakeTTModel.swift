// A TTModel for tests that computes from what it was really given, so that any mistake above it yields a wrong token.

public import Platform
import Sampling

/// A model whose keys and values are the tokens and the language's states after them, in paged pools.
///
/// A row's logits are those of the recurrent state of its slot, if the cache agrees: in each group, what the token
/// attends to is read back through the row's page table, and must be states that follow each other up to that one. So a
/// wrong page table, position, stale row, missing prefill or another row's slot gives wrong tokens. Decode plans are
/// honoured strictly: what a plan keeps is taken from the fake's own state and the batch's copy is not looked at; a plan
/// that keeps what the device does not have is a fault.
public final class FakeTTModel: TTModel {
    /// A call that was made, for tests of the order and content of calls.
    public enum Call: Equatable {
        /// The pool was allocated.
        case allocate(KVCacheShape)
        /// Shapes were warmed up.
        case warmUp(WarmUpPlan)
        /// A prefill step.
        case prefill(PrefillBatch)
        /// A decode step.
        case decode(DecodeBatch, DecodePlan)
        /// The output of a decode step was read.
        case read
    }

    /// What the fake claims it can do.
    public let capabilities: ModelCapabilities
    /// What it was initialised with.
    public let initialization: ModelInitialization
    /// What it speaks.
    public let language: FakeLanguage
    /// The calls so far; only kept if `recordsCalls`.
    public private(set) var calls: [Call] = []
    /// Keep `calls`.
    public var recordsCalls = true
    /// Called before every step with its number, counted from 0; may throw to fail the step, for scripted faults.
    public var beforeStep: ((Int) throws(DeviceFault) -> Void)?
    /// Replaces a token that was sampled on the device, to script a device that returns nonsense.
    public var corruptToken: ((Int32) -> Int32)?
    /// Whether a prefilled row's output is a token outside of the vocabulary, to script a device that fails one row.
    public var badPrefill: (([Int32]) -> Bool)?
    /// Steps that were run.
    public private(set) var stepCount = 0
    /// Tokens that were sampled inside steps.
    public private(set) var tokensSampledOnDevice = 0
    /// Logits rows that travelled to the host.
    public private(set) var rowsSentToHost = 0

    private var cache: KVCacheShape?
    /// The pools of the groups.
    private var pools: [[Entry]] = []
    private var slotStates: [UInt64]
    private var resident: ResidentDecode?
    private var pendingOutput: StepOutput?

    /// What a place of the cache holds.
    private struct Entry {
        var token: Int32
        /// The state after the token.
        var state: UInt64
    }

    /// What decode steps continue from on the device.
    private struct ResidentDecode {
        var tokens: [Int32]
        var positions: [Int32]
        var pageTable: PageTable
        var sampling: [RowSampling]
        var inputsAreCurrent: Bool
    }

    /// A fake with `capabilities`.
    public init(
        _ initialization: ModelInitialization, capabilities: ModelCapabilities, language: FakeLanguage = FakeLanguage()
    ) {
        self.initialization = initialization
        self.capabilities = capabilities
        self.language = language
        slotStates = Array(repeating: 0, count: initialization.maxBatchSize)
    }

    /// Eight bytes a token.
    public func kvCacheBytes(blockSize: Int, group: Int) -> Int { blockSize * 8 }

    /// Allocates the pool, filled with a value that no token has.
    public func allocateKVCache(_ shape: KVCacheShape) throws(DeviceFault) {
        record(.allocate(shape))
        guard pools.isEmpty else { throw fault("allocate", "the KV cache was allocated twice") }
        guard [capabilities.kvCacheWindows, [nil]].contains(shape.groups.map(\.window)) else {
            throw fault("allocate", "other groups than the model has")
        }
        cache = shape
        pools = shape.groups.indices.map {
            Array(repeating: Entry(token: -1, state: 0), count: shape.allocatedCount(of: $0) * shape.blockSize)
        }
    }

    /// Records the plan.
    public func warmUp(_ plan: WarmUpPlan) throws(DeviceFault) {
        record(.warmUp(plan))
        guard cache != nil else { throw fault("warm-up", "before the KV cache was allocated") }
    }

    /// Writes each row's tokens through its page table and answers for its last one.
    public func prefillForward(_ batch: PrefillBatch) throws(DeviceFault) -> StepOutput {
        record(.prefill(batch))
        try beginStep()
        resident?.inputsAreCurrent = false
        batch.copies.forEach(perform)
        var rows: [RowOutput] = []
        var ends: [UInt64] = []
        var promptLogprobs: [Int: [TokenLogprobs]?] = [:]
        for (row, tokens) in batch.tokens.enumerated() {
            let start = Int(batch.startPositions[row])
            try check(start: start, of: tokens)
            var state = FakeLanguage.state(after: tokens[..<start])
            if try !isCached(state, at: start - 1, for: start, batch.pageTable, row) { state = ~state }
            for position in start..<tokens.count {
                state = FakeLanguage.advance(state, tokens[position], at: position)
                try write(Entry(token: tokens[position], state: state), at: position, batch.pageTable, row)
            }
            pad(from: tokens.count, batch, row)
            let last = tokens.count - 1
            slotStates[batch.slots[row]] =
                try isCached(state, at: last, for: last, batch.pageTable, row) ? state : ~state
            ends.append(slotStates[batch.slots[row]])
            promptLogprobs[row] = try batch.scoring[row].map { request throws(DeviceFault) in
                guard start < request.firstToken else { throw fault("prefill", "a scored token was not computed") }
                return language.promptLogprobs(of: tokens, request)
            }
            if badPrefill?(tokens) == true {
                rows.append(.token(-1))
                continue
            }
            rows.append(
                output(slotStates[batch.slots[row]], batch.sampling[row], position: tokens.count))
        }
        for fork in batch.forks {
            guard capabilities.prefixSharing == .anywhere else { throw fault("prefill", "a row forks") }
            slotStates[fork.slot] = ends[fork.row]
            rows.append(
                badPrefill?(batch.tokens[fork.row]) == true
                    ? .token(-1) : output(ends[fork.row], fork.sampling, position: batch.tokens[fork.row].count))
            fork.copies.forEach(perform)
        }
        return StepOutput(rows: rows, promptLogprobs: promptLogprobs)
    }

    /// Runs a step from the batch or from the fake's own state, as the plan says.
    public func decodeForward(_ batch: DecodeBatch, plan: DecodePlan) throws(DeviceFault) {
        record(.decode(batch, plan))
        try beginStep()
        guard pendingOutput == nil else { throw fault("decode", "the last step's output was not read") }
        guard batch.tokens.count == initialization.maxBatchSize else {
            throw fault("decode", "\(batch.tokens.count) rows instead of \(initialization.maxBatchSize)")
        }
        var device = try takeInputs(batch, plan)
        var rows: [RowOutput] = []
        for row in device.tokens.indices {
            guard device.positions[row] >= 0 else {
                rows.append(.padding)
                continue
            }
            let position = Int(device.positions[row])
            slotStates[row] = FakeLanguage.advance(slotStates[row], device.tokens[row], at: position)
            try write(
                Entry(token: device.tokens[row], state: slotStates[row]), at: position, device.pageTable, row)
            if try !isCached(slotStates[row], at: position, for: position, device.pageTable, row) {
                slotStates[row] = ~slotStates[row]
            }
            let output = output(slotStates[row], device.sampling[row], position: position + 1)
            // A row that the host samples leaves the device without its next input.
            if case .token(let token) = output { device.tokens[row] = token.id } else { device.tokens[row] = .min }
            device.positions[row] += 1
            rows.append(output)
        }
        resident = device
        pendingOutput = StepOutput(rows: rows)
    }

    /// The output of the step that was started last.
    public func readDecodeOutput() throws(DeviceFault) -> StepOutput {
        record(.read)
        guard let output = pendingOutput else { throw fault("read", "no decode step was started") }
        pendingOutput = nil
        return output
    }
}

extension FakeTTModel {
    private func record(_ call: Call) {
        if recordsCalls { calls.append(call) }
    }

    private func fault(_ operation: String, _ reason: String) -> DeviceFault {
        DeviceFault(operation: operation, reason: "fake model: " + reason)
    }

    private func perform(_ copy: BlockCopy) {
        let (source, target) = (Int(copy.source) * blockSize, Int(copy.target) * blockSize)
        pools[copy.group].replaceSubrange(
            target..<target + blockSize, with: pools[copy.group][source..<source + blockSize])
    }

    private func beginStep() throws(DeviceFault) {
        guard cache != nil else { throw fault("step", "the KV cache was not allocated") }
        let number = stepCount
        stepCount += 1
        try beforeStep?(number)
    }

    private func takeInputs(_ batch: DecodeBatch, _ plan: DecodePlan) throws(DeviceFault) -> ResidentDecode {
        guard !plan.resetSamplingState || plan.inputs == .reloadAll else {
            throw fault("decode", "sampling state is reset without reloading all inputs")
        }
        if plan.inputs == .reloadAll {
            guard let sampling = plan.reloadSamplingParams ? batch.sampling : resident?.sampling else {
                throw fault("decode", "the plan keeps sampling parameters that were never loaded")
            }
            return ResidentDecode(
                tokens: batch.tokens, positions: batch.positions, pageTable: batch.pageTable, sampling: sampling,
                inputsAreCurrent: true)
        }
        guard var device = resident, device.inputsAreCurrent else {
            throw fault("decode", "the plan keeps inputs that the device does not have")
        }
        if plan.inputs == .reloadPageTable { device.pageTable = batch.pageTable }
        if plan.reloadSamplingParams { device.sampling = batch.sampling }
        return device
    }

    private var blockSize: Int { cache!.blockSize }

    private func place(
        _ position: Int, _ table: PageTable, _ row: Int, _ group: Int
    ) throws(DeviceFault) -> Int {
        let column = position / blockSize
        guard column < table.width else {
            throw fault("step", "position \(position) lies beyond the page table's \(table.width) blocks")
        }
        let block = Int(table[row, group: group].dropFirst(column).first!)
        guard block >= 0, (block + 1) * blockSize <= pools[group].count else {
            throw fault("step", "block \(block) is not in the pool")
        }
        return block * blockSize + position % blockSize
    }

    /// As a device that begins only where its attention can, and needs the tokens before to know it.
    private func check(start: Int, of tokens: [Int32]) throws(DeviceFault) {
        switch capabilities.prefixSharing {
        case .none where start > 0: throw fault("prefill", "a row begins at \(start)")
        case .aligned(let alignment):
            guard alignment.start(atMost: start, of: tokens.count, capabilities.prefillPadding) == start else {
                throw fault("prefill", "a row of \(tokens.count) begins at \(start)")
            }
        case .none, .anywhere: break
        }
    }

    /// As a device that writes the padding of a row through its page table, empty places and all.
    private func pad(from end: Int, _ batch: PrefillBatch, _ row: Int) {
        guard capabilities.needsNullBlock else { return }
        for group in pools.indices {
            for position in end..<batch.pageTable.width * blockSize {
                let block = Int(batch.pageTable[row, group: group].dropFirst(position / blockSize).first!)
                pools[group][block * blockSize + position % blockSize] = Entry(token: -3, state: 0)
            }
        }
    }

    private func write(_ entry: Entry, at position: Int, _ table: PageTable, _ row: Int) throws(DeviceFault) {
        for group in pools.indices { pools[group][try place(position, table, row, group)] = entry }
    }

    /// Whether each group's entries that the token at `position` attends to, up to the one at `last`, follow each other
    /// and end with `state`.
    private func isCached(
        _ state: UInt64, at last: Int, for position: Int, _ table: PageTable, _ row: Int
    ) throws(DeviceFault) -> Bool {
        for group in pools.indices {
            let first = cache!.groups[group].window.map { max(0, position + 1 - $0) } ?? 0
            guard first <= last else { continue }
            var before = first == 0 ? FakeLanguage.emptyState : nil
            for read in first...last {
                let entry = pools[group][try place(read, table, row, group)]
                if let before, FakeLanguage.advance(before, entry.token, at: read) != entry.state { return false }
                before = entry.state
            }
            if before != state { return false }
        }
        return true
    }

    private func output(_ state: UInt64, _ sampling: RowSampling, position: Int) -> RowOutput {
        let logits = language.logits(state: state)
        switch sampling {
        case .nothing: return .padding
        case .onHost:
            rowsSentToHost += 1
            return .logits(logits)
        case .onDevice(let draw):
            tokensSampledOnDevice += 1
            var edited = logits
            let sampled = edited.withUnsafeMutableBufferPointer {
                TokenSampler.sample($0, draw, position: position, scratch: SamplerScratch())
            }
            guard let sampled else { return .excluded }
            return .token(SampledToken(corruptToken?(sampled.id) ?? sampled.id, logprobs: sampled.logprobs))
        }
    }
}
