// A decoder on the CPU, which implements the model contract (TT contract §1).

import CHostKernels
import ModelFiles
public import Platform
import Sampling

/// A described decoder on the host device.
///
/// A row's keys, values and logits are bitwise the same for any other rows in the batch, any batch slot, any number of
/// threads, and whether its tokens were prefilled or decoded. `accuracy` computes with the file's weights and float
/// activations and keeps the cache in f32; `performance` quantises activations to int8 in blocks of 64 for the products
/// with 4- and 8-bit weights and keeps the cache in f16. `kv_cache_dtype` can choose another data type of the cache.
public final class HostModel: TTModel {
    /// The parts that do not change after loading.
    struct Parts {
        let description: ModelDescription
        let weights: DecoderWeights
        let kernels: KernelSet
        let pool: ThreadPool
        let kvCacheDType: KVCacheDType
        let maxSequenceLength: Int
        let profile: StepProfile?
    }

    /// Number of tokens that go through the layers together in prefill.
    private static let tileTokens = 128
    /// Tokens of each batch slot whose cache memory is taken in warm-up. The system can need 2 s to provide a GB.
    private static let warmTokens = 256
    /// Rows whose logits are computed together, unless the batch is larger.
    private static let outputRows = 32

    let parts: Parts
    private let config: ModelConfig
    private let maxBatchSize: Int
    private var forward: DecoderForward?
    private var state = DecodeState()
    /// The decode step's outputs; changed in place unless a caller still holds the last step's.
    private var decoded: [RowOutput] = []
    private var isPending = false

    /// Opens, checks and packs the weights of `initialization.config.path`.
    ///
    /// - Parameters:
    ///   - packed: the weights if they are packed already, for the same `optimizations`.
    ///   - profile: counts the steps' time by kind of kernel.
    /// - Throws: `ModelFileError`; `HostDeviceError.outOfMemory`.
    init(
        _ initialization: ModelInitialization, kernels: KernelSet, pool: ThreadPool, packed: DecoderWeights? = nil,
        profile: StepProfile? = nil
    ) throws {
        let config = initialization.config
        let bundle = try ModelBundle(path: config.path)
        let description = try bundle.description()
        let int8 = initialization.optimizations != .accuracy
        let weights =
            try packed
            ?? DecoderWeights(
                bundle.weights, description, quantize: config.quantize, int8: int8, pool: pool)
        parts = Parts(
            description: description, weights: weights, kernels: kernels, pool: pool,
            kvCacheDType: Self.cacheType(initialization.kvCacheDType, initialization.optimizations),
            maxSequenceLength: initialization.maxSequenceLength, profile: profile)
        self.config = config
        maxBatchSize = initialization.maxBatchSize
    }

    /// Samples on the device with any parameters, drawing from `SampleStream`; any batch size; blocks may be shared.
    public var capabilities: ModelCapabilities {
        var capabilities = ModelCapabilities(
            supportsSampleOnDevice: true, deviceDraws: .sampleStream, prefixSharing: .anywhere)
        capabilities.editsLogits = true
        capabilities.scoresPrompts = true
        capabilities.kvCacheWindows = parts.description.cacheWindows(longest: parts.maxSequenceLength)
        return capabilities
    }

    /// Bytes of one block over all layers of a group.
    public func kvCacheBytes(blockSize: Int, group: Int) -> Int {
        KVCacheLayout.ofOneBlock(
            parts.description, blockSize: blockSize, longest: parts.maxSequenceLength, type: parts.kvCacheDType
        ).groups[group].blockBytes
    }

    /// Reserves the cache's address space. `warmUp` takes memory for the first blocks; other blocks take it when first
    /// used. Each layer belongs to the last group that keeps as many tokens as it attends to.
    public func allocateKVCache(_ shape: KVCacheShape) throws(DeviceFault) {
        guard let layout = KVCacheLayout(parts.description, shape, type: parts.kvCacheDType) else {
            throw DeviceFault(
                operation: "KV cache allocation",
                reason: "\(config.path): a layer attends to more tokens than the groups keep (\(shape.groups))")
        }
        do throws(HostDeviceError) {
            forward = try DecoderForward(
                model: parts, cacheLayout: layout, tileTokens: max(Self.tileTokens, maxBatchSize),
                outputRows: max(Self.outputRows, maxBatchSize))
        } catch {
            throw DeviceFault(
                operation: "KV cache allocation",
                reason: "\(config.path): \(shape.blockCount) blocks of \(shape.blockSize) tokens: \(error)",
                cause: .model)
        }
    }

