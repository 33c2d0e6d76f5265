// Runs scheduled steps on a model: updates the batch, prepares the input, executes, and appends each row's token.

import Platform
import Sampling

/// The runner of one model. It owns the model, which is released with it.
final class TTModelRunner {
    private let model: any TTModel
    private let mode: SampleOnDeviceMode
    private let vocabularySize: Int
    private let validation: StepValidation
    private let endOfGenerationTokens: Set<Int32>
    private let sampler = HostSampler()
    private var batch: InputBatch
    private var planner: DecodePlanner
    /// The input of the step that was begun.
    private var begun: TTModelInput?

    /// A runner with an empty batch; the model's KV cache is allocated.
    init(
        model: any TTModel, configuration: CheckedConfiguration, limits: StepLimits, pageTableWidth: Int,
        endOfGenerationTokens: Set<Int32>
    ) {
        self.model = model
        mode = configuration.tt.sampleOnDeviceMode
        vocabularySize = limits.vocabularySize
        validation = StepValidation(limits: limits, pageTableWidth: pageTableWidth)
        self.endOfGenerationTokens = endOfGenerationTokens
        batch = InputBatch(
            maxNumSeqs: limits.maxNumSeqs, pageTableWidth: pageTableWidth, kvCache: limits.kvCache)
        planner = DecodePlanner(
            keepsInputs: configuration.tt.traceMode != .none && model.capabilities.keepsDecodeInputs)
    }

    /// Prepares `step`, and starts it if it is a decode step.
    func begin(_ step: ScheduledStep) throws(DeviceFault) {
        precondition(begun == nil, "the last step was not ended")
        try updateStates(step.leaving)
        var input: TTModelInput
        switch step.work {
        case .prefill(let rows): input = try prepareInput(rows)
        case .decode(let rows): input = try prepareInput(rows)
        }
        if case .decode(let batch, let plan, _) = input.call, !input.slots.isEmpty {
            try model.decodeForward(batch, plan: plan)
            // While the device runs: the masks of grammars take time.
            for (index, slot) in input.slots.enumerated() where input.wanted[index] == nil {
                input.wanted[index] = self.batch.rows[slot]!.wanted
            }
        }
        begun = input
    }

    /// Waits for the step that was begun and returns what it gave.
    func finish() throws(DeviceFault) -> StepResult {
        guard let input = begun else { preconditionFailure("no step was begun") }
        begun = nil
        return input.slots.isEmpty ? StepResult([]) : try takeOutputs(try outputs(input.call), input)
    }

    private func updateStates(_ leaving: [RequestID]) throws(DeviceFault) {
        try validation.check(leaving: leaving, batch)
        for id in leaving { batch.remove(id) }
    }

    private func prepareInput(_ rows: [PrefillRow]) throws(DeviceFault) -> TTModelInput {
        try validation.check(prefill: rows, batch)
        let slots = rows.map { add($0.id, $0, blocks: $0.blocks, $0.sampling) }
        let forks = rows.enumerated().flatMap { row, prefill in prefill.forks.map { (row: row, fork: $0) } }
        let forkSlots = forks.map { add($0.fork.id, rows[$0.row], blocks: $0.fork.blocks, $0.fork.sampling) }
        let wanted = (slots + forkSlots).map { batch.rows[$0]!.wanted }
        let onDevice = mode.samplesPrefill && canSampleOnDevice(slots + forkSlots)
        let sampling = sampling(slots + forkSlots, wanted, onDevice: onDevice)
        let prompts = batch.prefillInput(
            slots: slots, computed: rows.map(\.computedTokens), copies: rows.flatMap { copies(of: $0) },
            sampling: Array(sampling[..<rows.count]),
            forks: forks.enumerated().map { index, fork in
                PrefillFork(
                    row: fork.row, slot: forkSlots[index], sampling: sampling[rows.count + index],
                    copies: copies(to: fork.fork, from: rows[fork.row]))
            },
            scoring: Dictionary(
                uniqueKeysWithValues: rows.enumerated().compactMap { row, prefill in
                    prefill.firstScoredToken == nil ? nil : prefill.sampling.promptLogprobs.map { (row, $0) }
                }))
        // The model's output has the forks after all rows.
        var places: [Int] = []
        var nextFork = rows.count
        for (row, prefill) in rows.enumerated() {
            places.append(row)
            places += nextFork..<nextFork + prefill.forks.count
            nextFork += prefill.forks.count
        }
        let all = slots + forkSlots
        return TTModelInput(
            call: .prefill(prompts), slots: places.map { all[$0] }, places: places, wanted: places.map { wanted[$0] })
    }

