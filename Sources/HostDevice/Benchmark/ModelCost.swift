// The cost of a model's step by its shape: multiply-adds, and bytes read from memory.

import CHostKernels
import ModelFiles
import Platform

/// Multiply-adds of matrix products, by the form of the activations.
public struct ProductCost: Sendable, Equatable {
    /// With int8 activations.
    public var int8MultiplyAdds = 0
    /// With float activations.
    public var floatMultiplyAdds = 0

    /// Operations of both kinds; a multiply-add is two operations.
    public var operations: Int { 2 * (int8MultiplyAdds + floatMultiplyAdds) }

    /// The shortest time that the products can take.
    func seconds(at limits: HostLimits.Rates) -> Double {
        2 * Double(int8MultiplyAdds) / limits.int8OperationsPerSecond
            + 2 * Double(floatMultiplyAdds) / limits.floatOperationsPerSecond
    }

    static func - (a: ProductCost, b: ProductCost) -> ProductCost {
        ProductCost(
            int8MultiplyAdds: a.int8MultiplyAdds - b.int8MultiplyAdds,
            floatMultiplyAdds: a.floatMultiplyAdds - b.floatMultiplyAdds)
    }

    static func * (cost: ProductCost, count: Int) -> ProductCost {
        ProductCost(
            int8MultiplyAdds: cost.int8MultiplyAdds * count, floatMultiplyAdds: cost.floatMultiplyAdds * count)
    }
}

/// The cost of a model's steps.
public struct ModelCost: Sendable, Equatable {
    /// The layers' products for a token with an output.
    public let layers: ProductCost
    /// The part of them that is not computed for other tokens: the last layer's, except keys and values.
    let spared: ProductCost
    /// The output head's product for a row with an output.
    public let head: ProductCost
    /// Bytes of the packed weights, which every decode step reads once.
    public let weightBytes: Int
    /// Bytes of a position's keys and values over all layers, which the row's later tokens read.
    public let positionBytes: Int
    /// The window of each layer's attention.
    private let windows: [Int?]

    init(_ loaded: HostModel) {
        let model = loaded.parts
        // A block of this size has no padding.
        self.init(
            layers: model.weights.layers.map { $0.map(norm: { $0 }, bias: { $0 }, matrix: \.layout) },
            head: model.weights.output.layout, positionBytes: loaded.kvCacheBytes(blockSize: 16) / 16,
            windows: model.description.attentions.map(\.window))
    }

    /// The cost of layers and an output head with matrices of these forms, and of attention in these windows.
    init<Vector>(
        layers: [DecoderLayer<PackedLayout, Vector>], head: PackedLayout, positionBytes: Int, windows: [Int?]
    ) {
        let matrices = layers.flatMap(\.matrices)
        self.layers = ProductCost(matrices)
        spared = ProductCost(layers.last?.outputMatrices ?? [])
        self.head = ProductCost([head])
        weightBytes = matrices.reduce(head.byteCount) { $0 + $1.byteCount }
        self.positionBytes = positionBytes
        self.windows = windows
    }

    /// The layers' products of a step of `tokens` tokens, of which `outputs` have an output.
    func layers(tokens: Int, outputs: Int) -> ProductCost { layers * tokens - spared * (tokens - outputs) }

    /// Bytes that a decode step of `rows` rows reads when each attends to `context` positions.
    func decodeBytes(rows: Int, context: Double) -> Double {
        Double(weightBytes) + Double(rows) * attendedBytes(context: context)
    }

    /// Bytes of the keys and values that a token attends to.
    func attendedBytes(context: Double) -> Double { Double(positionBytes) * attended(context: context) }

    /// Positions that a token attends to on the average of all layers, of which some have a window.
    func attended(context: Double) -> Double {
        let positions = windows.map { window in window.map { min(context, Double($0)) } ?? context }
        return positions.reduce(0, +) / Double(max(1, positions.count))
    }
}

extension ProductCost {
    /// The products with one row of activations.
    fileprivate init(_ matrices: [PackedLayout]) {
        for matrix in matrices {
            if matrix.takesInt8 {
                int8MultiplyAdds += matrix.multiplyAdds
            } else {
                floatMultiplyAdds += matrix.multiplyAdds
            }
        }
    }
}

extension DecoderLayer {
    /// The matrices that a token's output needs but its keys and values do not.
    fileprivate var outputMatrices: [Matrix] {
        [query.matrix, attentionOutput.matrix] + (gate.map { [$0.matrix] } ?? []) + [up.matrix, down.matrix]
    }
}
