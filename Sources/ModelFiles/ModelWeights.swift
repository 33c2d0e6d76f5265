// A model's tensors by one set of names, whatever the container.

/// The tensors of a model. Names are those of GGUF files: `token_embd.weight`, `blk.0.attn_q.weight`.
public struct ModelWeights: Sendable {
    /// The file or folder, for messages.
    public let path: String
    /// All tensors by name. A tensor's own `name` is the one in its file.
    public let tensors: [String: MappedTensor]
    /// The files that the tensors lie in.
    let files: [MappedFile]

    /// The tensors of a file or folder.
    init(path: String, tensors: [String: MappedTensor], files: [MappedFile]) {
        self.path = path
        self.tensors = tensors
        self.files = files
    }

    /// The tensor called `name`, if there is one.
    public subscript(name: String) -> MappedTensor? { tensors[name] }

    /// Number of weights.
    public var parameterCount: Int { tensors.values.reduce(0) { $0 + $1.elementCount } }

    /// The most frequent element type of the matrices.
    public var commonType: TensorType {
        var elements: [TensorType: Int] = [:]
        for tensor in tensors.values where tensor.shape.count == 2 {
            elements[tensor.type, default: 0] += tensor.elementCount
        }
        return elements.max { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) }?.key ?? .f32
    }

    /// Throws if a file is not the one that was opened any more; see `MappedFile.checkUnchanged`.
    ///
    /// - Throws: `ModelFileError.changed`.
    public func checkUnchanged() throws(ModelFileError) {
        for file in files { try file.checkUnchanged() }
    }
}

extension MappedTensor {
    /// The part of the tensor with these indices of its outermost dimension, for example some outputs of a matrix.
    public func slice(_ range: Range<Int>) -> MappedTensor {
        let count = shape[shape.count - 1]
        precondition(range.lowerBound >= 0 && range.upperBound <= count && bytes.count % count == 0)
        let each = bytes.count / count
        let part = UnsafeRawBufferPointer(rebasing: bytes[range.lowerBound * each..<range.upperBound * each])
        return MappedTensor(name: name, type: type, shape: shape.dropLast() + [range.count], bytes: part, file: file)
    }
}
