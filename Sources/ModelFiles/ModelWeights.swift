// A model's tensors by one set of names, whatever the container.

private import JSONText

/// The tensors of a model. Names are those of GGUF files: `token_embd.weight`, `blk.0.attn_q.weight`.
public struct ModelWeights: Sendable {
    /// The file or folder, for messages.
    public let path: String
    /// All tensors by name. A tensor's own `name` is the one in its file.
    public let tensors: [String: MappedTensor]
    /// Tensors of the files that cannot be read: of another type, or with a name that is not known.
    let others: [OtherTensor]
    /// The files that the tensors lie in.
    let files: [MappedFile]

    /// A tensor that cannot be read.
    struct OtherTensor: Sendable {
        /// Its file.
        let path: String
        /// Its name in the file.
        let name: String
        /// The name of its element type.
        let type: String
        /// Whether weights can be read from the type, so that only the name is not known.
        let isReadable: Bool
        /// The number of dimensions.
        let rank: Int
        /// The number of elements.
        let elementCount: Int
        /// Its size in its file.
        let byteCount: Int
    }

    /// The weights of one element type.
    public struct TypeShare: Sendable, Equatable {
        /// The type's name.
        public let type: String
        /// Tensors of the type.
        public fileprivate(set) var tensors = 0
        /// Their elements.
        public fileprivate(set) var parameters = 0
        /// Their bytes in the files.
        public fileprivate(set) var bytes = 0
    }

    /// The tensors of a file or folder.
    init(path: String, tensors: [String: MappedTensor], others: [OtherTensor] = [], files: [MappedFile]) {
        self.path = path
        self.tensors = tensors
        self.others = others
        self.files = files
    }

    /// The tensor called `name`, if there is one.
    public subscript(name: String) -> MappedTensor? { tensors[name] }

    /// Number of weights.
    public var parameterCount: Int {
        tensors.values.reduce(0) { $0 + $1.elementCount } + others.reduce(0) { $0 + $1.elementCount }
    }

    /// The name of the most frequent element type of the matrices; `nil` if there are none.
    public var commonTypeName: String? {
        var elements: [String: Int] = [:]
        for tensor in tensors.values where tensor.shape.count == 2 {
            elements[tensor.type.name, default: 0] += tensor.elementCount
        }
        for tensor in others where tensor.rank == 2 { elements[tensor.type, default: 0] += tensor.elementCount }
        return elements.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key
    }

    /// The weights by element type, the type with most bytes first.
    public var typeShares: [TypeShare] {
        var shares: [String: TypeShare] = [:]
        func add(_ type: String, _ elements: Int, _ bytes: Int) {
            var share = shares[type] ?? TypeShare(type: type)
            share.tensors += 1
            share.parameters += elements
            share.bytes += bytes
            shares[type] = share
        }
        for tensor in tensors.values { add(tensor.type.name, tensor.elementCount, tensor.bytes.count) }
        for tensor in others { add(tensor.type, tensor.elementCount, tensor.byteCount) }
        return shares.values.sorted { ($1.bytes, $0.type) < ($0.bytes, $1.type) }
    }

    /// The files that the tensors lie in, with their sizes in bytes.
    public var fileSizes: [(path: String, bytes: Int)] { files.map { ($0.path, $0.bytes.count) } }

    /// Throws if there are fewer tensors than layers, so that nothing is made for layers that cannot be there.
    func checkLayerCount(_ count: Int, key: String) throws(ModelFileError) {
        guard count > tensors.count else { return }
        throw .unsupported(path: path, what: "\(key) of \(count) with \(tensors.count) tensors")
    }

    /// An error for each type of weights that cannot be read, or for each tensor of which nothing is known.
    public var unreadable: [ModelFileError] {
        let ofOtherTypes = others.filter { !$0.isReadable }
        guard ofOtherTypes.isEmpty else {
            var firsts: [OtherTensor] = []
            for tensor in ofOtherTypes where !firsts.contains(where: { $0.type == tensor.type }) {
                firsts.append(tensor)
            }
            return firsts.map { first in
                let more = ofOtherTypes.count { $0.type == first.type } - 1
                return .unsupported(
                    path: first.path,
                    what: "the type \(first.type) of tensor \(Excerpt.quoted(first.name))"
                        + (more > 0 ? " and \(more) more" : "") + " (supported: F32, F16, BF16)")
            }
        }
        return others.map { .unsupported(path: $0.path, what: "tensor \(Excerpt.quoted($0.name))") }
    }

    /// Throws if some tensors cannot be read: what the model would compute with them is not known.
    ///
    /// - Throws: `ModelFileError.unsupported`.
    func refuseOthers() throws(ModelFileError) {
        if let fault = unreadable.first { throw fault }
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
