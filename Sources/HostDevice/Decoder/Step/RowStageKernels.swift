// Runs the items of stages over rows of activations: embeddings, norms, rotation, and what goes to the cache.

import CHostKernels
import Glibc

extension EmbedStage {
    func run(_ part: Range<Int>) {
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
    func run(
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
    func run(_ kernels: UnsafePointer<hk_kernels>, _ worker: Int, _ part: Range<Int>) {
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
    func run(
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
    func run(_ kernels: UnsafePointer<hk_kernels>, _ row: Int) {
        let place = heads + row * stride
        if let bias { kernels.pointee.add_bias(place, 0, 1, width, bias) }
        norm.run(kernels, place, count: width, to: place)
    }
}

extension PrepareQueriesStage {
    @inline(__always)
    func run(_ kernels: UnsafePointer<hk_kernels>, _ row: Int) {
        let position = tokens[row].position
        preparation.angles?.fill(row, position: position)
        preparation.run(
            kernels, row, position: position, queries + row * stride, first: 0, count: count, size: headSize)
    }
}

extension StoreStage {
    @inline(__always)
    func run(_ kernels: UnsafePointer<hk_kernels>, _ item: Int) {
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

extension QuantizeStage {
    @inline(__always)
    func run(_ kernels: UnsafePointer<hk_kernels>, _ part: Range<Int>) {
        var quantized = quantized
        kernels.pointee.quantize(
            values + part.lowerBound * width, width, part.count, width, &quantized, part.lowerBound, 0)
    }
}