    /// Adds a row with the tokens of `row` to the batch, and returns its slot.
    private func add(_ id: RequestID, _ row: PrefillRow, blocks: [[Int32]], _ sampling: SamplingParams) -> Int {
        batch.add(
            InputBatch.Row(
                id: id, tokens: row.tokens, promptLength: row.promptLength, blocks: blocks, sampling: sampling,
                processor: RowProcessor(
                    sampling, prompt: row.tokens.prefix(row.promptLength),
                    generated: row.tokens.dropFirst(row.promptLength), endOfGeneration: endOfGenerationTokens,
                    vocabulary: vocabularySize),
                constraint: sampling.grammar.map {
                    RowConstraint($0.grammar, row.tokens.dropFirst(row.promptLength))
                }))
    }

    /// The copies of the block that the row's computed tokens do not fill.
    private func copies(of row: PrefillRow) -> [BlockCopy] {
        let place = row.computedTokens / batch.kvCache.blockSize
        return row.copiedBlocks.enumerated().map { group, source in
            BlockCopy(source: source, target: row.blocks[group][place], group: group)
        }
    }

    /// The copies of the block that the row's tokens do not fill.
    private func copies(to fork: ForkedRow, from row: PrefillRow) -> [BlockCopy] {
        let (place, rest) = row.tokens.count.quotientAndRemainder(dividingBy: batch.kvCache.blockSize)
        guard rest > 0 else { return [] }
        return fork.blocks.indices.map { group in
            BlockCopy(source: row.blocks[group][place], target: fork.blocks[group][place], group: group)
        }
    }

    private func prepareInput(_ rows: [DecodeRow]) throws(DeviceFault) -> TTModelInput {
        try validation.check(decode: rows, batch)
        let slots = rows.compactMap { batch.slot(of: $0.id) }
        for (row, slot) in zip(rows, slots) { batch.append(blocks: row.newBlocks, at: slot) }
        let onDevice = mode.samplesDecode && canSampleOnDevice(slots)
        // What the device need not know is found out while it runs.
        let wanted = slots.map { slot in
            onDevice && hostSamplingReason(batch.rows[slot]!) == nil ? batch.rows[slot]!.wanted : nil
        }
        let input = batch.decodeInput(
            slots: slots, sampling: sampling(slots, wanted, onDevice: onDevice),
            padding: onDevice ? .onDevice(.greedy) : .onHost)
        let step = DecodePlanner.Step(
            layoutVersion: batch.layoutVersion, tableVersion: batch.tableVersion, tokenVersion: batch.tokenVersion,
            sampling: zip(input.positions, input.sampling).compactMap { $0 >= 0 ? $1 : nil })
        let plan = planner.plan(step)
        return TTModelInput(call: .decode(input, plan, step), slots: slots, places: slots, wanted: wanted)
    }

    private func outputs(_ call: TTModelInput.Call) throws(DeviceFault) -> StepOutput {
        switch call {
        case .prefill(let prompts): return try model.prefillForward(prompts)
        case .decode(_, _, let step):
            let output = try model.readDecodeOutput()
            planner.ran(step)
            return output
        }
    }

