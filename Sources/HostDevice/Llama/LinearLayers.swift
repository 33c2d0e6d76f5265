// Matrix products of a tile of tokens, shared out over the threads by panels of output channels.

import CHostKernels

/// Activations that enter products: `rows` rows of floats, and their int8 form where it was made.
struct Activations {
    let rows: Int
    let values: UnsafePointer<Float>
    let width: Int
    let quantized: hk_quantized?
}

/// A product's weights and where its results go.
struct Projection {
    let matrix: PackedMatrix
    /// Row 0's results; whole panels are written.
    let output: UnsafeMutablePointer<Float>
    /// Floats from one row's results to the next's.
    let stride: Int
}

extension LlamaForward {
    /// Computes several products of the same activations as one region of the thread pool.
    func multiply(_ input: Activations, _ projections: [Projection]) {
        let total = projections.reduce(0) { $0 + $1.matrix.panels }
        pool.forEach(total) { worker, part in
            var first = 0
            for projection in projections {
                let panels = projection.matrix.panels
                let begin = max(part.lowerBound - first, 0)
                let end = min(part.upperBound - first, panels)
                if begin < end { multiply(input, projection, begin, end, worker) }
                first += panels
            }
        }
    }

    private func multiply(_ input: Activations, _ projection: Projection, _ begin: Int, _ end: Int, _ worker: Int) {
        let matrix = projection.matrix
        if var quantized = input.quantized, matrix.takesInt8 {
            kernels.table.matmul_int8(
                &matrix.descriptor, begin, end, &quantized, input.rows, projection.output, projection.stride)
        } else {
            kernels.table.matmul_float(
                &matrix.descriptor, begin, end, input.values, input.width, input.rows, projection.output,
                projection.stride, scratch.expansion(worker: worker))
        }
    }
}
