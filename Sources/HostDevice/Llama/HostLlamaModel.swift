// A llama model on the CPU, behind the model contract (contract §1).

import CHostKernels
import ModelFiles
public import TTPlatform

/// A model of the llama architecture on the host device.
///
/// A row's keys, values and logits are bitwise the same whatever else is in the batch, wherever the row lies, on any number
/// of threads, and whether its tokens were prefilled or decoded. `accuracy` computes with the file's weights and float
/// activations and keeps the cache in f32; `performance` quantises activations to int8 in blocks of 32 for the products
/// with 4- and 8-bit weights and keeps the cache in f16.
public final class HostLlamaModel: TTModel {
    /// What does not change after loading.
    struct Parts {
        let geometry: LlamaGeometry
        let weights: LlamaWeights
        let kernels: KernelSet
        let pool: ThreadPool
        let rotary: RotaryFrequencies
        let epsilon: Float
        let optimizations: Optimizations
        let maxSequenceLength: Int
    }

    /// Tokens that go through the layers together in prefill.
    private static let tileTokens = 128
    /// Rows whose logits are computed together.
    private static let logitRows = 32

    private let parts: Parts
    private let maxBatchSize: Int
    private let layerCount: Int
    private var forward: LlamaForward?
    private var blockCount = 0
    private var blockSize = 0
    private let logits: DeviceBuffer<Float>
    private var state = DecodeState()
    private var pending: StepOutput?

    /// Opens, checks and packs the weights of `initialization.config.path`.
    ///
    /// - Throws: `ModelFileError`; `HostDeviceError.outOfMemory`.
    init(_ initialization: ModelInitialization, kernels: KernelSet, pool: ThreadPool) throws {
        let config = initialization.config
        let file = try GGUFFile(path: config.path)
        let weights = try LlamaWeights(file, config, pool: pool)
        parts = Parts(
            geometry: LlamaGeometry(
                hidden: config.hiddenSize, feedForward: config.intermediateSize, headSize: config.headSize,
                queryHeads: config.attentionHeadCount, keyValueHeads: config.keyValueHeadCount,
                vocabulary: config.vocabularySize),
            weights: weights, kernels: kernels, pool: pool,
            rotary: RotaryFrequencies(config.rope),
            epsilon: config.rmsNormEpsilon, optimizations: initialization.optimizations,
            maxSequenceLength: initialization.maxSequenceLength)
        maxBatchSize = initialization.maxBatchSize
        layerCount = config.layerCount
        logits = try DeviceBuffer(count: Self.logitRows * weights.output.paddedOutputs)
    }

    /// Any sampling parameters and batch size; draws from `SampleStream`; blocks may be shared.
    public var capabilities: ModelCapabilities {
        ModelCapabilities(
            supportsSampleOnDevice: true, supportsDeviceSeededSampling: true, supportsPrefixCaching: true)
    }

    /// Bytes of one block over all layers, f32 in accuracy and f16 in performance.
    public func kvCacheBytes(blockSize: Int) -> Int {
        cacheGeometry(KVCacheShape(blockCount: 1, blockSize: blockSize)).blockBytes
    }

    /// Reserves the cache's address space; memory is taken as blocks are first used.
    public func allocateKVCache(_ shape: KVCacheShape) throws(DeviceFault) {
        let geometry = cacheGeometry(shape)
        do throws(HostDeviceError) {
            forward = try LlamaForward(
                model: parts, cacheGeometry: geometry, cacheMemory: DeviceBuffer(count: geometry.totalBytes),
                tileTokens: max(Self.tileTokens, maxBatchSize))
        } catch {
            throw DeviceFault(
                operation: "KV cache allocation",
                reason: "\(shape.blockCount) blocks of \(shape.blockSize) tokens: \(error)")
        }
        blockCount = shape.blockCount
        blockSize = shape.blockSize
    }