    /// Selects the outputs of the step's rows and appends each row's token; rows with logits are sampled here.
    private func takeOutputs(_ output: StepOutput, _ input: TTModelInput) throws(DeviceFault) -> StepResult {
        let operation: String
        let expectedCount: Int
        switch input.call {
        case .prefill: (operation, expectedCount) = ("prefill step", input.places.count)
        case .decode: (operation, expectedCount) = ("decode step", batch.rows.count)
        }
        guard output.rows.count == expectedCount else {
            throw fault(operation, "\(output.rows.count) rows came back of \(expectedCount)")
        }
        var result = StepResult([])
        for (index, slot) in input.slots.enumerated() {
            guard let row = batch.rows[slot] else { preconditionFailure("slot \(slot) is empty") }
            let place = input.places[index]
            guard let wanted = input.wanted[index] else { preconditionFailure("it was found out when the step began") }
            var own = self.output(
                output.rows[place], wanted, position: row.tokens.count, operation)
            if case .prefill(let prompts) = input.call, let request = prompts.scoring[place] {
                if case .some(.some(let logprobs)) = output.promptLogprobs[place],
                    logprobs.count == row.tokens.count - request.firstToken
                {
                    result.promptLogprobs[row.id] = logprobs
                } else {
                    own = .bad(BadOutput("logprobs of a prompt that are not numbers in a \(operation)"))
                }
            }
            let forced = row.forcedToken
            if let forced, case .token(let chosen) = own {
                own = chosen.replaced(by: forced).map { .token($0) } ?? .bad(BadOutput("a token without its logprob"))
            }
            if case .token(var token) = own {
                batch.append(token: token.id, isForced: forced != nil, at: slot)
                token.constraint = batch.constraintState(at: slot)
                own = .token(token)
            }
            result.outputs.append(own)
        }
        return result
    }

    /// Whether the device can sample any of the rows at `slots`. If a step is sampled in one place, a single row that
    /// the device cannot sample moves all rows to the host.
    private func canSampleOnDevice(_ slots: [Int]) -> Bool {
        if model.capabilities.deviceSamplingScope == .row { return true }
        return slots.allSatisfy { slot in batch.rows[slot].map(hostSamplingReason) == .some(nil) }
    }

    /// Where the rows at `slots` are sampled; those that may get no token are run all the same.
    private func sampling(_ slots: [Int], _ wanted: [WantedOutput?], onDevice: Bool) -> [RowSampling] {
        zip(slots, wanted).map { slot, wanted in
            let draw: TokenDraw
            switch wanted {
            case nil: return .onHost
            case .nothing: return .nothing
            case .impossible: draw = TokenDraw(.greedy)
            case .token(let chosen): draw = chosen
            }
            return onDevice && hostSamplingReason(batch.rows[slot]!) == nil ? .onDevice(draw) : .onHost
        }
    }

    private func hostSamplingReason(_ row: InputBatch.Row) -> HostSamplingReason? {
        model.capabilities.hostSamplingReason(row.sampling, generatedCount: row.generatedCount)
    }

    private func output(
        _ output: RowOutput, _ wanted: WantedOutput, position: Int, _ operation: String
    ) -> RequestOutput {
        let draw: TokenDraw
        switch wanted {
        case .nothing: return .nothing
        case .impossible(let reason): return .noToken(reason)
        case .token(let chosen): draw = chosen
        }
        func bad(_ what: String) -> RequestOutput { .bad(BadOutput("\(what) in a \(operation)")) }
        switch output {
        case .token(let token):
            guard (0..<vocabularySize).contains(Int(token.id)) else {
                return bad("token \(token.id) of a vocabulary of \(vocabularySize)")
            }
            return .token(token)
        case .logits(let logits):
            guard logits.count == vocabularySize else {
                return bad("\(logits.count) logits of a vocabulary of \(vocabularySize)")
            }
            let sampled = sampler.sample(logits, draw, position: position)
            if case .notNumbers = sampled { return bad("logits that allow no token") }
            return self.output(sampled, wanted, position: position, operation)
        case .excluded: return .noToken("the model gives none of the allowed tokens")
        case .notNumbers: return bad("logits that are not numbers")
        case .padding: return bad("a padding row's output")
        }
    }

    private func fault(_ operation: String, _ reason: String) -> DeviceFault {
        DeviceFault(operation: operation, reason: reason)
    }
}
