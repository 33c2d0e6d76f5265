// The tensors of a llama model in its mapped file, checked against the configuration; no memory is allocated.

import ModelFiles

/// The tensors of a llama model; the file must have all of them and no others.
struct LlamaTensors {
    /// One transformer layer.
    struct Layer {
        let attentionNorm: MappedTensor
        let query: MappedTensor
        let key: MappedTensor
        let value: MappedTensor
        let attentionOutput: MappedTensor
        let feedForwardNorm: MappedTensor
        let gate: MappedTensor
        let up: MappedTensor
        let down: MappedTensor
    }

    let embedding: MappedTensor
    let layers: [Layer]
    let outputNorm: MappedTensor
    /// The output head; the embedding if the file has no separate one.
    let output: MappedTensor

    /// Finds all tensors.
    ///
    /// - Throws: `ModelFileError.missingTensor`, `.wrongShape`, or `.unsupported` for a tensor that the model would not
    ///   use.
    init(_ file: GGUFFile, _ config: ModelConfig) throws(ModelFileError) {
        var finder = TensorFinder(file: file)
        let (hidden, feedForward) = (config.hiddenSize, config.intermediateSize)
        let queryWidth = config.attentionHeadCount * config.headSize
        let keyWidth = config.keyValueHeadCount * config.headSize
        embedding = try finder.tensor("token_embd.weight", [hidden, config.vocabularySize])
        var layers: [Layer] = []
        for index in 0..<config.layerCount {
            let prefix = "blk.\(index)."
            layers.append(
                Layer(
                    attentionNorm: try finder.tensor(prefix + "attn_norm.weight", [hidden]),
                    query: try finder.tensor(prefix + "attn_q.weight", [hidden, queryWidth]),
                    key: try finder.tensor(prefix + "attn_k.weight", [hidden, keyWidth]),
                    value: try finder.tensor(prefix + "attn_v.weight", [hidden, keyWidth]),
                    attentionOutput: try finder.tensor(prefix + "attn_output.weight", [queryWidth, hidden]),
                    feedForwardNorm: try finder.tensor(prefix + "ffn_norm.weight", [hidden]),
                    gate: try finder.tensor(prefix + "ffn_gate.weight", [hidden, feedForward]),
                    up: try finder.tensor(prefix + "ffn_up.weight", [hidden, feedForward]),
                    down: try finder.tensor(prefix + "ffn_down.weight", [feedForward, hidden])))
        }
        self.layers = layers
        outputNorm = try finder.tensor("output_norm.weight", [hidden])
        let head = file.tensors["output.weight"] == nil ? "token_embd.weight" : "output.weight"
        output = try finder.tensor(head, [hidden, config.vocabularySize])
        try finder.refuseOthers()
    }
}

/// Finds and checks the tensors of a file, and records which were found.
private struct TensorFinder {
    let file: GGUFFile
    private var taken: Set<String> = ["rope_freqs.weight"]

    init(file: GGUFFile) { self.file = file }

    mutating func tensor(_ name: String, _ shape: [Int]) throws(ModelFileError) -> MappedTensor {
        let tensor = try file.tensor(name)
        guard tensor.shape == shape else {
            throw .wrongShape(path: file.path, name: name, expected: shape, found: tensor.shape)
        }
        taken.insert(name)
        return tensor
    }

    /// Throws if the file has other tensors, for example a bias: without them the results would be silently wrong.
    func refuseOthers() throws(ModelFileError) {
        if let name = file.tensors.keys.filter({ !taken.contains($0) }).min() {
            throw .unsupported(path: file.path, what: "tensor \(name)")
        }
    }
}