    /// Runs a token through every kernel once, so that no request pays for first touches; shapes need no preparation here.
    public func warmUp(_ plan: WarmUpPlan) throws(DeviceFault) {
        guard plan.decodeBatchSize <= max(Self.tileTokens, maxBatchSize) else {
            throw DeviceFault(
                operation: "warm-up",
                reason: "\(plan.decodeBatchSize) rows, the model was initialised for \(maxBatchSize)")
        }
        let table = PageTable(rows: 1, width: plan.pageTableWidth)
        _ = try prefillForward(
            PrefillBatch(tokens: [[0]], startPositions: [0], pageTable: table, slots: [0], sampling: [.onHost]))
    }

    /// Prefills the rows' tokens, tile by tile across rows; only each row's last token gets an output.
    ///
    /// Token ids must lie in the vocabulary, and each row's sequence in its page table and the model's longest sequence.
    public func prefillForward(_ batch: PrefillBatch) throws(DeviceFault) -> StepOutput {
        let forward = try readyForward("prefill step")
        var tokens: [StepToken] = []
        var lastRows: [Int: Int] = [:]
        for (row, ids) in batch.tokens.enumerated() {
            guard !ids.isEmpty else { throw DeviceFault(operation: "prefill step", reason: "row \(row) is empty") }
            let start = Int(batch.startPositions[row])
            try check("prefill step", row, last: start + ids.count - 1, batch.pageTable)
            for (offset, id) in ids.enumerated() {
                try check("prefill step", row, token: id)
                tokens.append(
                    StepToken(token: id, position: start + offset, tableOffset: row * batch.pageTable.width))
            }
            lastRows[tokens.count - 1] = row
        }
        var outputs = Array(repeating: RowOutput.padding, count: batch.tokens.count)
        for begin in stride(from: 0, to: tokens.count, by: forward.scratch.tokens) {
            let tile = begin..<min(begin + forward.scratch.tokens, tokens.count)
            let ends = tile.compactMap { index in lastRows[index].map { (index, $0) } }
            try run(forward, Array(tokens[tile]), batch.pageTable)
            try output(
                forward, "prefill step", ends.map { ($0.0 - begin, $0.1, tokens[$0.0].position + 1) }, batch.sampling,
                into: &outputs)
        }
        return StepOutput(rows: outputs)
    }

    /// Runs a decode step; padding rows are not computed. The result waits for `readDecodeOutput`.
    public func decodeForward(_ batch: DecodeBatch, plan: DecodePlan) throws(DeviceFault) {
        let forward = try readyForward("decode step")
        guard pending == nil else { throw DecodeState.fault("the step before has not been read") }
        try state.apply(plan, batch)
        guard state.tokens.count <= forward.scratch.tokens else {
            throw DecodeState.fault("\(state.tokens.count) rows, the model was initialised for \(maxBatchSize)")
        }
        var tokens: [StepToken] = []
        var rows: [(Int, Int, Int)] = []
        for row in state.tokens.indices where state.positions[row] >= 0 {
            let position = Int(state.positions[row])
            try check("decode step", row, last: position, state.pageTable)
            try check("decode step", row, token: state.tokens[row])
            rows.append((tokens.count, row, position + 1))
            tokens.append(
                StepToken(
                    token: state.tokens[row], position: position, tableOffset: row * state.pageTable.width))
        }
        var outputs = Array(repeating: RowOutput.padding, count: state.tokens.count)
        if !tokens.isEmpty {
            try run(forward, tokens, state.pageTable)
            try output(forward, "decode step", rows, state.sampling, into: &outputs)
        }
        for (row, output) in outputs.enumerated() {
            if case .token(let token) = output { state.sampled[row] = token } else { state.sampled[row] = nil }
        }
        pending = StepOutput(rows: outputs)
    }

    /// The output of the decode step that was started last.
    public func readDecodeOutput() throws(DeviceFault) -> StepOutput {
        guard let output = pending else { throw DecodeState.fault("no step has been started") }
        pending = nil
        return output
    }
}

