// The tensors of a decoder in its mapped files, checked against its description; no memory is allocated.

import ModelFiles

/// The tensors of a decoder; its files must have all that the description needs, and no others.
struct DecoderTensors {
    /// The token embeddings: `[hidden, vocabulary]`.
    let embedding: MappedTensor
    let layers: [DecoderLayer<MappedTensor, MappedTensor>]
    let outputNorm: NormWeights<MappedTensor>
    /// The output head; the embedding if the files have no separate one.
    let output: MappedTensor
    /// The sizes of all layers.
    let geometry: DecoderGeometry

    /// Finds all tensors.
    ///
    /// - Throws: `ModelFileError.missingTensor`, `.wrongShape`, or `.unsupported` for a tensor that the model would not
    ///   use.
    init(_ weights: ModelWeights, _ description: ModelDescription) throws(ModelFileError) {
        var finder = TensorFinder(weights: weights)
        let geometry = try DecoderGeometry(description, path: weights.path)
        self.geometry = geometry
        embedding = try finder.embedding(geometry)
        var layers: [DecoderLayer<MappedTensor, MappedTensor>] = []
        for index in description.layers.indices { layers.append(try finder.layer(index, geometry)) }
        self.layers = layers
        outputNorm = try finder.outputNorm(geometry)
        output = try finder.output(geometry)
        if let fault = finder.others.first { throw fault }
    }

    /// All reasons for which the tensors are refused: the first one of each layer, and if there is none, every tensor that
    /// the model would not use.
    static func faults(_ weights: ModelWeights, _ description: ModelDescription) -> [ModelFileError] {
        var finder = TensorFinder(weights: weights)
        var faults: [ModelFileError] = []
        func attempt(_ find: (inout TensorFinder) throws(ModelFileError) -> Void) {
            do throws(ModelFileError) { try find(&finder) } catch { faults.append(error) }
        }
        do throws(ModelFileError) {
            let geometry = try DecoderGeometry(description, path: weights.path)
            attempt { finder throws(ModelFileError) in _ = try finder.embedding(geometry) }
            for index in description.layers.indices {
                attempt { finder throws(ModelFileError) in _ = try finder.layer(index, geometry) }
            }
            attempt { finder throws(ModelFileError) in _ = try finder.outputNorm(geometry) }
            attempt { finder throws(ModelFileError) in _ = try finder.output(geometry) }
            return faults.isEmpty ? finder.others : faults
        } catch {
            return [error]
        }
    }
}

/// Finds and checks the tensors of a model, and records which were found.
private struct TensorFinder {
    typealias Product = ProductWeights<MappedTensor, MappedTensor>
    typealias Norm = NormWeights<MappedTensor>

    let weights: ModelWeights
    /// The description's own tensors are read with it.
    private var taken: Set<String> = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"]

    init(weights: ModelWeights) { self.weights = weights }

    private func has(_ name: String) -> Bool { weights[name + ".weight"] != nil }

    mutating func embedding(_ sizes: DecoderGeometry) throws(ModelFileError) -> MappedTensor {
        try matrix("token_embd", sizes.hidden, sizes.vocabulary)
    }

    mutating func outputNorm(_ sizes: DecoderGeometry) throws(ModelFileError) -> Norm {
        guard let norm = try norm("output_norm", sizes.hidden) else {
            throw .missingTensor(path: weights.path, name: "output_norm.weight")
        }
        return norm
    }

    mutating func output(_ sizes: DecoderGeometry) throws(ModelFileError) -> MappedTensor {
        try matrix(has("output") ? "output" : "token_embd", sizes.hidden, sizes.vocabulary)
    }

    mutating func layer(
        _ index: Int, _ sizes: DecoderGeometry
    ) throws(ModelFileError) -> DecoderLayer<MappedTensor, MappedTensor> {
        let prefix = "blk.\(index)."
        let (hidden, width) = (sizes.hidden, sizes.feedForward)
        let (query, key, value) = try projections(prefix, sizes)
        let (gate, up) = try gateAndUp(prefix, hidden, width)
        return DecoderLayer(
            attentionNorm: try norm(prefix + "attn_norm", hidden), query: query, key: key, value: value,
            queryNorm: try norm(prefix + "attn_q_norm", sizes.headSize, or: sizes.queryWidth),
            keyNorm: try norm(prefix + "attn_k_norm", sizes.headSize, or: sizes.keyWidth),
            attentionOutput: try product(prefix + "attn_output", sizes.queryWidth, hidden),
            attentionPostNorm: try norm(prefix + "post_attention_norm", hidden),
            feedForwardNorm: try norm(prefix + "ffn_norm", hidden), gate: gate, up: up,
            down: try product(prefix + "ffn_down", width, hidden),
            feedForwardPostNorm: try norm(prefix + "post_ffw_norm", hidden))
    }

