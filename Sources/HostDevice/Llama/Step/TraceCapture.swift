// Captures the stages of a tile of tokens through the layers of a llama model (arXiv 2302.13971, 2307.09288).

import CHostKernels
import ModelFiles

/// The fixed parts of a model that stages are captured from.
struct TraceCapture {
    let geometry: LlamaGeometry
    let weights: LlamaWeights
    let scratch: StepScratch
    let inputs: StepInputs
    let rotary: RotaryFrequencies
    let epsilon: Float
    /// Products with weights that take int8 activations get them.
    let quantizes: Bool
    /// Threads that steps run on.
    let threads: Int
    /// Each layer's cache.
    let caches: DeviceBuffer<hk_cache>
    /// `[tokens, head.paddedOutputs]`
    let logits: DeviceBuffer<Float>

    /// `rows` tokens through all layers: their keys and values are in the cache afterwards, and the last layer's hidden
    /// states in the scratch memory but for what its feed-forward adds, which `output` adds. In prefill, neighbouring rows
    /// of one sequence share what their attention loads.
    func layers(rows: Int, prefills: Bool) -> CapturedStages {
        var stages = CapturedStages()
        stages.add(.embed(embed()), count: rows, piece: 4)
        for (index, layer) in weights.layers.enumerated() {
            attention(index, layer, rows, neighbours: prefills ? StepScratch.attendedTokens : 1, &stages)
            feedForward(index, layer, rows, &stages)
        }
        return stages
    }

    /// The logits of `rows` rows of the tile, and the tokens chosen by them.
    func output(rows: Int) -> CapturedStages {
        var stages = CapturedStages()
        // Nothing follows in which the error of an activation's last bit could grow, and 8-bit heads cost a quarter of a step.
        let input = activations(
            scratch.normed, geometry.hidden, scratch.quantized, for: [weights.output],
            peak: weights.output.hasBytes ? HK_INT7_PEAK : HK_INT8_PEAK)
        let norm = norm(weights.outputNorm, addsResult: !weights.layers.isEmpty, input)
        stages.add(.outputNorm(OutputNormStage(rows: inputs.outputRows.base, norm: norm)), count: rows)
        let head = head
        let logits = LogitsStage(
            rows: rows, input: input, head: head, following: projections(0), vocabulary: geometry.vocabulary,
            wantsLogits: inputs.wantsLogits.base, weightScales: inputs.weightScales.base,
            summaries: scratch.summaries.base, tiles: scratch.tiles.places, expansions: scratch.expansions.places)
        stages.add(.logits(logits), count: head.count, piece: rows > 4 ? 4 : 32)
        stages.add(
            .sample(
                SampleStage(
                    rows: inputs.outputRows.base, logits: logits, samplers: scratch.samplers.places,
                    chosen: inputs.chosen.base)),
            count: rows)
        return stages
    }
}

extension TraceCapture {
    private func embed() -> EmbedStage {
        let table = weights.embedding
        return EmbedStage(
            tokens: inputs.tokens.base, tensorType: table.type.rawValue, table: table.bytes.baseAddress!,
            rowBytes: table.bytes.count / geometry.vocabulary, hidden: scratch.hidden.base, width: geometry.hidden,
            frequencies: rotary.values, cosines: scratch.cosines.base, sines: scratch.sines.base)
    }

    private func attention(
        _ index: Int, _ layer: LlamaWeights.Layer, _ rows: Int, neighbours: Int, _ stages: inout CapturedStages
    ) {
        let input = activations(
            scratch.normed, geometry.hidden, scratch.quantized, for: [layer.query, layer.key, layer.value])
        stages.add(.norm(norm(layer.attentionNorm, addsResult: index > 0, input)), count: rows, piece: 2)
        let projections = projections(index)
        add(input, projections, then: attentionOutput(layer), rows, &stages)
        let cache = UnsafePointer(caches.base + index)
        stages.add(
            .store(
                StoreStage(
                    tokens: inputs.tokens.base, pageTable: inputs.pageTable.base, cache: cache,
                    queries: projections.first.output, keys: projections.second!.output,
                    values: projections.third!.output, stride: scratch.projectionStride,
                    queryHeads: geometry.queryHeads,
                    cosines: scratch.cosines.base, sines: scratch.sines.base, pairs: rotary.pairs)),
            count: rows, piece: 4)
        let attended = activations(
            scratch.attended, geometry.queryWidth, scratch.quantized, for: [layer.attentionOutput])
        attend(cache, projections.first.output, attended, rows, neighbours, &stages)
        add(attended, attentionOutput(layer), then: gate(layer), rows, &stages)
    }

