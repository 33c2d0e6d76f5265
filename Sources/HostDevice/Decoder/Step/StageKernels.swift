// Runs the items of a stage; steps call kernels only here.

import CHostKernels
import Glibc
import Platform

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

extension EmbedStage {
    fileprivate func run(_ part: Range<Int>) {
        for row in part {
            let token = tokens[row]
            let place = hidden + row * width
            hk_gguf_row(tensorType, table + Int(token.token) * rowBytes, width, place)
            if scale != 1 { for index in 0..<width { place[index] *= scale } }
            for rope in angles { rope.fill(row, position: token.position) }
        }
    }
}

extension RotaryAngles {
    @inline(__always)
    fileprivate func fill(_ row: Int, position: Int32) {
        for (pair, frequency) in frequencies.enumerated() {
            let angle = Double(Float(position) * frequency)
            cosines[row * pairs + pair] = Float(cos(angle)) * magnitude
            sines[row * pairs + pair] = Float(sin(angle)) * magnitude
        }
    }

    @inline(__always)
    fileprivate func rotate(
        _ kernels: UnsafePointer<hk_kernels>, _ row: Int, _ heads: UnsafeMutablePointer<Float>, count: Int, size: Int
    ) {
        let (cosines, sines) = (cosines + row * pairs, sines + row * pairs)
        if isHalves {
            kernels.pointee.rotate_halves(heads, count, size, cosines, sines, pairs)
        } else {
            kernels.pointee.rotate(heads, count, size, cosines, sines, pairs)
        }
    }
}

extension RowNorm {
    @inline(__always)
    fileprivate func run(
        _ kernels: UnsafePointer<hk_kernels>, _ values: UnsafePointer<Float>, count: Int,
        to output: UnsafeMutablePointer<Float>
    ) {
        kernels.pointee.normalise(values, isCentred ? 1 : 0, scale, bias, epsilon, count, output)
    }
}

extension ResidualDelta {
    /// Adds row `row` to the residual stream's.
    @inline(__always)
    fileprivate func add(
        _ kernels: UnsafePointer<hk_kernels>, row: Int, to residual: UnsafeMutablePointer<Float>, width: Int
    ) {
        let place = values + row * stride
        if let bias { kernels.pointee.add_bias(place, 0, 1, width, bias) }
        if let norm { norm.run(kernels, place, count: width, to: place) }
        kernels.pointee.add_delta(residual, place, scale, width)
    }
}

extension NormStage {
    /// Adds to the rows' residuals and writes their norms.
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ part: Range<Int>) {
        let width = output.width
        let normed = output.values.map { $0 + part.lowerBound * width } ?? passing[worker]
        for (index, row) in part.enumerated() {
            run(kernels, row, hidden + row * width, to: normed + index * width)
        }
        if var quantized = output.quantized {
            kernels.pointee.quantize(normed, width, part.count, width, &quantized, part.lowerBound, 0)
        }
    }

    @inline(__always)
    private func run(
        _ kernels: UnsafePointer<hk_kernels>, _ row: Int, _ residual: UnsafeMutablePointer<Float>,
        to normed: UnsafeMutablePointer<Float>
    ) {
        let width = output.width
        if let norm, !norm.isCentred, norm.bias == nil, !addsLast, delta?.isPlain ?? true {
            let values = delta.map { UnsafePointer($0.values + row * $0.stride) }
            return kernels.pointee.add_norm(residual, values, norm.scale, norm.epsilon, width, normed)
        }
        if let delta, !addsLast { delta.add(kernels, row: row, to: residual, width: width) }
        if let norm {
            norm.run(kernels, residual, count: width, to: normed)
        } else {
            normed.update(from: residual, count: width)
        }
        if let delta, addsLast { delta.add(kernels, row: row, to: residual, width: width) }
    }
}

extension HeadPreparation {
    /// Prepares `count` adjacent heads of a row, the first of which is head `first` of the bias.
    @inline(__always)
    fileprivate func run(
        _ kernels: UnsafePointer<hk_kernels>, _ row: Int, position: Int32, _ heads: UnsafeMutablePointer<Float>,
        first: Int, count: Int, size: Int
    ) {
        if let bias { kernels.pointee.add_bias(heads, 0, 1, count * size, bias + first * size) }
        if let norm, !normalisesAfterRope { normalise(kernels, norm, heads, count, size) }
        if let angles { angles.rotate(kernels, row, heads, count: count, size: size) }
        if let norm, normalisesAfterRope { normalise(kernels, norm, heads, count, size) }
        if beta != 0 {
            let factor = 1 + beta * Float(log(Double(1 + Int(position) / interval)))
            for index in 0..<count * size { heads[index] *= factor }
        }
    }

