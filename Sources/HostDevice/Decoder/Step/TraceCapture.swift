// Captures the stages of a tile of tokens through the layers of a described decoder. A step of a layer that its weights
// or its description do not have is not captured.

import CHostKernels
import ModelFiles

/// The fixed parts of a model that stages are captured from.
struct TraceCapture {
    let description: ModelDescription
    let weights: DecoderWeights
    let scratch: StepScratch
    let inputs: StepInputs
    /// The model's rotary embeddings, and their angles.
    let ropes: [RotaryEmbedding]
    let angles: DeviceBuffer<RotaryAngles>
    /// The attention of the step for each window, planned before its stages run.
    let plans: [PlannedAttention]
    /// Threads that steps run on.
    let threads: Int
    /// Each layer's cache.
    let caches: DeviceBuffer<hk_cache>
    /// `[tokens, head.paddedOutputs]`
    let logits: DeviceBuffer<Float>

    var geometry: DecoderGeometry { weights.geometry }

    /// The stages of `rows` tokens through the layers, without the last layer's queries and what depends on them.
    /// Afterwards all keys and values are in the cache, and the last layer's input hidden states in the scratch memory.
    func layers(rows: Int) -> CapturedStages {
        var stages = CapturedStages()
        stages.add(.embed(embed()), count: rows, piece: 4)
        for (index, layer) in weights.layers.dropLast().enumerated() {
            let input = normed(index, scratch.hidden, rows, &stages)
            add(input, projections(index), then: attentionOutput(layer), ahead: index, rows, &stages)
            store(index, group: geometry.queryGroup, rows, &stages)
            attend(index, inputs.tokens, rows, &stages)
            feedForward(index, scratch.hidden, then: projections(index + 1), rows, &stages)
        }
        let last = weights.layers[lastIndex]
        let input = normed(lastIndex, scratch.hidden, rows, &stages)
        add(input, projections(lastIndex), then: queries(last), ahead: lastIndex, rows, &stages)
        store(lastIndex, group: 0, rows, &stages)
        return stages
    }

    /// The stages that follow, for `rows` output rows: the last layer's attention and feed-forward, the logits, and the
    /// sampled tokens.
    ///
    /// - Parameter wantsRank: whether the rank of a token is wanted; its logit must be known before the others.
    func output(rows: Int, wantsRank: Bool = false) -> CapturedStages {
        var stages = CapturedStages()
        let last = weights.layers[lastIndex]
        let input = normed(lastIndex, scratch.ends, addsResult: false, rows, &stages)
        add(input, queries(last), then: attentionOutput(last), ahead: lastIndex, rows, &stages)
        prepareQueries(rows, &stages)
        attend(lastIndex, inputs.outputTokens, rows, &stages)
        feedForward(lastIndex, scratch.ends, then: head, rows, &stages)
        // An 8-bit head takes a quarter of a step, and products with 7-bit activations are faster. No later layer can
        // amplify their rounding error.
        let normed = activations(
            scratch.normed, geometry.hidden, scratch.quantized, for: [weights.output],
            peak: weights.output.hasBytes ? HK_INT7_PEAK : HK_INT8_PEAK)
        stages.add(
            .norm(
                norm(weights.outputNorm, of: scratch.ends, adding: delta(feedForwardOf: lastIndex), normed)),
            count: rows, piece: rowPiece)
        let logits = LogitsStage(
            rows: rows, input: normed, head: head, following: projections(0), vocabulary: geometry.vocabulary,
            scale: description.logitScale, cap: description.logitCap ?? 0, wantsLogits: inputs.wantsLogits.base,
            hasEdits: inputs.hasEdits.base, outputs: inputs.outputRows.base, weightScales: inputs.weightScales.base,
            summaries: scratch.summaries.base, rawSummaries: scratch.rawSummaries.base, tiles: scratch.tiles.places,
            expansions: scratch.expansions.places, scoredLogits: inputs.scoredLogits.base,
            ranks: wantsRank ? inputs.ranks.base : nil)
        if wantsRank { stages.add(.scoredLogits(logits), count: rows) }
        stages.add(.logits(logits), count: head.count, piece: rows > 4 ? 4 : 16)
        stages.add(
            .sample(
                SampleStage(
                    logits: logits, samplers: scratch.samplers.places, chosen: inputs.chosen.base,
                    logprobs: inputs.logprobs.base)),
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
            scale: description.embeddingScale,
            angles: UnsafeBufferPointer(start: angles.base, count: ropes.count))
    }

    /// The input activations of queries, keys and values; adds the result of the layer before, if there is one.
    private func normed(
        _ index: Int, _ hidden: DeviceBuffer<Float>, addsResult: Bool = true, _ rows: Int,
        _ stages: inout CapturedStages
    ) -> Activations {
        let layer = weights.layers[index]
        let input = activations(
            scratch.normed, geometry.hidden, scratch.quantized,
            for: [layer.query.matrix, layer.key.matrix, layer.value.matrix])
        let delta = addsResult && index > 0 ? delta(feedForwardOf: index - 1) : nil
        stages.add(
            .norm(norm(layer.attentionNorm, of: hidden, adding: delta, input)), count: rows, piece: rowPiece)
        return input
    }