    private func attend(
        _ cache: UnsafePointer<hk_cache>, _ queries: UnsafePointer<Float>, _ output: Activations, _ rows: Int,
        _ neighbours: Int, _ stages: inout CapturedStages
    ) {
        // A head group's outputs are whole blocks of the int8 form, or that form needs a stage of its own.
        let isWhole = geometry.queryGroup * geometry.headSize % Int(HK_GROUP) == 0
        let written = Activations(
            values: output.values, width: output.width, quantized: isWhole ? output.quantized : nil)
        stages.add(
            .attend(
                AttendStage(
                    tokens: inputs.tokens.base, rows: rows, neighbours: neighbours, pageTable: inputs.pageTable.base,
                    cache: cache, group: geometry.queryGroup, queries: queries, queryStride: scratch.projectionStride,
                    scale: 1 / Float(geometry.headSize).squareRoot(), scores: scratch.scores.places,
                    scoreStride: scratch.scoreStride, output: written)),
            count: (rows + neighbours - 1) / neighbours * geometry.keyValueHeads)
        if !isWhole, let quantized = output.quantized {
            stages.add(
                .quantize(QuantizeStage(values: output.values, quantized: quantized)),
                count: rows, piece: 4)
        }
    }

    private func feedForward(
        _ index: Int, _ layer: LlamaWeights.Layer, _ rows: Int, _ stages: inout CapturedStages
    ) {
        let input = activations(scratch.normed, geometry.hidden, scratch.quantized, for: [layer.gate, layer.up])
        stages.add(.norm(norm(layer.feedForwardNorm, addsResult: true, input)), count: rows, piece: 2)
        let activated = activations(
            scratch.activated, geometry.feedForward, scratch.quantizedActivated, for: [layer.down])
        let (gate, down) = (gate(layer), down(layer))
        stages.add(
            .feedForward(
                FeedForwardStage(
                    rows: rows, input: input, gate: gate, up: tileProjection(layer.up), following: down,
                    width: geometry.feedForward, output: activated, tiles: scratch.tiles.places,
                    expansions: scratch.expansions.places)),
            count: gate.count, piece: piece(of: gate, rows))
        add(activated, down, then: index + 1 < weights.layers.count ? projections(index + 1) : head, rows, &stages)
    }

    /// hidden += result, where there is one; output = norm(hidden) · weight.
    private func norm(_ weight: DeviceBuffer<Float>, addsResult: Bool, _ output: Activations) -> NormStage {
        NormStage(
            hidden: scratch.hidden.base, delta: addsResult ? UnsafePointer(scratch.result.base) : nil,
            deltaStride: scratch.resultStride, weight: weight.base, epsilon: epsilon, output: output)
    }

    /// Activations with their int8 form where one of the products takes it.
    private func activations(
        _ values: DeviceBuffer<Float>, _ width: Int, _ quantized: QuantizedBuffer, for matrices: [PackedMatrix],
        peak: Int32 = HK_INT8_PEAK
    ) -> Activations {
        let isWanted = quantizes && matrices.contains(where: \.takesInt8)
        return Activations(
            values: values.base, width: width, quantized: isWanted ? quantized.view(width: width, peak: peak) : nil)
    }

    private func add(
        _ input: Activations, _ projections: Projections, then following: Projections, _ rows: Int,
        _ stages: inout CapturedStages
    ) {
        let stage = ProductStage(
            rows: rows, input: input, projections: projections, following: following,
            expansions: scratch.expansions.places)
        stages.add(.products(stage), count: projections.count, piece: piece(of: projections, rows))
    }
}

// MARK: - Products

extension TraceCapture {
    /// Panels that a thread takes at a time: with few rows a panel is read in less than the time that taking it costs.
    private func piece(of projections: Projections, _ rows: Int) -> Int {
        rows > 4 ? 1 : max(1, projections.count / (threads * 3))
    }

    /// Queries, keys and values of a layer; the output head where the model has no layers.
    private func projections(_ index: Int) -> Projections {
        guard index < weights.layers.count else { return head }
        let layer = weights.layers[index]
        let (stride, queries) = (scratch.projectionStride, scratch.projections.base)
        let keys = queries + layer.query.paddedOutputs
        return Projections(
            first: projection(layer.query, queries, stride), second: projection(layer.key, keys, stride),
            third: projection(layer.value, keys + layer.key.paddedOutputs, stride), threads: threads)
    }

    private func attentionOutput(_ layer: LlamaWeights.Layer) -> Projections {
        Projections(
            first: projection(layer.attentionOutput, scratch.result.base, scratch.resultStride), threads: threads)
    }

    private func gate(_ layer: LlamaWeights.Layer) -> Projections {
        Projections(first: tileProjection(layer.gate), threads: threads)
    }

    private func down(_ layer: LlamaWeights.Layer) -> Projections {
        Projections(first: projection(layer.down, scratch.result.base, scratch.resultStride), threads: threads)
    }

    private var head: Projections {
        Projections(first: projection(weights.output, logits.base, weights.output.paddedOutputs), threads: threads)
    }

    /// A product whose results go to a thread's own tiles.
    private func tileProjection(_ matrix: PackedMatrix) -> Projection {
        projection(matrix, scratch.tiles.places.base, Int(HK_PANEL))
    }

    private func projection(_ matrix: PackedMatrix, _ output: UnsafeMutablePointer<Float>, _ stride: Int) -> Projection
    {
        Projection(
            matrix: matrix.descriptor, panels: matrix.panels, usesInt8: quantizes && matrix.takesInt8, output: output,
            stride: stride)
    }
}