    /// Takes memory for the first `warmTokens` tokens of every batch slot and runs some tokens through the model, so
    /// that no request pays for the first use of memory. With tracing, captures the decode steps of every number of
    /// rows.
    public func warmUp(_ plan: WarmUpPlan) throws(DeviceFault) {
        let forward = try readyForward("warm-up")
        guard plan.decodeBatchSize <= forward.outputRows else {
            throw DeviceFault(
                operation: "warm-up",
                reason: "\(plan.decodeBatchSize) rows, the model was initialised for \(maxBatchSize)")
        }
        let tokens = min(Self.warmTokens, parts.maxSequenceLength)
        let blockSize = forward.cacheShape.blockSize
        let slotBlocks = (tokens + blockSize - 1) / blockSize
        forward.takeCacheMemory(blocks: plan.decodeBatchSize * slotBlocks)
        forward.keepsTraces = plan.traceMode
        if plan.traceMode { forward.captureDecodeTraces(upTo: plan.decodeBatchSize) }
        try checkAnswers(pageTableWidth: plan.pageTableWidth, groups: forward.cacheShape.groups.count)
    }

    /// Throws if none of a few test tokens gives usable logits. A single token may fail: the embedding of a token that
    /// was never trained may be zeros.
    private func checkAnswers(pageTableWidth: Int, groups: Int) throws(DeviceFault) {
        let last = Int32(parts.weights.geometry.vocabulary - 1)
        var complaint = ""
        for token in [0, min(1, last), last / 2, last] {
            let output = try prefillForward(
                PrefillBatch(
                    tokens: [[token]], startPositions: [0],
                    pageTable: PageTable(rows: 1, width: pageTableWidth, groups: groups), slots: [0],
                    sampling: [.onHost]))
            guard case .logits(let logits) = output.rows[0] else {
                complaint = "the model's logits are not numbers"
                continue
            }
            if logits.count < 2 || logits.contains(where: { $0 != logits[0] }) { return }
            complaint = "the model's logits are all the same, whatever the token"
        }
        throw DeviceFault(
            operation: "warm-up", reason: "\(config.path): \(complaint); the file is damaged, fetch it again",
            cause: .model)
    }

    /// Prefills the rows' tokens, tile by tile across rows. Only each row's last token gets an output, one for the row
    /// and one for each of its forks, and the tokens before those that are scored.
    ///
    /// Token ids must be in the vocabulary, and each row's sequence must fit its page table and the model's longest
    /// sequence.
    public func prefillForward(_ batch: PrefillBatch) throws(DeviceFault) -> StepOutput {
        let forward = try readyForward("prefill step")
        for (row, ids) in batch.tokens.enumerated() {
            let start = Int(batch.startPositions[row])
            guard ids.indices.contains(start) else {
                throw DeviceFault(
                    operation: "prefill step", reason: "row \(row): no token at \(start) of \(ids.count)")
            }
            try check("prefill step", row, positions: start...ids.count - 1, batch.pageTable, forward.cacheShape)
            for id in ids[start...] { try check("prefill step", row, token: id) }
        }
        for copy in batch.copies + batch.forks.flatMap(\.copies) {
            let cache = forward.cacheShape
            for block in [copy.source, copy.target]
            where !cache.groups.indices.contains(copy.group) || !cache.blocks(of: copy.group).contains(block) {
                throw Self.absent("prefill step", "a copy", block: block, of: copy.group, cache)
            }
        }
        for copy in batch.copies { forward.perform(copy) }
        var output = StepOutput(rows: Array(repeating: .padding, count: batch.tokens.count + batch.forks.count))
        for row in batch.scoring.keys { output.promptLogprobs[row] = .some([]) }
        var tile = PrefillTile()
        for (row, ids) in batch.tokens.enumerated() {
            let choices = lastChoices(of: row, batch)
            for position in Int(batch.startPositions[row])..<ids.count {
                if position == ids.count - 1 {
                    for (place, choice) in choices { tile.kept.append((tile.count, .row(place), choice)) }
                } else if let scoring = batch.scoring[row], position + 1 >= scoring.firstToken {
                    tile.kept.append((tile.count, .prompt(row), .score(ids[position + 1], scoring.logprobs)))
                }
                forward.inputs.tokens.base[tile.count] = StepToken(
                    token: ids[position], position: Int32(position), tableOffset: Int32(row * batch.pageTable.width))
                tile.count += 1
                if tile.count == forward.tileTokens { run(&tile, forward, batch, &output) }
            }
        }
        run(&tile, forward, batch, &output)
        finish(&tile, forward, batch, &output)
        for copy in batch.forks.flatMap(\.copies) { forward.perform(copy) }
        try checkFile("prefill step")
        return output
    }