    /// Prepares the keys of the tile's tokens and `group` queries of each KV head, and stores keys and values.
    private func store(_ index: Int, group: Int, _ rows: Int, _ stages: inout CapturedStages) {
        let layer = weights.layers[index]
        let keysAndValues = keysAndValues(layer)
        let (queries, keys) = (scratch.projections.base, keysAndValues.first.output)
        if group > 0 {
            addNorm(ofAllHeads: layer.query, layer.queryNorm, queries, geometry.queryWidth, rows, &stages)
        }
        addNorm(ofAllHeads: layer.key, layer.keyNorm, keys, geometry.keyWidth, rows, &stages)
        stages.add(
            .store(
                StoreStage(
                    tokens: inputs.tokens.base, pageTable: inputs.pageTable.base + planned(index).cacheGroup,
                    cache: UnsafePointer(caches.base + index), queries: queries, keys: keys,
                    values: keysAndValues.second!.output, stride: scratch.projectionStride, group: group,
                    query: preparation(index, layer.query, layer.queryNorm, isQuery: true),
                    key: preparation(index, layer.key, layer.keyNorm, isQuery: false),
                    valueBias: layer.value.bias.map { UnsafePointer($0.base) })),
            count: rows * geometry.keyValueHeads, piece: rows > 4 ? 8 : 1)
    }

    /// Prepares the last layer's queries of the output rows.
    private func prepareQueries(_ rows: Int, _ stages: inout CapturedStages) {
        let last = weights.layers[lastIndex]
        let queries = scratch.projections.base
        addNorm(ofAllHeads: last.query, last.queryNorm, queries, geometry.queryWidth, rows, &stages)
        let preparation = preparation(lastIndex, last.query, last.queryNorm, isQuery: true)
        guard !preparation.isEmpty else { return }
        stages.add(
            .prepareQueries(
                PrepareQueriesStage(
                    tokens: inputs.outputTokens.base, queries: queries, stride: scratch.projectionStride,
                    count: geometry.queryHeads, headSize: geometry.headSize, preparation: preparation)),
            count: rows, piece: 4)
    }

    /// The norm over all heads together, if queries or keys have one.
    private func addNorm(
        ofAllHeads product: DecoderWeights.Product, _ norm: DecoderWeights.Norm?,
        _ heads: UnsafeMutablePointer<Float>, _ width: Int, _ rows: Int, _ stages: inout CapturedStages
    ) {
        guard let norm, !isOfEachHead(norm) else { return }
        stages.add(
            .normHeads(
                NormHeadsStage(
                    heads: heads, stride: scratch.projectionStride, width: width,
                    bias: product.bias.map { UnsafePointer($0.base) }, norm: rowNorm(norm))),
            count: rows, piece: 4)
    }

    private func isOfEachHead(_ norm: DecoderWeights.Norm) -> Bool { norm.scale.count == geometry.headSize }

    /// What remains to be done to each head.
    private func preparation(
        _ index: Int, _ product: DecoderWeights.Product, _ norm: DecoderWeights.Norm?, isQuery: Bool
    ) -> HeadPreparation {
        let attention = description.layers[index].attention
        let headNorm = norm.flatMap { isOfEachHead($0) ? rowNorm($0) : nil }
        // A norm of all heads has added the bias.
        let bias = norm == nil || headNorm != nil ? product.bias : nil
        let temperature = isQuery ? attention.temperature : nil
        return HeadPreparation(
            bias: bias.map { UnsafePointer($0.base) }, norm: headNorm,
            normalisesAfterRope: attention.normalisesAfterRope,
            angles: attention.rope.flatMap { ropes.firstIndex(of: $0) }.map { angles.base[$0] },
            beta: temperature?.beta ?? 0, interval: temperature?.interval ?? 1)
    }