    /// Queries, keys and values, which some files have in one matrix.
    private mutating func projections(
        _ prefix: String, _ sizes: DecoderGeometry
    ) throws(ModelFileError) -> (Product, Product, Product) {
        let (hidden, queries, keys) = (sizes.hidden, sizes.queryWidth, sizes.keyWidth)
        guard has(prefix + "attn_qkv") else {
            return (
                try product(prefix + "attn_q", hidden, queries), try product(prefix + "attn_k", hidden, keys),
                try product(prefix + "attn_v", hidden, keys)
            )
        }
        let all = try product(prefix + "attn_qkv", hidden, queries + 2 * keys)
        return (
            all.slice(0..<queries), all.slice(queries..<queries + keys),
            all.slice(queries + keys..<queries + 2 * keys)
        )
    }

    /// Gate and up, which some files have in one matrix, and some families without a gate.
    private mutating func gateAndUp(
        _ prefix: String, _ hidden: Int, _ width: Int
    ) throws(ModelFileError) -> (Product?, Product) {
        let up = prefix + "ffn_up"
        if has(prefix + "ffn_gate") {
            return (try product(prefix + "ffn_gate", hidden, width), try product(up, hidden, width))
        }
        guard weights[up + ".weight"]?.shape == [hidden, 2 * width] else {
            return (nil, try product(up, hidden, width))
        }
        let both = try product(up, hidden, 2 * width)
        return (both.slice(0..<width), both.slice(width..<2 * width))
    }

    private mutating func product(_ name: String, _ inputs: Int, _ outputs: Int) throws(ModelFileError) -> Product {
        Product(matrix: try matrix(name, inputs, outputs), bias: try vector(name + ".bias", outputs))
    }

    private mutating func matrix(_ name: String, _ inputs: Int, _ outputs: Int) throws(ModelFileError) -> MappedTensor {
        guard let tensor = weights[name + ".weight"] else {
            throw .missingTensor(path: weights.path, name: name + ".weight")
        }
        return try take(name + ".weight", tensor, [[inputs, outputs]])
    }

    /// The norm of vectors of `count`, if there is one.
    private mutating func norm(_ name: String, _ count: Int, or other: Int? = nil) throws(ModelFileError) -> Norm? {
        guard let tensor = weights[name + ".weight"] else { return nil }
        let scale = try take(name + ".weight", tensor, [[count]] + (other.map { [[$0]] } ?? []))
        return Norm(scale: scale, bias: try vector(name + ".bias", scale.shape[0]))
    }

    private mutating func vector(_ name: String, _ count: Int) throws(ModelFileError) -> MappedTensor? {
        guard let tensor = weights[name] else { return nil }
        return try take(name, tensor, [[count]])
    }

    private mutating func take(
        _ name: String, _ tensor: MappedTensor, _ shapes: [[Int]]
    ) throws(ModelFileError) -> MappedTensor {
        guard shapes.contains(tensor.shape) else {
            throw .wrongShape(path: tensor.path, name: tensor.name, expected: shapes[0], found: tensor.shape)
        }
        taken.insert(name)
        return tensor
    }

    /// An error for each tensor that was not found, for example a bias: without it the results would be silently wrong.
    var others: [ModelFileError] {
        weights.tensors.keys.filter { !taken.contains($0) }.sorted().map { name in
            .unsupported(path: weights.path, what: "tensor \(weights[name]?.name ?? name)")
        }
    }
}

extension ProductWeights where Matrix == MappedTensor, Vector == MappedTensor {
    /// The product of some of the outputs.
    fileprivate func slice(_ outputs: Range<Int>) -> Self {
        ProductWeights(matrix: matrix.slice(outputs), bias: bias?.slice(outputs))
    }
}