    /// The outputs of a row's last token: their places, and what they are to give.
    private func lastChoices(of row: Int, _ batch: PrefillBatch) -> [(place: Int, choice: OutputChoice)] {
        let own = batch.sampling[row].choice.map { [(place: row, choice: $0)] } ?? []
        return own
            + batch.forks.enumerated().compactMap { index, fork in
                guard fork.row == row, let choice = fork.sampling.choice else { return nil }
                return (batch.tokens.count + index, choice)
            }
    }

    /// Runs a decode step; padding rows are not computed. `readDecodeOutput` returns the result.
    public func decodeForward(_ batch: DecodeBatch, plan: DecodePlan) throws(DeviceFault) {
        let forward = try readyForward("decode step")
        guard !isPending else { throw DecodeState.fault("the step before has not been read") }
        try state.apply(plan, batch)
        let slots = state.tokens.count
        guard slots <= forward.outputRows else {
            throw DecodeState.fault("\(slots) rows, the model was initialised for \(maxBatchSize)")
        }
        var rows = 0
        for slot in 0..<slots where state.positions[slot] >= 0 {
            let position = state.positions[slot]
            try check(
                "decode step", slot, positions: Int(position)...Int(position), state.pageTable, forward.cacheShape)
            try check("decode step", slot, token: state.tokens[slot])
            forward.inputs.tokens.base[rows] = StepToken(
                token: state.tokens[slot], position: position, tableOffset: Int32(slot * state.pageTable.width))
            rows += 1
        }
        if rows > 0 {
            forward.run(rows: rows, pageTable: state.pageTable)
            var row = 0
            for slot in 0..<slots where state.positions[slot] >= 0 {
                forward.keep(tileRow: row, as: row, state.sampling[slot].choice ?? .logits)
                row += 1
            }
            forward.output(rows: rows, pageTable: state.pageTable)
        }
        if decoded.count != slots { decoded = Array(repeating: .padding, count: slots) }
        var row = 0
        for slot in 0..<slots {
            guard state.positions[slot] >= 0 else {
                decoded[slot] = .padding
                continue
            }
            decoded[slot] = output(forward, row)
            if case .token(let token) = decoded[slot] {
                state.sampled[slot] = token.id
            } else {
                state.sampled[slot] = nil
            }
            row += 1
        }
        try checkFile("decode step")
        isPending = true
    }

    /// The output of the decode step that was started last.
    public func readDecodeOutput() throws(DeviceFault) -> StepOutput {
        guard isPending else { throw DecodeState.fault("no step has been started") }
        isPending = false
        return StepOutput(rows: decoded)
    }
}

/// A tile of prompt tokens: their number, and which of them have outputs.
private struct PrefillTile {
    /// Where an output goes.
    enum Place {
        /// An output of the step.
        case row(Int)
        /// The logprobs of a row's prompt.
        case prompt(Int)
    }

    var count = 0
    var kept: [(tileRow: Int, place: Place, choice: OutputChoice)] = []
    /// The places of outputs whose tokens went through the layers, in this tile or an earlier one.
    var waiting: [Place] = []
}

extension HostModel {
    /// Data type of the cached keys and values.
    static func cacheType(_ given: KVCacheDType?, _ optimizations: Optimizations?) -> KVCacheDType {
        given ?? (optimizations != .accuracy ? .float16 : .float32)
    }

