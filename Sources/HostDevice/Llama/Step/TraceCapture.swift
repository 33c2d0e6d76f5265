// Captures the stages of a tile of tokens through the layers of a llama model (arXiv 2302.13971, 2307.09288).

import CHostKernels
import ModelFiles

/// The fixed parts of a model that stages are captured from.
struct TraceCapture {
    let geometry: LlamaGeometry
    let weights: LlamaWeights
    let scratch: StepScratch
    let inputs: StepInputs
    /// The attention of the step, planned before its stages run.
    let plan: AttentionPlan
    let rotary: RotaryFrequencies
    let epsilon: Float
    /// Threads that steps run on.
    let threads: Int
    /// Each layer's cache.
    let caches: DeviceBuffer<hk_cache>
    /// The threads' prefetch states for the caches.
    let readAheads: ReadAheadPlaces
    /// `[tokens, head.paddedOutputs]`
    let logits: DeviceBuffer<Float>

    /// The stages of `rows` tokens through the layers, without the last layer's queries and what depends on them.
    /// Afterwards all keys and values are in the cache, and the last layer's input hidden states in the scratch memory.
    func layers(rows: Int) -> CapturedStages {
        var stages = CapturedStages()
        stages.add(.embed(embed()), count: rows, piece: 4)
        for (index, layer) in weights.layers.dropLast().enumerated() {
            let input = normed(layer, scratch.hidden, addsResult: index > 0, rows, &stages)
            add(input, projections(index), then: attentionOutput(layer), ahead: index, rows, &stages)
            store(index, layer, group: geometry.queryGroup, rows, &stages)
            attend(index, layer, inputs.tokens, rows, &stages)
            feedForward(index, layer, scratch.hidden, then: projections(index + 1), rows, &stages)
        }
        if let last = weights.layers.last {
            let input = normed(last, scratch.hidden, addsResult: weights.layers.count > 1, rows, &stages)
            add(input, projections(lastIndex), then: queries(last), ahead: lastIndex, rows, &stages)
            store(lastIndex, last, group: 0, rows, &stages)
        }
        return stages
    }

