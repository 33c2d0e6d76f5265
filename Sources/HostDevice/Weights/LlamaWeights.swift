// The weights of a llama model, packed for the kernels.

import CHostKernels
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

    /// The token embeddings in the file's format, read row by row: `[hidden, vocabulary]`.
    let embedding: MappedTensor
    let layers: [Layer]
    let outputNorm: DeviceBuffer<Float>
    /// The output head; the embedding's weights if the file has no separate one.
    let output: PackedMatrix

    /// Reads and packs all weights.
    ///
    /// - Parameter int8: packs each matrix for int8 activations if its element type supports them.
    /// - Throws: `ModelFileError` for a file that `LlamaTensors` refuses, that has an impossible norm, or that was
    ///   changed meanwhile; `HostDeviceError.outOfMemory`.
    init(_ file: GGUFFile, _ config: ModelConfig, int8: Bool, pool: ThreadPool) throws {
        let tensors = try LlamaTensors(file, config)
        embedding = tensors.embedding
        do {
            outputNorm = try Self.norm(tensors.outputNorm, file)
            // Vectors are read first, so that damage in them is found before a large file is read for minutes.
            let norms = try tensors.layers.map { layer in
                (
                    attention: try Self.norm(layer.attentionNorm, file),
                    feedForward: try Self.norm(layer.feedForwardNorm, file)
                )
            }
            // Matrices are stored in the order of their use.
            let arena = DeviceArena()
            func packed(_ tensor: MappedTensor) throws(HostDeviceError) -> PackedMatrix {
                try PackedMatrix(tensor, int8: int8, pool: pool, arena: arena)
            }
            layers = try zip(tensors.layers, norms).map { layer, norms in
                Layer(
                    attentionNorm: norms.attention, query: try packed(layer.query), key: try packed(layer.key),
                    value: try packed(layer.value), attentionOutput: try packed(layer.attentionOutput),
                    feedForwardNorm: norms.feedForward, gate: try packed(layer.gate), up: try packed(layer.up),
                    down: try packed(layer.down))
            }
            output = try packed(tensors.output)
        } catch {
            // A file that is being changed may look damaged: report the change.
            try file.file.checkUnchanged()
            throw error
        }
        try file.file.checkUnchanged()
    }

    /// The scales of a norm. If one is not a number, or all are 0, the file is damaged.
    private static func norm(_ tensor: MappedTensor, _ file: GGUFFile) throws -> DeviceBuffer<Float> {
        let count = tensor.elementCount
        let values = try DeviceBuffer<Float>(count: count)
        hk_gguf_row(tensor.type.rawValue, tensor.bytes.baseAddress!, count, values.base)
        let numbers = UnsafeBufferPointer(start: values.base, count: count)
        func damaged(_ how: String) -> ModelFileError {
            .corrupt(path: file.path, offset: tensor.offset, reason: "tensor \(tensor.name) \(how)")
        }
        guard numbers.allSatisfy(\.isFinite) else { throw damaged("has values that are not numbers") }
        guard numbers.contains(where: { $0 != 0 }) else { throw damaged("has no other values than 0") }
        return values
    }
}
