// Runs the items of a stage; steps call kernels only here and in RowStageKernels.swift.

import CHostKernels
import Glibc
import Platform
import Sampling

extension StageOperation {
    /// Runs the items of `part`.
    @inline(__always)
    func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ part: Range<Int>) {
        switch self {
        case .embed(let stage): stage.run(part)
        case .norm(let stage): stage.run(kernels, worker, part)
        case .products(let stage): stage.run(kernels, worker, part)
        case .normHeads(let stage): for row in part { stage.run(kernels, row) }
        case .prepareQueries(let stage): for row in part { stage.run(kernels, row) }
        case .store(let stage): for item in part { stage.run(kernels, item) }
        case .attend(let stage): for item in part { stage.run(kernels, worker, item) }
        case .quantize(let stage): stage.run(kernels, part)
        case .feedForward(let stage): for item in part { stage.run(kernels, worker, item) }
        case .logits(let stage): for panel in part { stage.run(kernels, worker, panel: panel) }
        case .scoredLogits(let stage): for row in part { stage.keepScoredLogit(kernels, worker, row) }
        case .sample(let stage): for row in part { stage.run(kernels, worker, row) }
        }
    }
}

extension Projection {
    /// Writes the results of panels `part` for `rows` rows from `row` on to `output`, which begins with the first
    /// panel.
    @inline(__always)
    func multiply(
        _ kernels: UnsafePointer<hk_kernels>, _ input: Activations, row: Int, rows: Int, panels part: Range<Int>,
        to output: UnsafeMutablePointer<Float>, stride: Int, next: UnsafePointer<UInt8>,
        ahead: UnsafeMutablePointer<hk_read_ahead>?, expansion: UnsafeMutablePointer<Float>
    ) {
        if usesInt8, var quantized = input.quantized {
            kernels.pointee.matmul_int8(
                matrix, part.lowerBound, part.upperBound, &quantized, row, rows, output, stride, next, ahead)
        } else {
            kernels.pointee.matmul_float(
                matrix, part.lowerBound, part.upperBound, input.values! + row * input.width, input.width, rows, output,
                stride, expansion)
        }
    }
}

extension Projections {
    /// The weights that `worker` needs after items up to `end`.
    @inline(__always)
    func next(_ end: Int, _ worker: Int, following: Projections) -> UnsafePointer<UInt8> {
        end < share(of: worker).upperBound ? weights(item: end) : following.weights(worker: worker)
    }
}

extension ReadAhead? {
    /// The prefetch state of `worker`.
    @inline(__always)
    fileprivate func state(of worker: Int) -> UnsafeMutablePointer<hk_read_ahead>? {
        map { $0.places.state(of: worker, in: $0.cache) }
    }
}

extension ProductStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ part: Range<Int>) {
        var begin = 0
        run(projections.first, &begin, kernels, worker, part)
        if let second = projections.second { run(second, &begin, kernels, worker, part) }
        if let third = projections.third { run(third, &begin, kernels, worker, part) }
    }

    /// The panels of the projection within `part`; its panel 0 is item `begin`.
    @inline(__always)
    private func run(
        _ projection: Projection, _ begin: inout Int, _ kernels: UnsafePointer<hk_kernels>, _ worker: Int,
        _ part: Range<Int>
    ) {
        let (panel, end) = (max(part.lowerBound - begin, 0), min(part.upperBound - begin, projection.panels))
        let next = projections.next(begin + end, worker, following: following)
        begin += projection.panels
        guard panel < end else { return }
        projection.multiply(
            kernels, input, row: 0, rows: rows, panels: panel..<end, to: projection.output + panel * Int(HK_PANEL),
            stride: projection.stride, next: next, ahead: readAhead.state(of: worker), expansion: expansions[worker])
    }
}

extension AttendStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ item: Int) {
        items.forEachUnit(of: item) { unit, part, next in
            let following = items[next]
            let width = group * cache.pointee.head_size
            let column = unit.head * width
            let place = output.values.map { $0 + unit.row * output.width + column } ?? passing[worker]
            let stride = output.values == nil ? width : output.width
            var work = hk_attention(
                tokens: unit.tokens, group: group, length: unit.length, window: window,
                origin_span: unit.spans.lowerBound, first_span: part.lowerBound, end_span: part.upperBound,
                blocks: blocks(unit, 0),
                queries: queries + unit.row * queryStride + column, query_stride: queryStride,
                output: place, output_stride: stride, scores: scores[worker],
                partials: unit.division.map(items.partials), scale: scale, cap: cap, next_head: following.head,
                next_length: following.length - next.span * Int(HK_SPAN), next_blocks: blocks(following, next.span))
            kernels.pointee.attend(cache, unit.head, &work)
            if let division = unit.division {
                guard items.endShare(division) else { return }
                kernels.pointee.join(cache, &work)
            }
            if var quantized = output.quantized {
                kernels.pointee.quantize(place, stride, unit.tokens, width, &quantized, unit.row, column)
            }
        }
    }

    /// The blocks of the unit's sequence from a span on.
    @inline(__always)
    private func blocks(_ unit: AttentionUnit, _ span: Int) -> UnsafePointer<Int32> {
        pageTable.pointee! + Int(tokens[unit.row].tableOffset) + span * Int(HK_SPAN) / cache.pointee.block_size
    }
}