    /// The stages that follow, for `rows` output rows: the last layer's attention and feed-forward, the logits, and the
    /// sampled tokens.
    func output(rows: Int) -> CapturedStages {
        var stages = CapturedStages()
        if let last = weights.layers.last {
            let input = normed(last, scratch.ends, addsResult: false, rows, &stages)
            add(input, queries(last), then: attentionOutput(last), ahead: lastIndex, rows, &stages)
            stages.add(
                .rotate(
                    RotateStage(
                        tokens: inputs.outputTokens.base, heads: scratch.projections.base,
                        stride: scratch.projectionStride, count: geometry.queryHeads,
                        headSize: geometry.headSize, angles: angles)),
                count: rows, piece: 4)
            attend(lastIndex, last, inputs.outputTokens, rows, &stages)
            feedForward(lastIndex, last, scratch.ends, then: head, rows, &stages)
        }
        // An 8-bit head takes a quarter of a step, and products with 7-bit activations are faster. No later layer can
        // amplify their rounding error.
        let input = activations(
            scratch.normed, geometry.hidden, scratch.quantized, for: [weights.output],
            peak: weights.output.hasBytes ? HK_INT7_PEAK : HK_INT8_PEAK)
        stages.add(
            .norm(norm(weights.outputNorm, of: scratch.ends, addsResult: !weights.layers.isEmpty, input)), count: rows,
            piece: rowPiece)
        let logits = LogitsStage(
            rows: rows, input: input, head: head, following: projections(0), vocabulary: geometry.vocabulary,
            wantsLogits: inputs.wantsLogits.base, weightScales: inputs.weightScales.base,
            summaries: scratch.summaries.base, tiles: scratch.tiles.places, expansions: scratch.expansions.places)
        stages.add(.logits(logits), count: head.count, piece: rows > 4 ? 4 : 16)
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
    /// Rows that a thread converts to int8 at a time; whole tiles are written faster than single rows.
    private var rowPiece: Int { Int(HK_ROW_BLOCK) }

    private func embed() -> EmbedStage {
        let table = weights.embedding
        return EmbedStage(
            tokens: inputs.tokens.base, tensorType: table.type.rawValue, table: table.bytes.baseAddress!,
            rowBytes: table.bytes.count / geometry.vocabulary, hidden: scratch.hidden.base, width: geometry.hidden,
            angles: angles)
    }

    private var angles: RotaryAngles {
        RotaryAngles(frequencies: rotary.values, cosines: scratch.cosines.base, sines: scratch.sines.base)
    }

    /// The input activations of queries, keys and values.
    private func normed(
        _ layer: LlamaWeights.Layer, _ hidden: DeviceBuffer<Float>, addsResult: Bool, _ rows: Int,
        _ stages: inout CapturedStages
    ) -> Activations {
        let input = activations(
            scratch.normed, geometry.hidden, scratch.quantized, for: [layer.query, layer.key, layer.value])
        stages.add(
            .norm(norm(layer.attentionNorm, of: hidden, addsResult: addsResult, input)), count: rows, piece: rowPiece)
        return input
    }

    /// Rotates the keys of the tile's tokens and `group` queries of each KV head, and stores keys and values.
    private func store(
        _ index: Int, _ layer: LlamaWeights.Layer, group: Int, _ rows: Int, _ stages: inout CapturedStages
    ) {
        let keysAndValues = keysAndValues(layer)
        stages.add(
            .store(
                StoreStage(
                    tokens: inputs.tokens.base, pageTable: inputs.pageTable.base,
                    cache: UnsafePointer(caches.base + index),
                    queries: scratch.projections.base, keys: keysAndValues.first.output,
                    values: keysAndValues.second!.output, stride: scratch.projectionStride, group: group,
                    angles: angles)),
            count: rows * geometry.keyValueHeads, piece: rows > 4 ? 8 : 1)
    }

    /// Attention of the layer's queries, and its output's product.
    private func attend(
        _ index: Int, _ layer: LlamaWeights.Layer, _ tokens: DeviceBuffer<StepToken>, _ rows: Int,
        _ stages: inout CapturedStages
    ) {
        let output = activations(
            scratch.attended, geometry.queryWidth, scratch.quantized, for: [layer.attentionOutput])
        // If a head group's outputs are not whole blocks of the int8 form, the conversion needs a separate stage.
        let isWhole = geometry.queryGroup * geometry.headSize % Int(HK_BLOCK) == 0
        let written =
            isWhole
            ? output : Activations(values: scratch.attended.base, width: output.width, quantized: nil)
        stages.add(
            .attend(
                AttendStage(
                    tokens: tokens.base, items: plan.items, pageTable: inputs.pageTable.base,
                    cache: UnsafePointer(caches.base + index), group: geometry.queryGroup,
                    queries: scratch.projections.base, queryStride: scratch.projectionStride,
                    scale: 1 / Float(geometry.headSize).squareRoot(), scores: scratch.scores.places, output: written,
                    passing: scratch.passing.places)),
            count: plan.itemCount)
        if !isWhole, let quantized = output.quantized {
            stages.add(
                .quantize(QuantizeStage(values: scratch.attended.base, width: output.width, quantized: quantized)),
                count: rows, piece: rowPiece)
        }
        add(output, attentionOutput(layer), then: gate(layer), ahead: index + 1, rows, &stages)
    }

    private func feedForward(
        _ index: Int, _ layer: LlamaWeights.Layer, _ hidden: DeviceBuffer<Float>, then following: Projections,
        _ rows: Int,
        _ stages: inout CapturedStages
    ) {
        let input = activations(scratch.normed, geometry.hidden, scratch.quantized, for: [layer.gate, layer.up])
        stages.add(
            .norm(norm(layer.feedForwardNorm, of: hidden, addsResult: true, input)), count: rows, piece: rowPiece)
        let activated = activations(
            scratch.activated, geometry.feedForward, scratch.quantizedActivated, for: [layer.down])
        let (gate, down) = (gate(layer), down(layer))
        let stage = FeedForwardStage(
            rows: rows, input: input, gate: gate, up: tileProjection(layer.up), following: down,
            readAhead: readAhead(index + 1), width: geometry.feedForward, output: activated,
            tiles: scratch.tiles.places,
            expansions: scratch.expansions.places)
        stages.add(.feedForward(stage), count: stage.count)
        add(activated, down, then: following, ahead: index + 1, rows, &stages)
    }

    /// hidden += result, if there is one; output = norm(hidden) · weight.
    private func norm(
        _ weight: DeviceBuffer<Float>, of hidden: DeviceBuffer<Float>, addsResult: Bool, _ output: Activations
    ) -> NormStage {
        NormStage(
            hidden: hidden.base, delta: addsResult ? UnsafePointer(scratch.result.base) : nil,
            deltaStride: scratch.resultStride, weight: weight.base, epsilon: epsilon, output: output,
            passing: scratch.passing.places)
    }

    /// Memory for activations in the forms that the products take.
    private func activations(
        _ values: DeviceBuffer<Float>, _ width: Int, _ quantized: QuantizedBuffer, for matrices: [PackedMatrix],
        peak: Int32 = HK_INT8_PEAK
    ) -> Activations {
        Activations(
            values: matrices.allSatisfy(\.takesInt8) ? nil : values.base, width: width,
            quantized: matrices.contains(where: \.takesInt8) ? quantized.view(width: width, peak: peak) : nil)
    }

    /// Adds the products of `input`, which prefetch the cache of layer `ahead` meanwhile.
    private func add(
        _ input: Activations, _ projections: Projections, then following: Projections, ahead: Int, _ rows: Int,
        _ stages: inout CapturedStages
    ) {
        let stage = ProductStage(
            rows: rows, input: input, projections: projections, following: following, readAhead: readAhead(ahead),
            expansions: scratch.expansions.places)
        // With few rows a panel is read in less than a microsecond.
        stages.add(.products(stage), count: projections.count, piece: rows > 4 ? 1 : 2)
    }
}

// MARK: - Products

extension TraceCapture {
    private var lastIndex: Int { weights.layers.count - 1 }