extension HostLlamaModel {
    private func cacheGeometry(_ shape: KVCacheShape) -> KVCacheGeometry {
        KVCacheGeometry(
            layers: layerCount, heads: parts.geometry.keyValueHeads, headSize: parts.geometry.headSize,
            blockCount: shape.blockCount, blockSize: shape.blockSize, half: parts.optimizations == .performance)
    }

    private func readyForward(_ operation: String) throws(DeviceFault) -> LlamaForward {
        guard let forward else { throw DeviceFault(operation: operation, reason: "no KV cache has been allocated") }
        return forward
    }

    private func run(_ forward: LlamaForward, _ tokens: [StepToken], _ table: PageTable) throws(DeviceFault) {
        table.blocks.withUnsafeBufferPointer { forward.run(tokens, pageTable: $0.baseAddress!) }
    }

    /// Logits and, where wanted, tokens of `rows`: their index in the tile, their row in the batch, and the position that
    /// the new token will have.
    private func output(
        _ forward: LlamaForward, _ operation: String, _ rows: [(tile: Int, row: Int, position: Int)],
        _ sampling: [RowSampling], into outputs: inout [RowOutput]
    ) throws(DeviceFault) {
        let stride = parts.weights.output.paddedOutputs
        for begin in Swift.stride(from: 0, to: rows.count, by: Self.logitRows) {
            let chunk = rows[begin..<min(begin + Self.logitRows, rows.count)]
            forward.logits(rows: chunk.map(\.tile), into: logits)
            var chosen = Array(repeating: RowOutput.padding, count: chunk.count)
            chosen.withUnsafeMutableBufferPointer { chosen in
                let chosen = UnsafeMutableBufferPointer(rebasing: chosen[...])
                parts.pool.forEach(chunk.count) { _, part in
                    for index in part {
                        let item = chunk[begin + index]
                        chosen[index] = choose(logits.base + index * stride, sampling[item.row], item.position)
                    }
                }
            }
            for (index, item) in chunk.enumerated() {
                if chosen[index] == .padding {
                    throw DeviceFault(operation: operation, reason: "row \(item.row)'s logits are not numbers")
                }
                outputs[item.row] = chosen[index]
            }
        }
    }

    /// A row's output, or `.padding` where the logits are not numbers.
    private func choose(_ logits: UnsafeMutablePointer<Float>, _ sampling: RowSampling, _ position: Int) -> RowOutput {
        let vocabulary = parts.geometry.vocabulary
        let greatest = parts.kernels.table.argmax(logits, vocabulary)
        guard greatest >= 0 else { return .padding }
        let values = UnsafeBufferPointer(start: logits, count: vocabulary)
        switch sampling {
        case .onHost: return .logits(Array(values))
        case .onDevice(let params) where params.isGreedy: return .token(Int32(greatest))
        case .onDevice(let params): return .token(TokenSampler.sample(values, params, position: position))
        }
    }

    private func check(_ operation: String, _ row: Int, token: Int32) throws(DeviceFault) {
        guard token >= 0, token < parts.geometry.vocabulary else {
            throw DeviceFault(operation: operation, reason: "row \(row): token \(token) is outside the vocabulary")
        }
    }

    private func check(
        _ operation: String, _ row: Int, last position: Int, _ table: PageTable
    ) throws(DeviceFault) {
        guard position >= 0, position < parts.maxSequenceLength, position / blockSize < table.width else {
            throw DeviceFault(
                operation: operation,
                reason: "row \(row): position \(position) is beyond the longest sequence (\(parts.maxSequenceLength)) "
                    + "or the page table (\(table.width) blocks of \(blockSize))")
        }
        for block in table[row].prefix(position / blockSize + 1) where block < 0 || block >= blockCount {
            throw DeviceFault(operation: operation, reason: "row \(row): no block \(block) of \(blockCount)")
        }
    }
}