    /// Attention of the layer's queries, and its output's product.
    private func attend(
        _ index: Int, _ tokens: DeviceBuffer<StepToken>, _ rows: Int, _ stages: inout CapturedStages
    ) {
        let (layer, attention) = (weights.layers[index], description.layers[index].attention)
        let output = activations(
            scratch.attended, geometry.queryWidth, scratch.quantized, for: [layer.attentionOutput.matrix])
        // If a head group's outputs are not whole blocks of the int8 form, the conversion needs a separate stage.
        let isWhole = geometry.queryGroup * geometry.headSize % Int(HK_BLOCK) == 0
        let written =
            isWhole
            ? output : Activations(values: scratch.attended.base, width: output.width, quantized: nil)
        let planned = planned(index)
        stages.add(
            .attend(
                AttendStage(
                    tokens: tokens.base, items: planned.plan.items,
                    pageTable: inputs.pageTable.base + planned.cacheGroup,
                    cache: UnsafePointer(caches.base + index), group: geometry.queryGroup,
                    queries: scratch.projections.base, queryStride: scratch.projectionStride,
                    scale: attention.scale, cap: attention.scoreCap ?? 0, window: attention.window ?? Int.max,
                    scores: scratch.scores.places, output: written, passing: scratch.passing.places)),
            count: planned.plan.itemCount)
        if !isWhole, let quantized = output.quantized {
            stages.add(
                .quantize(QuantizeStage(values: scratch.attended.base, width: output.width, quantized: quantized)),
                count: rows, piece: rowPiece)
        }
        add(output, attentionOutput(layer), then: gate(layer), ahead: index + 1, rows, &stages)
    }

    private func feedForward(
        _ index: Int, _ hidden: DeviceBuffer<Float>, then following: Projections, _ rows: Int,
        _ stages: inout CapturedStages
    ) {
        let layer = weights.layers[index]
        let matrices = [layer.gate?.matrix, layer.up.matrix].compactMap(\.self)
        let input = activations(scratch.normed, geometry.hidden, scratch.quantized, for: matrices)
        // A parallel feed-forward reads the norm that attention has read.
        let inputNorm = description.isParallel ? layer.attentionNorm : layer.feedForwardNorm
        stages.add(
            .norm(
                norm(
                    inputNorm, of: hidden, adding: delta(attentionOf: index), addsLast: description.isParallel, input)),
            count: rows, piece: rowPiece)
        let activated = activations(
            scratch.activated, geometry.feedForward, scratch.quantizedActivated, for: [layer.down.matrix])
        let (gate, down) = (gate(layer), down(layer))
        let gated = layer.gate ?? layer.up
        let stage = FeedForwardStage(
            rows: rows, input: input, gate: gate, up: layer.gate == nil ? nil : tileProjection(layer.up.matrix),
            gateBias: gated.bias.map { UnsafePointer($0.base) },
            upBias: layer.gate == nil ? nil : layer.up.bias.map { UnsafePointer($0.base) },
            activation: activation(index), following: down, readAhead: readAhead(index + 1),
            width: geometry.feedForward, output: activated, tiles: scratch.tiles.places,
            expansions: scratch.expansions.places)
        stages.add(.feedForward(stage), count: stage.count)
        add(activated, down, then: following, ahead: index + 1, rows, &stages)
    }

    /// The result of a layer's attention as an addition to the residual stream.
    private func delta(attentionOf index: Int) -> ResidualDelta {
        let layer = weights.layers[index]
        return delta(layer.attentionOutput, layer.attentionPostNorm)
    }

    /// The result of a layer's feed-forward as an addition to the residual stream.
    private func delta(feedForwardOf index: Int) -> ResidualDelta {
        let layer = weights.layers[index]
        return delta(layer.down, layer.feedForwardPostNorm)
    }

    private func delta(_ product: DecoderWeights.Product, _ norm: DecoderWeights.Norm?) -> ResidualDelta {
        ResidualDelta(
            values: scratch.result.base, stride: scratch.resultStride,
            bias: product.bias.map { UnsafePointer($0.base) }, norm: norm.map(rowNorm),
            scale: description.residualScale)
    }

    private func norm(
        _ norm: DecoderWeights.Norm?, of hidden: DeviceBuffer<Float>, adding delta: ResidualDelta?,
        addsLast: Bool = false, _ output: Activations
    ) -> NormStage {
        NormStage(
            hidden: hidden.base, delta: delta, addsLast: addsLast, norm: norm.map(rowNorm), output: output,
            passing: scratch.passing.places)
    }

    private func rowNorm(_ norm: DecoderWeights.Norm) -> RowNorm {
        RowNorm(
            scale: norm.scale.base, bias: norm.bias.map { UnsafePointer($0.base) }, epsilon: description.norm.epsilon,
            isCentred: description.norm.kind == .layer)
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

    private func activation(_ index: Int) -> Int32 {
        switch description.layers[index].feedForward {
        case .dense(let dense):
            switch dense.activation {
            case .silu: Int32(HK_SILU)
            case .gelu: Int32(HK_GELU)
            case .squaredReLU: Int32(HK_SQUARED_RELU)
            }
        }
    }

    /// The plan of a layer's attention.
    func planned(_ index: Int) -> PlannedAttention {
        let window = description.layers[index].attention.window
        return plans.first { $0.plan.window == window }!
    }
}

/// The attention of the layers with one window, and the blocks that it reads.
struct PlannedAttention {
    let plan: AttentionPlan
    let readAhead: CacheReadAhead
    /// The group of the KV cache.
    let cacheGroup: Int
}
