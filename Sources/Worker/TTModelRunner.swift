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
        let input: TTModelInput
        switch step.work {
        case .prefill(let rows): input = try prepareInput(rows)
        case .decode(let rows): input = try prepareInput(rows)
        }
        if case .decode(let batch, let plan, _) = input.call, !input.slots.isEmpty {
            try model.decodeForward(batch, plan: plan)
        }
        begun = input
    }

    /// Waits for the step that was begun and returns one output for each of its rows, in their order.
    func finish() throws(DeviceFault) -> [RequestOutput] {
        guard let input = begun else { preconditionFailure("no step was begun") }
        begun = nil
        return input.slots.isEmpty ? [] : try takeOutputs(try outputs(input.call), input)
    }

    private func updateStates(_ leaving: [RequestID]) throws(DeviceFault) {
        try validation.check(leaving: leaving, batch)
        for id in leaving { batch.remove(id) }
    }

    private func prepareInput(_ rows: [PrefillRow]) throws(DeviceFault) -> TTModelInput {
        try validation.check(prefill: rows, batch)
        let slots = rows.map { row in
            batch.add(
                InputBatch.Row(
                    id: row.id, tokens: row.tokens, promptLength: row.promptLength, blocks: row.blocks,
                    sampling: row.sampling,
                    processor: RowProcessor(
                        row.sampling, prompt: row.tokens.prefix(row.promptLength),
                        generated: row.tokens.dropFirst(row.promptLength), endOfGeneration: endOfGenerationTokens,
                        vocabulary: vocabularySize)))
        }
        let draws = slots.map { batch.rows[$0]!.draw }
        let onDevice = mode.samplesPrefill && canSampleOnDevice(slots)
        let copies = rows.flatMap { row in
            row.copiedBlocks.enumerated().map { group, source in
                let place = row.computedTokens / batch.kvCache.blockSize
                return BlockCopy(source: source, target: row.blocks[group][place], group: group)
            }
        }
        let prompts = batch.prefillInput(
            slots: slots, computed: rows.map(\.computedTokens), copies: copies,
            sampling: sampling(slots, draws, onDevice: onDevice))
        return TTModelInput(call: .prefill(prompts), slots: slots, draws: draws)
    }

    private func prepareInput(_ rows: [DecodeRow]) throws(DeviceFault) -> TTModelInput {
        try validation.check(decode: rows, batch)
        let slots = rows.compactMap { batch.slot(of: $0.id) }
        for (row, slot) in zip(rows, slots) { batch.append(blocks: row.newBlocks, at: slot) }
        let onDevice = mode.samplesDecode && canSampleOnDevice(slots)
        let draws = slots.map { batch.rows[$0]!.draw }
        let input = batch.decodeInput(
            slots: slots, sampling: sampling(slots, draws, onDevice: onDevice),
            padding: onDevice ? .onDevice(.greedy) : .onHost)
        let step = DecodePlanner.Step(
            layoutVersion: batch.layoutVersion, tableVersion: batch.tableVersion,
            sampling: zip(input.positions, input.sampling).compactMap { $0 >= 0 ? $1 : nil })
        let plan = planner.plan(step)
        return TTModelInput(call: .decode(input, plan, step), slots: slots, draws: draws)
    }

    /// The outputs of the call, one for each row of its batch; for a decode step one for each slot.
    private func outputs(_ call: TTModelInput.Call) throws(DeviceFault) -> [RowOutput] {
        switch call {
        case .prefill(let prompts): return try model.prefillForward(prompts).rows
        case .decode(_, _, let step):
            let output = try model.readDecodeOutput()
            planner.ran(step)
            return output.rows
        }
    }

    /// Selects the outputs of the step's rows and appends each row's token; rows with logits are sampled here.
    private func takeOutputs(_ outputs: [RowOutput], _ input: TTModelInput) throws(DeviceFault) -> [RequestOutput] {
        let operation: String
        let indices: [Int]
        let expectedCount: Int
        switch input.call {
        case .prefill:
            (operation, indices, expectedCount) = ("prefill step", Array(input.slots.indices), input.slots.count)
        case .decode: (operation, indices, expectedCount) = ("decode step", input.slots, batch.rows.count)
        }
        guard outputs.count == expectedCount else {
            throw fault(operation, "\(outputs.count) rows came back of \(expectedCount)")
        }
        return zip(zip(indices, input.slots), input.draws).map { place, draw in
            let (index, slot) = place
            guard let draw else { return .noToken }
            guard let row = batch.rows[slot] else { preconditionFailure("slot \(slot) is empty") }
            let output = output(outputs[index], draw, position: row.tokens.count, operation)
            if case .token(let token) = output { batch.append(token: token.id, at: slot) }
            return output
        }
    }

    /// Whether the device can sample any of the rows at `slots`. If a step is sampled in one place, a single row that
    /// the device cannot sample moves all rows to the host.
    private func canSampleOnDevice(_ slots: [Int]) -> Bool {
        if model.capabilities.deviceSamplingScope == .row { return true }
        return slots.allSatisfy { slot in batch.rows[slot].map(hostSamplingReason) == .some(nil) }
    }

    /// Where the rows at `slots` are sampled; those that may get no token are run all the same.
    private func sampling(_ slots: [Int], _ draws: [TokenDraw?], onDevice: Bool) -> [RowSampling] {
        zip(slots, draws).map { slot, draw in
            onDevice && hostSamplingReason(batch.rows[slot]!) == nil ? .onDevice(draw ?? TokenDraw(.greedy)) : .onHost
        }
    }

    private func hostSamplingReason(_ row: InputBatch.Row) -> HostSamplingReason? {
        model.capabilities.hostSamplingReason(row.sampling, generatedCount: row.generatedCount)
    }

    private func output(
        _ output: RowOutput, _ draw: TokenDraw, position: Int, _ operation: String
    ) -> RequestOutput {
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
            return self.output(sampled, draw, position: position, operation)
        case .excluded: return .noToken
        case .notNumbers: return bad("logits that are not numbers")
        case .padding: return bad("a padding row's output")
        }
    }

    private func fault(_ operation: String, _ reason: String) -> DeviceFault {
        DeviceFault(operation: operation, reason: reason)
    }
}
