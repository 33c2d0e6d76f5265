// The forward pass: steps of any shape on fixed memory, replayed from traces if traces are kept.

import CHostKernels
import ModelFiles
import Platform
import Sampling

/// Runs tiles of tokens through a model. A token's result depends on the token and its context alone: prefill and
/// decode, tiles of any size, and any number of threads use the same sequence of operations.
final class DecoderForward {
    /// The tile's tokens, set before `run`.
    let inputs: StepInputs
    /// Maximum number of tokens that go through the layers together.
    var tileTokens: Int { scratch.tokens }
    /// Maximum number of rows that `output` computes together.
    let outputRows: Int
    /// `[outputRows, logitStride]`, set by `output`.
    let logits: DeviceBuffer<Float>
    /// Floats from one row's logits to the next's.
    let logitStride: Int
    /// The shape of the KV cache.
    var cacheShape: KVCacheShape { cache.layout.shape }
    /// Whether each shape's trace is kept instead of being captured for every step.
    var keepsTraces = false

    private let profile: StepProfile?
    private let capture: TraceCapture
    private let scratch: StepScratch
    private let plans: [PlannedAttention]
    /// The one of the last layer.
    private let lastPlan: AttentionPlan
    private let ropes: [RotaryTable]
    private let kernels: KernelSet
    private let pool: ThreadPool
    private let cache: KVCacheMemory
    private var layerTraces: [StepTrace?]
    private var outputTraces: [StepTrace?]

    /// Reserves the memory that steps need: tiles of `tileTokens`, logits of `outputRows` rows at a time.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(
        model: HostModel.Parts, cacheLayout: KVCacheLayout, tileTokens: Int, outputRows: Int
    ) throws(HostDeviceError) {
        kernels = model.kernels
        pool = model.pool
        profile = model.profile
        self.outputRows = outputRows
        cache = try KVCacheMemory(cacheLayout)
        let longest = model.maxSequenceLength
        scratch = try StepScratch(
            tokens: tileTokens, outputRows: outputRows, threads: pool.threadCount, weights: model.weights)
        let most = max(tileTokens, outputRows)
        var plans: [PlannedAttention] = []
        for window in model.description.windows {
            let plan = try AttentionPlan(
                tokens: most, neighbours: StepScratch.attendedTokens, longest: longest, window: window,
                threads: pool.threadCount, geometry: model.weights.geometry)
            guard let group = cacheLayout.shape.group(ofWindow: window) else {
                preconditionFailure("every layer of a layout has a group")
            }
            let readAhead = try CacheReadAhead(cache: cacheLayout.groups[group], threads: pool.threadCount)
            plans.append(PlannedAttention(plan: plan, readAhead: readAhead, cacheGroup: group))
        }
        self.plans = plans
        lastPlan = plans[plans.count - 1].plan
        let embeddings = model.description.ropes
        var ropes: [RotaryTable] = []
        for rope in embeddings { ropes.append(try RotaryTable(rope, tokens: most, longest: longest)) }
        self.ropes = ropes
        let angles = try DeviceBuffer<RotaryAngles>(count: ropes.count)
        for (index, rope) in ropes.enumerated() { angles.base[index] = rope.angles }
        inputs = try StepInputs(
            tokens: tileTokens, outputRows: outputRows, panels: model.weights.output.panels,
            cacheGroups: cacheLayout.groups.count)
        logitStride = model.weights.output.paddedOutputs
        logits = try DeviceBuffer(count: outputRows * logitStride)
        capture = TraceCapture(
            description: model.description, weights: model.weights, scratch: scratch, inputs: inputs,
            ropes: embeddings, angles: angles, plans: plans, threads: pool.threadCount,
            caches: cache.layers, logits: logits)
        layerTraces = Array(repeating: nil, count: tileTokens + 1)
        outputTraces = Array(repeating: nil, count: outputRows + 1)
    }

    /// Makes the system provide the memory of each group's first `blocks` blocks of the cache, with all threads.
    func takeCacheMemory(blocks: Int) { cache.take(blocks: blocks, pool) }

    /// Copies a block of the cache.
    func perform(_ copy: BlockCopy) { cache.perform(copy) }

    /// Runs the first `rows` tokens of the inputs through the layers, without the last layer's outputs.
    func run(rows: Int, pageTable: PageTable) {
        inputs.withPageTable(pageTable) {
            for planned in plans {
                planned.plan.prepare(inputs.tokens.base, rows: rows)
                planned.readAhead.prepare(
                    planned.plan, inputs.tokens.base, pageTable: inputs.pageTable.base[planned.cacheGroup]!)
            }
            replay(&layerTraces[rows]) { capture.layers(rows: rows) }
        }
    }

    /// Saves row `tileRow` of the last tile as output row `index`.
    func keep(tileRow: Int, as index: Int, _ choice: OutputChoice) {
        let (token, width) = (inputs.tokens.base[tileRow], capture.geometry.hidden)
        inputs.outputTokens.base[index] = token
        inputs.outputRows.base[index] = StepOutputRow(position: token.position + 1)
        inputs.choices[index] = choice
        (scratch.ends.base + index * width).update(from: scratch.hidden.base + tileRow * width, count: width)
    }

    /// Computes logits and tokens of the first `rows` output rows, which `keep` saved from tiles with the same page
    /// table.
    func output(rows: Int, pageTable: PageTable) {
        let wantsRank = inputs.prepareOutput(rows: rows, vocabulary: capture.geometry.vocabulary)
        lastPlan.prepare(inputs.outputTokens.base, rows: rows)
        inputs.withPageTable(pageTable) {
            if wantsRank { return trace(capture.output(rows: rows, wantsRank: true)).replay() }
            replay(&outputTraces[rows]) { capture.output(rows: rows) }
        }
    }

    /// Captures the traces of decode steps of 1 to `rows` rows; `rows` is at most `outputRows`.
    func captureDecodeTraces(upTo rows: Int) {
        for rows in 1...rows {
            layerTraces[rows] = trace(capture.layers(rows: rows))
            outputTraces[rows] = trace(capture.output(rows: rows))
        }
    }

    private func trace(_ stages: CapturedStages) -> StepTrace {
        StepTrace(stages, kernels: kernels, pool: pool, profile: profile)
    }

    private func replay(_ kept: inout StepTrace?, _ stages: () -> CapturedStages) {
        if let kept { return kept.replay() }
        let new = trace(stages())
        if keepsTraces { kept = new }
        new.replay()
    }
}

extension ModelDescription {
    /// The windows of its attentions, each once, that of the last layer last; `nil` for none.
    fileprivate var windows: [Int?] { distinct { $0.window }.reversed() }

    /// Its rotary embeddings, each once.
    fileprivate var ropes: [RotaryEmbedding] { distinct { $0.rope }.compactMap(\.self) }

    /// The values of all attentions, each once, that of the last layer first.
    private func distinct<Value: Equatable>(_ value: (Attention) -> Value) -> [Value] {
        var values: [Value] = []
        for attention in attentions.reversed() where !values.contains(value(attention)) {
            values.append(value(attention))
        }
        return values
    }
}