    /// `nil` after the last layer.
    private func readAhead(_ layer: Int) -> ReadAhead? {
        layer <= lastIndex ? ReadAhead(places: readAheads, cache: UnsafePointer(caches.base + layer)) : nil
    }

    /// The first products of a layer in `layers`: queries, keys and values; for the last layer only keys and values;
    /// for a model without layers, the output head.
    private func projections(_ index: Int) -> Projections {
        guard index < weights.layers.count else { return head }
        let layer = weights.layers[index]
        let keysAndValues = keysAndValues(layer)
        if index + 1 == weights.layers.count { return keysAndValues }
        return Projections(
            first: queries(layer).first, second: keysAndValues.first, third: keysAndValues.second, threads: threads)
    }

    private func queries(_ layer: LlamaWeights.Layer) -> Projections {
        Projections(
            first: projection(layer.query, scratch.projections.base, scratch.projectionStride), threads: threads)
    }

    private func keysAndValues(_ layer: LlamaWeights.Layer) -> Projections {
        let keys = scratch.projections.base + layer.query.paddedOutputs
        return Projections(
            first: projection(layer.key, keys, scratch.projectionStride),
            second: projection(layer.value, keys + layer.key.paddedOutputs, scratch.projectionStride), threads: threads)
    }

    private func attentionOutput(_ layer: LlamaWeights.Layer) -> Projections {
        Projections(
            first: projection(layer.attentionOutput, scratch.result.base, scratch.resultStride), threads: threads)
    }

    private func gate(_ layer: LlamaWeights.Layer) -> Projections {
        Projections(first: tileProjection(layer.gate), panelsOfItem: FeedForwardStage.panels, threads: threads)
    }

    private func down(_ layer: LlamaWeights.Layer) -> Projections {
        Projections(first: projection(layer.down, scratch.result.base, scratch.resultStride), threads: threads)
    }

    private var head: Projections {
        Projections(first: projection(weights.output, logits.base, weights.output.paddedOutputs), threads: threads)
    }

    /// A product whose results go to each thread's own tiles.
    private func tileProjection(_ matrix: PackedMatrix) -> Projection {
        projection(matrix, scratch.tiles.places.base, FeedForwardStage.panels * Int(HK_PANEL))
    }

    private func projection(_ matrix: PackedMatrix, _ output: UnsafeMutablePointer<Float>, _ stride: Int) -> Projection
    {
        Projection(
            matrix: matrix.descriptor, panels: matrix.panels, usesInt8: matrix.takesInt8, output: output,
            stride: stride)
    }
}
