// The tensors of a llama model, checked against its configuration and packed.

import CHostKernels
import Glibc
import ModelFiles

/// The weights of a llama model.
struct LlamaWeights: Sendable {
    /// One transformer layer.
    struct Layer: Sendable {
        let attentionNorm: DeviceBuffer<Float>
        let query: PackedMatrix
        let key: PackedMatrix
        let value: PackedMatrix
        let attentionOutput: PackedMatrix
        let feedForwardNorm: DeviceBuffer<Float>
        let gate: PackedMatrix
        let up: PackedMatrix
        let down: PackedMatrix
    }

    /// Where token embeddings are read, row by row, as they lie in the file: `[hidden, vocabulary]`.
    let embedding: MappedTensor
    let layers: [Layer]
    let outputNorm: DeviceBuffer<Float>
    /// The output head; the embedding's weights where the file has none of its own.
    let output: PackedMatrix

    /// Reads and packs all weights.
    ///
    /// - Parameter int8: for int8 activations, where a matrix can be multiplied by them.
    /// - Throws: `ModelFileError.missingTensor`, `.wrongShape` or `.unsupported`; `HostDeviceError.outOfMemory`.
    init(_ file: GGUFFile, _ config: ModelConfig, int8: Bool, pool: ThreadPool) throws {
        let reader = TensorReader(file: file, int8: int8, pool: pool)
        let (hidden, feedForward) = (config.hiddenSize, config.intermediateSize)
        let queryWidth = config.attentionHeadCount * config.headSize
        let keyWidth = config.keyValueHeadCount * config.headSize
        embedding = try reader.tensor("token_embd.weight", [hidden, config.vocabularySize])
        var layers: [Layer] = []
        for index in 0..<config.layerCount {
            let prefix = "blk.\(index)."
            layers.append(
                Layer(
                    attentionNorm: try reader.vector(prefix + "attn_norm.weight", hidden),
                    query: try reader.matrix(prefix + "attn_q.weight", hidden, queryWidth),
                    key: try reader.matrix(prefix + "attn_k.weight", hidden, keyWidth),
                    value: try reader.matrix(prefix + "attn_v.weight", hidden, keyWidth),
                    attentionOutput: try reader.matrix(prefix + "attn_output.weight", queryWidth, hidden),
                    feedForwardNorm: try reader.vector(prefix + "ffn_norm.weight", hidden),
                    gate: try reader.matrix(prefix + "ffn_gate.weight", hidden, feedForward),
                    up: try reader.matrix(prefix + "ffn_up.weight", hidden, feedForward),
                    down: try reader.matrix(prefix + "ffn_down.weight", feedForward, hidden)))
        }
        self.layers = layers
        outputNorm = try reader.vector("output_norm.weight", hidden)
        let head = file.tensors["output.weight"] == nil ? "token_embd.weight" : "output.weight"
        output = try reader.matrix(head, hidden, config.vocabularySize)
        try reader.refuseUnread()
    }
}

/// Takes tensors out of a file, checking each, and remembers which were taken.
private final class TensorReader {
    let file: GGUFFile
    let int8: Bool
    let pool: ThreadPool
    /// Matrices lie in it in the order of their use.
    private let arena = DeviceArena()
    private var taken: Set<String> = ["rope_freqs.weight"]

    init(file: GGUFFile, int8: Bool, pool: ThreadPool) {
        self.file = file
        self.int8 = int8
        self.pool = pool
    }

    func tensor(_ name: String, _ shape: [Int]) throws(ModelFileError) -> MappedTensor {
        let tensor = try file.tensor(name)
        guard tensor.shape == shape else {
            throw .wrongShape(path: file.path, name: name, expected: shape, found: tensor.shape)
        }
        taken.insert(name)
        return tensor
    }

    func matrix(_ name: String, _ inputs: Int, _ outputs: Int) throws -> PackedMatrix {
        try PackedMatrix(tensor(name, [inputs, outputs]), int8: int8, pool: pool, arena: arena)
    }

    func vector(_ name: String, _ count: Int) throws -> DeviceBuffer<Float> {
        let tensor = try tensor(name, [count])
        let values = try DeviceBuffer<Float>(count: count)
        hk_gguf_row(tensor.type.rawValue, tensor.bytes.baseAddress!, count, values.base)
        return values
    }

    /// A tensor that nobody asked for, a bias for example, would silently change what the model computes.
    func refuseUnread() throws(ModelFileError) {
        if let name = file.tensors.keys.filter({ !taken.contains($0) }).min() {
            throw .unsupported(path: file.path, what: "tensor \(name)")
        }
    }
}
