// The weights of a decoder, by what they do. Those that a family does not have are nil, and their step does not exist.

import ModelFiles

/// A matrix product, with a bias if there is one.
struct ProductWeights<Matrix: Sendable, Vector: Sendable>: Sendable {
    var matrix: Matrix
    var bias: Vector?
}

/// A norm's scales, with a bias if there is one.
struct NormWeights<Vector: Sendable>: Sendable {
    var scale: Vector
    var bias: Vector?
}

/// One layer of attention and a dense feed-forward, as tensors of a file or packed for the kernels.
struct DecoderLayer<Matrix: Sendable, Vector: Sendable>: Sendable {
    typealias Product = ProductWeights<Matrix, Vector>
    typealias Norm = NormWeights<Vector>

    var attentionNorm: Norm?
    var query: Product
    var key: Product
    var value: Product
    /// Norms of queries and keys, of each head or of all heads together.
    var queryNorm: Norm?
    var keyNorm: Norm?
    var attentionOutput: Product
    /// The norm of what attention adds to the residual stream.
    var attentionPostNorm: Norm?
    var feedForwardNorm: Norm?
    var gate: Product?
    var up: Product
    var down: Product
    /// The norm of what the feed-forward adds to the residual stream.
    var feedForwardPostNorm: Norm?
}

extension DecoderLayer {
    /// The matrices in the order of their use.
    var matrices: [Matrix] {
        [query.matrix, key.matrix, value.matrix, attentionOutput.matrix] + (gate.map { [$0.matrix] } ?? [])
            + [up.matrix, down.matrix]
    }

    /// The norms in the order of their use.
    var norms: [Norm] {
        [
            attentionNorm, queryNorm, keyNorm, attentionPostNorm, feedForwardNorm, feedForwardPostNorm,
        ].compactMap(\.self)
    }

    /// The same layer with other types: of norms, biases and matrices.
    func map<OtherMatrix, OtherVector>(
        norm: (Norm) throws -> NormWeights<OtherVector>, bias: (Vector) throws -> OtherVector,
        matrix: (Matrix) throws -> OtherMatrix
    ) rethrows -> DecoderLayer<OtherMatrix, OtherVector> {
        func product(_ product: Product) throws -> ProductWeights<OtherMatrix, OtherVector> {
            ProductWeights(matrix: try matrix(product.matrix), bias: try product.bias.map(bias))
        }
        return DecoderLayer<OtherMatrix, OtherVector>(
            attentionNorm: try attentionNorm.map(norm), query: try product(query), key: try product(key),
            value: try product(value), queryNorm: try queryNorm.map(norm), keyNorm: try keyNorm.map(norm),
            attentionOutput: try product(attentionOutput), attentionPostNorm: try attentionPostNorm.map(norm),
            feedForwardNorm: try feedForwardNorm.map(norm), gate: try gate.map(product), up: try product(up),
            down: try product(down), feedForwardPostNorm: try feedForwardPostNorm.map(norm))
    }
}
