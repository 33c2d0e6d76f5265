// The weights of a decoder, packed for the kernels.

import CHostKernels
import ModelFiles

/// The weights of a decoder.
struct DecoderWeights: Sendable {
    typealias Layer = DecoderLayer<PackedMatrix, DeviceBuffer<Float>>
    typealias Product = Layer.Product
    typealias Norm = Layer.Norm

    /// The token embeddings in the file's format, read row by row: `[hidden, vocabulary]`.
    let embedding: MappedTensor
    let layers: [Layer]
    let outputNorm: NormWeights<DeviceBuffer<Float>>
    /// The output head; the embedding's weights if the file has no separate one.
    let output: PackedMatrix
    /// The sizes of all layers.
    let geometry: DecoderGeometry

    /// Reads and packs all weights.
    ///
    /// - Parameters:
    ///   - quantize: what float matrices become; the embedding stays as it is.
    ///   - int8: packs each matrix for int8 activations if its element type supports them.
    /// - Throws: `ModelFileError` for files that `DecoderTensors` refuses, that have an impossible norm or weights that
    ///   are not numbers, or that were changed meanwhile; `HostDeviceError.outOfMemory`.
    init(
        _ weights: ModelWeights, _ description: ModelDescription, quantize: Quantization? = nil, int8: Bool,
        pool: ThreadPool
    ) throws {
        let tensors = try DecoderTensors(weights, description)
        embedding = tensors.embedding
        geometry = tensors.geometry
        do {
            let vectors = VectorReader(normOffset: description.norm.weightOffset)
            outputNorm = try vectors.norm(tensors.outputNorm)
            // Vectors are read first, so that damage in them is found before a large file is read for minutes.
            let read = try tensors.layers.map { layer in
                try layer.map(norm: vectors.norm, bias: vectors.values, matrix: { $0 })
            }
            // Matrices are stored in the order of their use.
            let arena = DeviceArena()
            func packed(_ tensor: MappedTensor) throws -> PackedMatrix {
                try PackedMatrix(tensor, int8: int8, quantization: quantize, pool: pool, arena: arena)
            }
            layers = try read.map { try $0.map(norm: { $0 }, bias: { $0 }, matrix: packed) }
            output = try packed(tensors.output)
            // Packing has checked the matrices, of which the embedding is one only where it is the output head too.
            if tensors.output.name != embedding.name { try embedding.checkFinite(pool) }
        } catch {
            // A file that is being changed may look damaged: report the change.
            try weights.checkUnchanged()
            throw error
        }
        try weights.checkUnchanged()
    }
}

extension DecoderTensors {
    /// All reasons for which values would be refused, the first one of each tensor. Reads all of `weights`.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`; `ModelFileError.changed`.
    func valueFaults(
        _ weights: ModelWeights, _ description: ModelDescription, pool: ThreadPool
    ) throws -> [ModelFileError] {
        let vectors = VectorReader(normOffset: description.norm.weightOffset)
        var faults: [ModelFileError] = []
        var checked: Set<String> = []
        func attempt(_ check: () throws -> Void) throws {
            do { try check() } catch let fault as ModelFileError { faults.append(fault) }
        }
        for norm in layers.flatMap(\.norms) + [outputNorm] {
            try attempt { _ = try vectors.norm(norm) }
            checked.formUnion([norm.scale.name] + (norm.bias.map { [$0.name] } ?? []))
        }
        for tensor in weights.tensors.values.sorted(by: { $0.name < $1.name }) where !checked.contains(tensor.name) {
            try attempt { try tensor.checkFinite(pool) }
        }
        try weights.checkUnchanged()
        return faults
    }
}

/// Reads vectors of floats from the files and checks them.
private struct VectorReader {
    /// Added to the scales of norms.
    let normOffset: Float

    /// A norm. If a scale is not a number, or all are 0, the file is damaged.
    func norm(_ norm: NormWeights<MappedTensor>) throws -> NormWeights<DeviceBuffer<Float>> {
        let scale = try values(norm.scale)
        for index in 0..<scale.count { scale.base[index] += normOffset }
        guard UnsafeBufferPointer(start: scale.base, count: scale.count).contains(where: { $0 != 0 }) else {
            throw ModelFileError.corrupt(
                path: norm.scale.path, offset: norm.scale.offset,
                reason: "tensor \(norm.scale.name) has no other values than 0")
        }
        return NormWeights(scale: scale, bias: try norm.bias.map { try values($0) })
    }

    /// The numbers of a vector.
    func values(_ tensor: MappedTensor) throws -> DeviceBuffer<Float> {
        let count = tensor.elementCount
        let values = try DeviceBuffer<Float>(count: count)
        hk_gguf_row(tensor.type.rawValue, tensor.bytes.baseAddress!, count, values.base)
        guard UnsafeBufferPointer(start: values.base, count: count).allSatisfy(\.isFinite) else {
            throw tensor.notFinite(
                at: hk_first_fault(tensor.type.rawValue, tensor.bytes.baseAddress!, tensor.bytes.count))
        }
        return values
    }
}