    @inline(__always)
    private func normalise(
        _ kernels: UnsafePointer<hk_kernels>, _ norm: RowNorm, _ heads: UnsafeMutablePointer<Float>, _ count: Int,
        _ size: Int
    ) {
        for head in 0..<count { norm.run(kernels, heads + head * size, count: size, to: heads + head * size) }
    }
}

extension NormHeadsStage {
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ row: Int) {
        let place = heads + row * stride
        if let bias { kernels.pointee.add_bias(place, 0, 1, width, bias) }
        norm.run(kernels, place, count: width, to: place)
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

extension PrepareQueriesStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ row: Int) {
        let position = tokens[row].position
        preparation.angles?.fill(row, position: position)
        preparation.run(
            kernels, row, position: position, queries + row * stride, first: 0, count: count, size: headSize)
    }
}

extension StoreStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ item: Int) {
        let (row, head) = item.quotientAndRemainder(dividingBy: cache.pointee.heads)
        let token = tokens[row]
        let size = cache.pointee.head_size
        let offset = row * stride + head * size
        if group > 0 {
            query.run(
                kernels, row, position: token.position, queries + row * stride + head * group * size,
                first: head * group, count: group, size: size)
        }
        key.run(kernels, row, position: token.position, keys + offset, first: head, count: 1, size: size)
        if let valueBias { kernels.pointee.add_bias(values + offset, 0, 1, size, valueBias + head * size) }
        let (block, blockOffset) = Int(token.position).quotientAndRemainder(dividingBy: cache.pointee.block_size)
        let table = pageTable.pointee! + Int(token.tableOffset)
        kernels.pointee.store(cache, head, Int(table[block]), blockOffset, keys + offset, values + offset)
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

extension QuantizeStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ part: Range<Int>) {
        var quantized = quantized
        kernels.pointee.quantize(
            values + part.lowerBound * width, width, part.count, width, &quantized, part.lowerBound, 0)
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
    /// Computes a panel's logits for up to a tile of rows at a time, and their summaries.
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, panel: Int) {
        let (lanes, most) = (Int(HK_PANEL), StepScratch.tileRows)
        let next = head.next(panel + 1, worker, following: following)
        for row in stride(from: 0, to: rows, by: most) {
            let count = min(most, rows - row)
            var (place, width) = (tiles[worker], lanes)
            if wantsLogits.pointee {
                (place, width) = (head.first.output + row * head.first.stride + panel * lanes, head.first.stride)
            }
            head.first.multiply(
                kernels, input, row: row, rows: count, panels: panel..<panel + 1, to: place, stride: width,
                next: next, ahead: nil, expansion: expansions[worker])
            finish(kernels, place, stride: width, rows: count)
            kernels.pointee.summarise(
                place, width, count, min(lanes, vocabulary - panel * lanes), weightScales + row,
                summaries + row * head.count + panel, head.count)
        }
    }

    /// The logits of one tile of one row, as `run` computed them.
    @inline(__always)
    fileprivate func look(
        _ kernels: UnsafePointer<hk_kernels>, _ worker: Int, row: Int, panel: Int
    ) -> UnsafePointer<Float> {
        head.first.multiply(
            kernels, input, row: row, rows: 1, panels: panel..<panel + 1, to: tiles[worker], stride: Int(HK_PANEL),
            next: head.weights(item: panel), ahead: nil, expansion: expansions[worker])
        finish(kernels, tiles[worker], stride: Int(HK_PANEL), rows: 1)
        return UnsafePointer(tiles[worker])
    }

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
        let count = logits.head.count
        let summaries = UnsafeRawPointer(logits.summaries + row * count).assumingMemoryBound(to: LogitTile.self)
        let tiles = UnsafeBufferPointer(start: summaries, count: count)
        guard let params = rows[row].sampling else {
            chosen[row] = tiles.contains { $0.highest.isNaN } ? -1 : 0
            return
        }
        let token = samplers[worker]._withUnsafeGuaranteedRef { scratch in
            TokenSampler.sample(
                tiles: tiles, vocabulary: logits.vocabulary, params, position: Int(rows[row].position),
                scratch: scratch
            ) { tile in logits.look(kernels, worker, row: row, panel: tile) }
        }
        chosen[row] = token ?? -1
    }
}
