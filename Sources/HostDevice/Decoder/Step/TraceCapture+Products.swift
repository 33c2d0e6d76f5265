// The products of a layer, in the order of their use, and the memory that they write.

import CHostKernels

extension TraceCapture {
    var lastIndex: Int { weights.layers.count - 1 }

    /// `nil` after the last layer.
    func readAhead(_ layer: Int) -> ReadAhead? {
        guard layer <= lastIndex else { return nil }
        return ReadAhead(places: planned(layer).readAhead.places, cache: UnsafePointer(caches.base + layer))
    }

    /// The first products of a layer in `layers`: queries, keys and values; for the last layer only keys and values.
    func projections(_ index: Int) -> Projections {
        let layer = weights.layers[index]
        let keysAndValues = keysAndValues(layer)
        if index == lastIndex { return keysAndValues }
        return Projections(
            first: queries(layer).first, second: keysAndValues.first, third: keysAndValues.second, threads: threads)
    }

    func queries(_ layer: DecoderWeights.Layer) -> Projections {
        Projections(
            first: projection(layer.query.matrix, scratch.projections.base, scratch.projectionStride),
            threads: threads)
    }

    func keysAndValues(_ layer: DecoderWeights.Layer) -> Projections {
        let keys = scratch.projections.base + layer.query.matrix.paddedOutputs
        return Projections(
            first: projection(layer.key.matrix, keys, scratch.projectionStride),
            second: projection(layer.value.matrix, keys + layer.key.matrix.paddedOutputs, scratch.projectionStride),
            threads: threads)
    }

    func attentionOutput(_ layer: DecoderWeights.Layer) -> Projections {
        Projections(
            first: projection(layer.attentionOutput.matrix, scratch.result.base, scratch.resultStride),
            threads: threads)
    }

    /// The first product of a feed-forward: its gate, or up if it has none.
    func gate(_ layer: DecoderWeights.Layer) -> Projections {
        Projections(
            first: tileProjection((layer.gate ?? layer.up).matrix), panelsOfItem: FeedForwardStage.panels,
            threads: threads)
    }

    func down(_ layer: DecoderWeights.Layer) -> Projections {
        Projections(
            first: projection(layer.down.matrix, scratch.result.base, scratch.resultStride), threads: threads)
    }

    var head: Projections {
        Projections(first: projection(weights.output, logits.base, weights.output.paddedOutputs), threads: threads)
    }

    /// A product whose results go to each thread's own tiles.
    func tileProjection(_ matrix: PackedMatrix) -> Projection {
        projection(matrix, scratch.tiles.places.base, FeedForwardStage.panels * Int(HK_PANEL))
    }

    func projection(_ matrix: PackedMatrix, _ output: UnsafeMutablePointer<Float>, _ stride: Int) -> Projection {
        Projection(
            matrix: matrix.descriptor, panels: matrix.panels, usesInt8: matrix.takesInt8, output: output,
            stride: stride)
    }
}
