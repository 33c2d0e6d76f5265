// Runs the items of a stage: the only place where steps call kernels.

import CHostKernels
import Glibc
import TTPlatform

extension StageOperation {
    /// Does the items of `part`.
    @inline(__always)
    func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ part: Range<Int>) {
        switch self {
        case .embed(let stage): stage.run(part)
        case .norm(let stage): for row in part { stage.run(kernels, row) }
        case .products(let stage): stage.run(kernels, worker, part)
        case .rotate(let stage): for row in part { stage.run(kernels, row) }
        case .store(let stage): for row in part { stage.run(kernels, row) }
        case .attend(let stage): for item in part { stage.run(kernels, worker, item) }
        case .quantize(let stage): stage.run(kernels, part)
        case .feedForward(let stage): for item in part { stage.run(kernels, worker, item) }
        case .logits(let stage): for panel in part { stage.run(kernels, worker, panel: panel) }
        case .sample(let stage): for row in part { stage.run(kernels, worker, row) }
        }
    }
}

extension Projection {
    /// Results of panels `part` for `rows` rows from `row` on, to `output`, whose first element is the first panel's.
    @inline(__always)
    func multiply(
        _ kernels: UnsafePointer<hk_kernels>, _ input: Activations, row: Int, rows: Int, panels part: Range<Int>,
        to output: UnsafeMutablePointer<Float>, stride: Int, next: UnsafePointer<UInt8>,
        expansion: UnsafeMutablePointer<Float>
    ) {
        if usesInt8, var quantized = input.quantized {
            kernels.pointee.matmul_int8(
                matrix, part.lowerBound, part.upperBound, &quantized, row, rows, output, stride, next)
        } else {
            kernels.pointee.matmul_float(
                matrix, part.lowerBound, part.upperBound, input.values + row * input.width, input.width, rows, output,
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

extension EmbedStage {
    fileprivate func run(_ part: Range<Int>) {
        for row in part {
            let token = tokens[row]
            hk_gguf_row(tensorType, table + Int(token.token) * rowBytes, width, hidden + row * width)
            angles.fill(row, position: token.position)
        }
    }
}

extension RotaryAngles {
    @inline(__always)
    fileprivate func fill(_ row: Int, position: Int32) {
        for (pair, frequency) in frequencies.enumerated() {
            let angle = Double(Float(position) * frequency)
            cosines[row * pairs + pair] = Float(cos(angle))
            sines[row * pairs + pair] = Float(sin(angle))
        }
    }

    @inline(__always)
    fileprivate func rotate(
        _ kernels: UnsafePointer<hk_kernels>, _ row: Int, _ heads: UnsafeMutablePointer<Float>, count: Int, size: Int
    ) {
        kernels.pointee.rotate(heads, count, size, cosines + row * pairs, sines + row * pairs, pairs)
    }
}

extension NormStage {
    /// Adds to the row's residual, and writes its norm.
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ row: Int) {
        let width = output.width
        let values = output.values + row * width
        kernels.pointee.add_norm(
            hidden + row * width, delta.map { $0 + row * deltaStride }, weight, epsilon, width, values)
        if var quantized = output.quantized { kernels.pointee.quantize(values, width, 1, width, &quantized, row, 0) }
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

    /// The panels of `part` that are the projection's, whose panel 0 is item `begin`.
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
            stride: projection.stride, next: next, expansion: expansions[worker])
    }
}

extension RotateStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ row: Int) {
        angles.fill(row, position: tokens[row].position)
        angles.rotate(kernels, row, heads + row * stride, count: count, size: headSize)
    }
}

extension StoreStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ row: Int) {
        let token = tokens[row]
        let offset = row * stride
        let (heads, size) = (cache.pointee.heads, cache.pointee.head_size)
        angles.rotate(kernels, row, queries + offset, count: queryHeads, size: size)
        angles.rotate(kernels, row, keys + offset, count: heads, size: size)
        let (block, slot) = Int(token.position).quotientAndRemainder(dividingBy: cache.pointee.block_size)
        let table = pageTable.pointee! + Int(token.tableOffset)
        kernels.pointee.store(cache, Int(table[block]), slot, keys + offset, values + offset)
    }
}

extension AttendStage {
    @inline(__always)
    fileprivate func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ item: Int) {
        let heads = cache.pointee.heads
        let (head, headSize) = (item % heads, cache.pointee.head_size)
        var row = item / heads * neighbours
        let end = min(row + neighbours, rows)
        let width = group * headSize
        while row < end {
            let token = tokens[row]
            var count = 1
            while row + count < end, tokens[row + count].tableOffset == token.tableOffset { count += 1 }
            let place = output.values + row * output.width + head * width
            let (next, nextHead) = head + 1 < heads ? (row, head + 1) : (row + count, 0)
            let following = next < rows ? tokens[next] : nil
            var work = hk_attention(
                tokens: count, group: group, length: Int(token.position) + 1,
                blocks: pageTable.pointee! + Int(token.tableOffset),
                queries: queries + row * queryStride + head * width,
                query_stride: queryStride, output: place, output_stride: output.width, scores: scores[worker],
                score_stride: scoreStride, scale: scale, next_head: nextHead,
                next_length: following.map { Int($0.position) + 1 } ?? 0,
                next_blocks: pageTable.pointee! + Int((following ?? token).tableOffset))
            kernels.pointee.attend(cache, head, &work)
            if var quantized = output.quantized {
                kernels.pointee.quantize(place, output.width, count, width, &quantized, row, head * width)
            }
            row += count
        }
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
        let panels = pair * Self.panels..<min((pair + 1) * Self.panels, up.panels)
        let row = tile * StepScratch.tileRows
        let count = min(StepScratch.tileRows, rows - row)
        let lanes = Self.panels * Int(HK_PANEL)
        let (gates, expansion) = (tiles[worker], expansions[worker])
        let ups = gates + StepScratch.tileRows * lanes
        gate.first.multiply(
            kernels, input, row: row, rows: count, panels: panels, to: gates, stride: lanes,
            next: up.weights(panel: panels.lowerBound), expansion: expansion)
        up.multiply(
            kernels, input, row: row, rows: count, panels: panels, to: ups, stride: lanes,
            next: gate.next(pair + 1, worker, following: following), expansion: expansion)
        let first = pair * lanes
        if var quantized = output.quantized {
            let width = panels.count * Int(HK_PANEL)
            kernels.pointee.silu_multiply(gates, ups, lanes, count, width, gates, lanes)
            kernels.pointee.quantize(gates, lanes, count, width, &quantized, row, first)
        } else {
            kernels.pointee.silu_multiply(
                gates, ups, lanes, count, min(lanes, width - first), output.values + row * output.width + first,
                output.width)
        }
    }
}

extension LogitsStage {
    /// A panel's logits for up to a tile of rows at a time, and their summaries.
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
                next: next, expansion: expansions[worker])
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
            next: head.weights(item: panel), expansion: expansions[worker])
        return UnsafePointer(tiles[worker])
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
