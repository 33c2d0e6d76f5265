// A tile of tokens through the layers of a llama model (arXiv 2302.13971, 2307.09288).

import CHostKernels
import ModelFiles
import TTPlatform

/// A token on its way through the layers.
struct StepToken {
    let token: Int32
    /// Position in its sequence.
    let position: Int
    /// Offset of its row in the step's page table.
    let tableOffset: Int
}

/// The forward pass. What a token comes out as depends on the token and its context alone: prefill and decode, tiles of any
/// size and any number of threads go through the same chains of arithmetic.
final class LlamaForward {
    let geometry: LlamaGeometry
    let weights: LlamaWeights
    let kernels: KernelSet
    let pool: ThreadPool
    let scratch: StepScratch
    private let rotary: RotaryFrequencies
    private let epsilon: Float
    private let quantizes: Bool
    private let cache: [hk_cache]
    private let cacheMemory: DeviceBuffer<UInt8>

    /// Reserves the memory that steps need.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(
        model: HostLlamaModel.Parts, cacheGeometry: KVCacheGeometry, cacheMemory: DeviceBuffer<UInt8>, tileTokens: Int
    ) throws(HostDeviceError) {
        geometry = model.geometry
        weights = model.weights
        kernels = model.kernels
        pool = model.pool
        rotary = model.rotary
        epsilon = model.epsilon
        quantizes = model.optimizations == .performance
        self.cacheMemory = cacheMemory
        cache = (0..<cacheGeometry.layers).map { cacheGeometry.layer($0, in: cacheMemory) }
        let paddedLength = (model.maxSequenceLength + 15) / 16 * 16
        scratch = try StepScratch(
            tokens: tileTokens, threads: pool.threadCount, weights: weights, geometry: geometry,
            rotatedPairs: rotary.pairs, scoreStride: paddedLength + (cacheGeometry.blockSize + 15) / 16 * 16 + 16)
    }

    /// Runs up to `scratch.tokens` tokens; their keys and values are in the cache afterwards, and the last layer's hidden
    /// states in the scratch memory, for `logits`.
    func run(_ tokens: [StepToken], pageTable: UnsafePointer<Int32>) {
        embed(tokens)
        computeAngles(tokens)
        var delta: UnsafePointer<Float>?
        for (index, layer) in weights.layers.enumerated() {
            attention(index, layer, tokens, pageTable, addFirst: delta)
            feedForward(layer, rows: tokens.count)
            delta = UnsafePointer(scratch.result.base)
        }
        pool.forEach(tokens.count, grain: 4) { [scratch, geometry] _, part in
            guard delta != nil else { return }
            for row in part {
                let (hidden, result) = (row * geometry.hidden, row * scratch.resultStride)
                for i in 0..<geometry.hidden { scratch.hidden.base[hidden + i] += scratch.result.base[result + i] }
            }
        }
    }

    /// Logits of some rows of the tile that `run` was last given: `[rows.count, weights.output.paddedOutputs]`.
    func logits(rows: [Int], into output: DeviceBuffer<Float>) {
        precondition(rows.count <= scratch.tokens)
        for (index, row) in rows.enumerated() {
            kernels.table.add_norm(
                scratch.hidden.base + row * geometry.hidden, nil, weights.outputNorm.base, epsilon, geometry.hidden,
                scratch.normed.base + index * geometry.hidden)
        }
        let input = activations(scratch.normed, width: geometry.hidden, rows: rows.count, for: [weights.output])
        multiply(
            input,
            [Projection(matrix: weights.output, output: output.base, stride: weights.output.paddedOutputs)])
    }

    private func embed(_ tokens: [StepToken]) {
        let table = weights.embedding
        let rowBytes = table.bytes.count / geometry.vocabulary
        for (row, token) in tokens.enumerated() {
            hk_gguf_row(
                table.type.rawValue, table.bytes.baseAddress! + Int(token.token) * rowBytes, geometry.hidden,
                scratch.hidden.base + row * geometry.hidden)
        }
    }

    private func computeAngles(_ tokens: [StepToken]) {
        pool.forEach(tokens.count, grain: 4) { [scratch, rotary] _, part in
            for row in part {
                let offset = row * rotary.pairs
                rotary.write(
                    position: tokens[row].position, cosines: scratch.cosines.base + offset,
                    sines: scratch.sines.base + offset)
            }
        }
    }

    /// hidden += attention output's projection; leaves the projection in `result` for the next norm to add.
    private func attention(
        _ index: Int, _ layer: LlamaWeights.Layer, _ tokens: [StepToken], _ pageTable: UnsafePointer<Int32>,
        addFirst delta: UnsafePointer<Float>?
    ) {
        norm(layer.attentionNorm, delta, rows: tokens.count)
        let input = activations(
            scratch.normed, width: geometry.hidden, rows: tokens.count, for: [layer.query, layer.key, layer.value])
        let stride = scratch.projectionStride
        let queries = scratch.projections.base
        let keys = queries + layer.query.paddedOutputs
        let values = keys + layer.key.paddedOutputs
        multiply(
            input,
            [
                Projection(matrix: layer.query, output: queries, stride: stride),
                Projection(matrix: layer.key, output: keys, stride: stride),
                Projection(matrix: layer.value, output: values, stride: stride),
            ])
        rotateAndStore(index, tokens, pageTable, keys: keys, values: values)
        attend(index, tokens, pageTable)
        let attended = activations(
            scratch.attended, width: geometry.queryWidth, rows: tokens.count, for: [layer.attentionOutput])
        multiply(
            attended,
            [Projection(matrix: layer.attentionOutput, output: scratch.result.base, stride: scratch.resultStride)])
    }

    private func rotateAndStore(
        _ index: Int, _ tokens: [StepToken], _ pageTable: UnsafePointer<Int32>, keys: UnsafeMutablePointer<Float>,
        values: UnsafeMutablePointer<Float>
    ) {
        pool.forEach(tokens.count, grain: 4) { [self] _, part in
            var layer = cache[index]
            for row in part {
                let token = tokens[row]
                let offset = row * scratch.projectionStride
                let cosines = scratch.cosines.base + row * rotary.pairs
                let sines = scratch.sines.base + row * rotary.pairs
                kernels.table.rotate(
                    scratch.projections.base + offset, geometry.queryHeads, geometry.headSize, cosines, sines,
                    rotary.pairs)
                kernels.table.rotate(
                    keys + offset, geometry.keyValueHeads, geometry.headSize, cosines, sines, rotary.pairs)
                let block = pageTable[token.tableOffset + token.position / layer.block_size]
                kernels.table.store(
                    &layer, Int(block), token.position % layer.block_size, keys + offset, values + offset)
            }
        }
    }

    private func attend(_ index: Int, _ tokens: [StepToken], _ pageTable: UnsafePointer<Int32>) {
        let heads = geometry.keyValueHeads
        let groupWidth = geometry.queryGroup * geometry.headSize
        let scale = 1 / Float(geometry.headSize).squareRoot()
        pool.forEach(tokens.count * heads) { [self] worker, part in
            var layer = cache[index]
            let scores = scratch.scores(worker: worker)
            for item in part {
                let (row, head) = (item / heads, item % heads)
                let token = tokens[row]
                var work = hk_attention(
                    group: geometry.queryGroup, length: token.position + 1, blocks: pageTable + token.tableOffset,
                    queries: scratch.projections.base + row * scratch.projectionStride + head * groupWidth,
                    output: scratch.attended.base + row * geometry.queryWidth + head * groupWidth, scores: scores,
                    score_stride: scratch.scoreStride, scale: scale)
                kernels.table.attend(&layer, head, &work)
            }
        }
    }

    private func feedForward(_ layer: LlamaWeights.Layer, rows: Int) {
        norm(layer.feedForwardNorm, UnsafePointer(scratch.result.base), rows: rows)
        let input = activations(scratch.normed, width: geometry.hidden, rows: rows, for: [layer.gate, layer.up])
        let stride = scratch.gatedStride
        let gate = scratch.gated.base
        let up = gate + layer.gate.paddedOutputs
        multiply(
            input,
            [
                Projection(matrix: layer.gate, output: gate, stride: stride),
                Projection(matrix: layer.up, output: up, stride: stride),
            ])
        pool.forEach(rows, grain: 4) { [self] _, part in
            for row in part {
                kernels.table.silu_multiply(
                    gate + row * stride, up + row * stride, geometry.feedForward,
                    scratch.activated.base + row * geometry.feedForward)
            }
        }
        let activated = activations(
            scratch.activated, width: geometry.feedForward, rows: rows, for: [layer.down])
        multiply(
            activated, [Projection(matrix: layer.down, output: scratch.result.base, stride: scratch.resultStride)])
    }

    /// hidden += delta; normed = norm(hidden) · weight.
    private func norm(_ weight: DeviceBuffer<Float>, _ delta: UnsafePointer<Float>?, rows: Int) {
        pool.forEach(rows, grain: 4) { [self] _, part in
            for row in part {
                kernels.table.add_norm(
                    scratch.hidden.base + row * geometry.hidden, delta.map { $0 + row * scratch.resultStride },
                    weight.base, epsilon, geometry.hidden, scratch.normed.base + row * geometry.hidden)
            }
        }
    }

    /// Makes the int8 form of activations where a product wants it.
    private func activations(
        _ buffer: DeviceBuffer<Float>, width: Int, rows: Int, for matrices: [PackedMatrix]
    ) -> Activations {
        guard quantizes, matrices.contains(where: \.takesInt8) else {
            return Activations(rows: rows, values: buffer.base, width: width, quantized: nil)
        }
        let quantized = scratch.quantized
        let groups = width / Int(HK_GROUP)
        pool.forEach(rows, grain: 4) { [kernels] _, part in
            for row in part {
                kernels.table.quantize(
                    buffer.base + row * width, width, quantized.values + row * width,
                    quantized.scales + row * groups, quantized.sums + row * groups)
            }
        }
        return Activations(rows: rows, values: buffer.base, width: width, quantized: quantized)
    }
}
