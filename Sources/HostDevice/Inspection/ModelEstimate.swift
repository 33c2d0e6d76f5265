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
            head: layout(tensors.output), positionBytes: blocks.groups.reduce(0) { $0 + $1.blockBytes } / 16,
            windows: description.attentions.map(\.window))
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
    /// What steps reach of the limits; `ttbatch bench` shows it for one model.
    private enum Reached {
        static let operations = 0.7
        static let reading = 0.8
    }

    /// Tokens per second of a prefill of prompts of `length` tokens.
    public func prefillTokensPerSecond(length: Int, at limits: HostLimits.Rates) -> Double {
        // On the average a token attends to half of the prompt. Its keys and values are read with those of its neighbours.
        let attention = attentionSeconds(context: Double(length) / 2, at: limits)
        return Reached.operations / (cost.layers.seconds(at: limits) + attention)
    }

    /// Tokens per second of decode steps of `rows` rows that attend to `context` positions each.
    ///
    /// Products and attention follow each other. Each takes as long as its reads or its operations, whichever is longer. All
    /// rows read the weights together.
    public func decodeTokensPerSecond(rows: Int, context: Int, at limits: HostLimits.Rates) -> Double {
        func seconds(bytes: Double, operations: Double) -> Double {
            max(bytes / limits.readBytesPerSecond / Reached.reading, operations / Reached.operations)
        }
        let products = seconds(
            bytes: Double(weightBytes),
            operations: (cost.layers.seconds(at: limits) + cost.head.seconds(at: limits)) * Double(rows))
        let attention = seconds(
            bytes: cost.attendedBytes(context: Double(context)),
            operations: attentionSeconds(context: Double(context), at: limits))
        return Double(rows) / (products + Double(rows) * attention)
    }

    /// The shortest time of a token's attention to `context` positions: scores, and the sum of values.
    private func attentionSeconds(context: Double, at limits: HostLimits.Rates) -> Double {
        let multiplyAdds = description.attentions.reduce(0) { $0 + 2 * $1.heads * $1.headSize }
        return 2 * Double(multiplyAdds) * cost.attended(context: context) / limits.floatOperationsPerSecond
    }
}
