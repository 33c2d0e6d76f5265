// What a model would need on the host device and how fast it would be, by its headers and the device's limits.

import ModelFiles
public import Platform

/// The estimate of a model in one mode. Nothing is packed for it.
public struct ModelEstimate: Sendable {
    /// Multiply-adds and bytes of its steps.
    public let cost: ModelCost
    private let description: ModelDescription

    init(
        _ config: ModelConfig, _ description: ModelDescription, _ tensors: DecoderTensors,
        _ optimizations: Optimizations
    ) {
        self.description = description
        let int8 = optimizations != .accuracy
        func layout(_ matrix: MappedTensor) -> PackedLayout {
            let (inputs, outputs) = (matrix.shape[0], matrix.shape[1])
            let quantization = config.quantize.flatMap { $0.applies(to: matrix.type, inputs: inputs) ? $0 : nil }
            return PackedLayout(quantization?.type ?? matrix.type, inputs: inputs, outputs: outputs, int8: int8)
        }
        let blocks = KVCacheLayout.ofOneBlock(
            description, blockSize: 16, longest: config.contextLength, type: HostModel.cacheType(nil, optimizations))
        cost = ModelCost(
            layers: tensors.layers.map { $0.map(norm: { $0 }, bias: { $0 }, matrix: layout) },
            head: layout(tensors.output), positionBytes: blocks.groups.reduce(0) { $0 + $1.blockBytes } / 16)
    }

    /// Bytes of the weights, packed. The token embeddings stay in the file.
    public var weightBytes: Int { cost.weightBytes }

    /// Bytes of the keys and values of one sequence that is being decoded. What lies behind a window is not kept.
    ///
    /// - Parameters:
    ///   - length: tokens of the sequence.
    ///   - blockSize: tokens of a block; the last block counts as a whole.
    public func cacheBytes(length: Int, blockSize: Int, type: KVCacheDType) -> Int {
        let layout = KVCacheLayout.ofOneBlock(description, blockSize: blockSize, longest: length, type: type)
        let blocks = (length + blockSize - 1) / blockSize
        return layout.groups.indices.reduce(0) { bytes, group in
            bytes + (blocks - layout.shape.firstBlock(of: group, at: length - 1)) * layout.groups[group].blockBytes
        }
    }

    /// The data type of the cache where the configuration leaves it to the mode.
    public static func cacheType(_ optimizations: Optimizations) -> KVCacheDType {
        HostModel.cacheType(nil, optimizations)
    }

    /// The memory that weights and caches may take on this machine; `nil` if the system does not say.
    public static var freeBytes: Int? { AvailableMemory.forCache() }
}

extension ModelEstimate {
    /// What steps reach of the limits on the whole, attention and all that is between the products included. `ttbatch bench`
    /// shows it for one model.
    private enum Reached {
        static let products = 0.7
        static let reading = 0.8
    }

    /// Tokens per second of a prefill of long prompts.
    public func prefillTokensPerSecond(at limits: HostLimits.Rates) -> Double {
        Reached.products / cost.layers.seconds(at: limits)
    }

    /// Tokens per second of decode steps of `rows` rows that attend to `context` positions each. A step takes as long as its
    /// reads or its products, whichever is longer.
    public func decodeTokensPerSecond(rows: Int, context: Int, at limits: HostLimits.Rates) -> Double {
        let reading = cost.decodeBytes(rows: rows, context: Double(context)) / limits.readBytesPerSecond
        let products = (cost.layers.seconds(at: limits) + cost.head.seconds(at: limits)) * Double(rows)
        return Double(rows) / max(reading / Reached.reading, products / Reached.products)
    }
}