extension FeedForwardStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ item: Int) {
        let (pair, tile) = item.quotientAndRemainder(dividingBy: rowTiles)
        let panels = pair * Self.panels..<min((pair + 1) * Self.panels, gate.first.panels)
        let row = tile * StepScratch.tileRows
        let count = min(StepScratch.tileRows, rows - row)
        let lanes = Self.panels * Int(HK_PANEL)
        let (gates, expansion) = (tiles[worker], expansions[worker])
        let ahead = readAhead.state(of: worker)
        let next = gate.next(pair + 1, worker, following: following)
        gate.first.multiply(
            kernels, input, row: row, rows: count, panels: panels, to: gates, stride: lanes,
            next: up?.weights(panel: panels.lowerBound) ?? next, ahead: ahead, expansion: expansion)
        let first = pair * lanes
        let width = min(lanes, width - first)
        if let gateBias { kernels.pointee.add_bias(gates, lanes, count, width, gateBias + first) }
        var ups: UnsafeMutablePointer<Float>?
        if let up {
            let place = gates + StepScratch.tileRows * lanes
            up.multiply(
                kernels, input, row: row, rows: count, panels: panels, to: place, stride: lanes, next: next,
                ahead: ahead, expansion: expansion)
            if let upBias { kernels.pointee.add_bias(place, lanes, count, width, upBias + first) }
            ups = place
        }
        if var quantized = output.quantized {
            let whole = panels.count * Int(HK_PANEL)
            kernels.pointee.activate_quantize(activation, gates, ups, lanes, count, whole, &quantized, row, first)
        } else {
            kernels.pointee.activate(
                activation, gates, ups, lanes, count, width, output.values! + row * output.width + first, output.width)
        }
    }
}

extension LogitsStage {
    /// Computes a panel's logits for up to a tile of rows at a time, changes them as the rows ask, and summarises them.
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, panel: Int) {
        let (lanes, most) = (Int(HK_PANEL), StepScratch.tileRows)
        let next = head.next(panel + 1, worker, following: following)
        for row in stride(from: 0, to: rows, by: most) {
            let count = min(most, rows - row)
            var (place, width) = (tiles[worker], lanes)
            if wantsLogits.pointee { (place, width) = (keptLogits(row: row, panel: panel), head.first.stride) }
            head.first.multiply(
                kernels, input, row: row, rows: count, panels: panel..<panel + 1, to: place, stride: width,
                next: next, ahead: nil, expansion: expansions[worker])
            finish(kernels, place, stride: width, rows: count)
            if hasEdits.pointee {
                for index in 0..<count { edit(kernels, place + index * width, row: row + index, panel: panel) }
            }
            kernels.pointee.summarise(
                place, width, count, tokens(panel), weightScales + row, summaries + row * head.count + panel,
                head.count)
            if hasEdits.pointee {
                for index in 0..<count where sharesSummary(row + index, panel) {
                    let summary = (row + index) * head.count + panel
                    rawSummaries[summary] = summaries[summary]
                }
            }
        }
    }

    /// Whether a panel of a row has one summary for sampling and for logprobs.
    @inline(__always)
    private func sharesSummary(_ row: Int, _ panel: Int) -> Bool {
        guard let logprobs = outputs[row].logprobs, logprobs.sharesSummaries else { return false }
        return !outputs[row].edits.changeAfterLogprobs(panel)
    }

    /// The logits of one panel of one row, as `run` summarised them.
    @inline(__always)
    fileprivate func look(
        _ kernels: UnsafePointer<hk_kernels>, _ worker: Int, row: Int, panel: Int
    ) -> UnsafePointer<Float> {
        if wantsLogits.pointee { return UnsafePointer(keptLogits(row: row, panel: panel)) }
        let place = lookRaw(kernels, worker, row: row, panel: panel)
        if hasEdits.pointee { editAfterLogprobs(kernels, place, outputs[row].edits, panel: panel) }
        return UnsafePointer(place)
    }

    /// The logits of one panel of one row from which logprobs are taken.
    @inline(__always)
    fileprivate func lookRaw(
        _ kernels: UnsafePointer<hk_kernels>, _ worker: Int, row: Int, panel: Int
    ) -> UnsafeMutablePointer<Float> {
        let place = tiles[worker]
        head.first.multiply(
            kernels, input, row: row, rows: 1, panels: panel..<panel + 1, to: place, stride: Int(HK_PANEL),
            next: head.weights(item: panel), ahead: nil, expansion: expansions[worker])
        finish(kernels, place, stride: Int(HK_PANEL), rows: 1)
        if let constraint = outputs[row].edits.constraint { kernels.pointee.mask(place, constraint[panel]) }
        return place
    }

    /// Computes the logit of a row's scored token.
    fileprivate func keepScoredLogit(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ row: Int) {
        guard outputs[row].scored >= 0 else { return }
        let (panel, index) = Int(outputs[row].scored).quotientAndRemainder(dividingBy: Int(HK_PANEL))
        scoredLogits[row] = lookRaw(kernels, worker, row: row, panel: panel)[index]
    }

    /// Changes a panel of a row; summarises it between, where logprobs are taken.
    @inline(__always)
    private func edit(
        _ kernels: UnsafePointer<hk_kernels>, _ logits: UnsafeMutablePointer<Float>, row: Int, panel: Int
    ) {
        let edits = outputs[row].edits
        if let constraint = edits.constraint { kernels.pointee.mask(logits, constraint[panel]) }
        if outputs[row].logprobs != nil, !sharesSummary(row, panel) {
            var scale = TokenSampler.logprobScale
            kernels.pointee.summarise(
                logits, Int(HK_PANEL), 1, tokens(panel), &scale, rawSummaries + row * head.count + panel, head.count)
        }
        if let ranks, outputs[row].scored >= 0 {
            var count: Int32 = 0
            for index in 0..<tokens(panel) { count += logits[index] >= scoredLogits[row] ? 1 : 0 }
            ranks[row * head.count + panel] = count
        }
        editAfterLogprobs(kernels, logits, edits, panel: panel)
    }

    @inline(__always)
    private func editAfterLogprobs(
        _ kernels: UnsafePointer<hk_kernels>, _ logits: UnsafeMutablePointer<Float>, _ edits: RowEdits, panel: Int
    ) {
        if let allowed = edits.allowed { kernels.pointee.mask(logits, allowed[panel]) }
        guard let changes = edits.changes, let starts = edits.starts else { return }
        var index = Int(starts[panel])
        while index < Int(starts[panel + 1]) {
            let place = logits + (Int(changes[index].token) - panel * Int(HK_PANEL))
            place.pointee = changes[index].applied(to: place.pointee, edits.penalties)
            index += 1
        }
    }

    /// Where a panel's logits are kept if `wantsLogits` is set.
    @inline(__always)
    private func keptLogits(row: Int, panel: Int) -> UnsafeMutablePointer<Float> {
        head.first.output + row * head.first.stride + panel * Int(HK_PANEL)
    }

    /// The number of a panel's logits that are tokens.
    @inline(__always)
    private func tokens(_ panel: Int) -> Int { min(Int(HK_PANEL), vocabulary - panel * Int(HK_PANEL)) }

    /// Scales and caps a panel's logits.
    @inline(__always)
    private func finish(
        _ kernels: UnsafePointer<hk_kernels>, _ logits: UnsafeMutablePointer<Float>, stride: Int, rows: Int
    ) {
        if scale != 1 || cap > 0 { kernels.pointee.scale_and_cap(logits, stride, rows, Int(HK_PANEL), scale, cap) }
    }
}