    /// Throws if the model file was changed after it was opened: results computed from it are not valid.
    private func checkFile(_ operation: String) throws(DeviceFault) {
        do throws(ModelFileError) {
            try parts.weights.embedding.checkUnchanged()
        } catch {
            throw DeviceFault(operation: operation, reason: error.description, cause: .model)
        }
    }

    private func readyForward(_ operation: String) throws(DeviceFault) -> DecoderForward {
        guard let forward else { throw DeviceFault(operation: operation, reason: "no KV cache has been allocated") }
        return forward
    }

    /// Runs the tile and empties it. Its outputs are deferred, so that many are computed together.
    private func run(
        _ tile: inout PrefillTile, _ forward: DecoderForward, _ batch: PrefillBatch, _ output: inout StepOutput
    ) {
        if tile.count == 0 { return }
        forward.run(rows: tile.count, pageTable: batch.pageTable)
        for kept in tile.kept {
            forward.keep(tileRow: kept.tileRow, as: tile.waiting.count, kept.choice)
            tile.waiting.append(kept.place)
            if tile.waiting.count == forward.outputRows { finish(&tile, forward, batch, &output) }
        }
        tile.count = 0
        tile.kept = []
    }

    /// Computes the outputs that wait.
    private func finish(
        _ tile: inout PrefillTile, _ forward: DecoderForward, _ batch: PrefillBatch, _ output: inout StepOutput
    ) {
        if tile.waiting.isEmpty { return }
        forward.output(rows: tile.waiting.count, pageTable: batch.pageTable)
        for (index, place) in tile.waiting.enumerated() {
            switch place {
            case .row(let row): output.rows[row] = self.output(forward, index)
            case .prompt(let row):
                if forward.inputs.chosen.base[index] >= 0 {
                    output.promptLogprobs[row]??.append(forward.inputs.logprobs(of: index))
                } else {
                    output.promptLogprobs[row] = .some(nil)
                }
            }
        }
        tile.waiting = []
    }

    /// The output of output row `index`.
    private func output(_ forward: DecoderForward, _ index: Int) -> RowOutput {
        let token = forward.inputs.chosen.base[index]
        guard token >= 0 else { return token == StepInputs.excluded ? .excluded : .notNumbers }
        if case .draw(let draw) = forward.inputs.choices[index] {
            return .token(SampledToken(token, logprobs: draw.logprobs.map { _ in forward.inputs.logprobs(of: index) }))
        }
        let logits = UnsafeBufferPointer(
            start: forward.logits.base + index * forward.logitStride, count: parts.weights.geometry.vocabulary)
        return .logits(Array(logits))
    }

    private func check(_ operation: String, _ row: Int, token: Int32) throws(DeviceFault) {
        guard token >= 0, token < parts.weights.geometry.vocabulary else {
            throw DeviceFault(operation: operation, reason: "row \(row): token \(token) is outside the vocabulary")
        }
    }

    /// Checks the blocks that a row's tokens at `positions` read and write.
    private func check(
        _ operation: String, _ row: Int, positions: ClosedRange<Int>, _ table: PageTable, _ cache: KVCacheShape
    ) throws(DeviceFault) {
        let (last, blockSize) = (positions.upperBound, cache.blockSize)
        guard last >= 0, last < parts.maxSequenceLength, last / blockSize < table.width, row < table.rowCount,
            table.groupCount == cache.groups.count
        else {
            throw DeviceFault(
                operation: operation,
                reason: "row \(row): position \(last) is beyond the longest sequence (\(parts.maxSequenceLength)) "
                    + "or the page table (\(table.groupCount) groups of \(table.width) blocks of \(blockSize))")
        }
        for group in cache.groups.indices {
            let first = cache.firstBlock(of: group, at: positions.lowerBound)
            let blocks = cache.blocks(of: group)
            for block in table[row, group: group].prefix(last / blockSize + 1).dropFirst(first)
            where !blocks.contains(block) {
                throw Self.absent(operation, "row \(row)", block: block, of: group, cache)
            }
        }
    }

    private static func absent(
        _ operation: String, _ user: String, block: Int32, of group: Int, _ cache: KVCacheShape
    ) -> DeviceFault {
        DeviceFault(
            operation: operation,
            reason: "\(user): no block \(block) of \(cache.groups.map(\.blockCount)) in group \(group)")
    }
}