extension SampleStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ row: Int) {
        let tiles = tiles(logits.summaries, row)
        guard let params = logits.outputs[row].sampling else {
            chosen[row] =
                tiles.contains { $0.highest.isNaN } ? StepInputs.notNumbers : max(0, logits.outputs[row].scored)
            if chosen[row] >= 0, logits.outputs[row].scored >= 0 {
                samplers[worker]._withUnsafeGuaranteedRef { writeLogprobs(kernels, worker, row, $0) }
            }
            return
        }
        samplers[worker]._withUnsafeGuaranteedRef { scratch in
            let token = TokenSampler.sample(
                tiles: tiles, vocabulary: logits.vocabulary, params, position: Int(logits.outputs[row].position),
                scratch: scratch
            ) { tile in logits.look(kernels, worker, row: row, panel: tile) }
            chosen[row] = token ?? StepInputs.notNumbers
            guard logits.hasEdits.pointee, token != nil else { return }
            finish(kernels, worker, row, scratch)
        }
    }

    /// Tells whether the edits leave the chosen token, and its logprobs.
    private func finish(
        _ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ row: Int, _ scratch: SamplerScratch
    ) {
        if tiles(logits.summaries, row).allSatisfy({ $0.highest == -.infinity }) {
            chosen[row] = StepInputs.excluded
        } else {
            writeLogprobs(kernels, worker, row, scratch)
        }
    }

    /// Writes the logprobs of the row's token, if they are wanted.
    private func writeLogprobs(
        _ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ row: Int, _ scratch: SamplerScratch
    ) {
        guard let wanted = logits.outputs[row].logprobs else { return }
        TokenSampler.writeLogprobs(
            of: chosen[row], tiles: tiles(logits.rawSummaries, row), vocabulary: logits.vocabulary,
            top: wanted.top, requested: wanted.requested, scratch: scratch,
            to: logprobs + row * StepInputs.mostLogprobs
        ) { tile in UnsafePointer(logits.lookRaw(kernels, worker, row: row, panel: tile)) }
    }

    /// A row's summaries.
    @inline(__always)
    private func tiles(_ summaries: UnsafeMutablePointer<hk_logit_tile>, _ row: Int) -> UnsafeBufferPointer<LogitTile> {
        let count = logits.head.count
        return UnsafeBufferPointer(
            start: UnsafeRawPointer(summaries + row * count).assumingMemoryBound(to: LogitTile.self), count: count)
    }
}
