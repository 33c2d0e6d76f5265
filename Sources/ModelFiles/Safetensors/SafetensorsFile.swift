// A safetensors file: a JSON header, and tensors that are mapped. Opening it checks every offset.

private import JSONText

/// A safetensors file. What the format's own reader refuses is refused: unknown types, holes and overlaps between tensors,
/// bytes after the last one, names that appear twice.
///
/// Source: https://github.com/huggingface/safetensors, its description and its reader.
struct SafetensorsFile: Sendable {
    /// A tensor of the header.
    struct Tensor: Sendable {
        let name: String
        let type: SafetensorsType
        /// Sizes, innermost first, as everywhere in this program; the header has them outermost first.
        let shape: [Int]
        /// The values' bytes in the file.
        let range: Range<Int>
    }

    /// The mapping that contains the tensors.
    let file: MappedFile
    /// All tensors, in the order of their bytes.
    let tensors: [Tensor]

    /// Opens and checks the file at `path`.
    ///
    /// - Throws: `ModelFileError` naming the file, the byte and what is wrong.
    init(path: String) throws(ModelFileError) {
        file = try MappedFile(path: path)
        do throws(ModelFileError) {
            tensors = try SafetensorsHeader(file).tensors
        } catch {
            // A file that is half written looks damaged, so the change is reported instead.
            try file.checkUnchanged()
            throw error
        }
        try file.checkUnchanged()
    }

    /// The mapped weights of a tensor; `nil` if it is of a type that no weights are read from.
    func mapped(_ tensor: Tensor) -> MappedTensor? {
        guard let type = tensor.type.weightType else { return nil }
        return MappedTensor(
            name: tensor.name, type: type, shape: tensor.shape,
            bytes: UnsafeRawBufferPointer(rebasing: file.bytes[tensor.range]), file: file)
    }
}

/// The header of a safetensors file.
private struct SafetensorsHeader {
    /// The longest header, as in the format's own reader.
    private static let longest = 100_000_000

    let tensors: [SafetensorsFile.Tensor]
    private let path: String

    init(_ file: MappedFile) throws(ModelFileError) {
        path = file.path
        let size = file.bytes.count
        guard size >= 8 else {
            throw .incomplete(path: path, offset: 0, reason: "the file ends inside its header's length")
        }
        let length = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
        guard length <= Self.longest else {
            throw .corrupt(
                path: path, offset: 0, reason: "a header of \(length) bytes is longer than any of a safetensors file")
        }
        guard Int(length) <= size - 8 else {
            throw .incomplete(path: path, offset: 0, reason: "the header's \(length) bytes are more than the file has")
        }
        let start = 8 + Int(length)
        let header = file.bytes[8..<start]
        let path = path
        let read: Result<[SafetensorsFile.Tensor], any Error> = Result {
            try JSONParser().withDocument(of: header) { try Self.tensors($0, dataStart: start, path: path) }
        }
        switch read {
        case .success(let tensors): self.tensors = tensors
        case .failure(let error as ModelFileError): throw error
        case .failure:
            let fault = JSONSyntaxScanner.fault(in: Array(header), of: .text)
            throw .corrupt(path: path, offset: 8 + fault.offset, reason: "the header is not JSON: \(fault.problem)")
        }
        try checkExtents(from: start, to: size)
    }

    private static func tensors(
        _ root: JSONNode, dataStart: Int, path: String
    ) throws(ModelFileError) -> [SafetensorsFile.Tensor] {
        guard root.kind == .object else {
            throw .corrupt(path: path, offset: 8, reason: "the header is \(root.kindWithArticle) instead of an object")
        }
        var tensors: [SafetensorsFile.Tensor] = []
        var names: Set<String> = []
        for (key, value) in root.members where !key.isString("__metadata__") {
            let name = key.string
            guard names.insert(name).inserted else {
                throw .corrupt(path: path, offset: 8, reason: "tensor \(Excerpt.quoted(name)) appears twice")
            }
            tensors.append(try TensorEntry(name, value, path: path).tensor(dataStart: dataStart))
        }
        return tensors.sorted {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }
    }

    /// Each tensor begins where the one before it ends, and the last one ends with the file.
    private func checkExtents(from start: Int, to end: Int) throws(ModelFileError) {
        var position = start
        for tensor in tensors {
            guard tensor.range.lowerBound == position else {
                throw .corrupt(
                    path: path, offset: tensor.range.lowerBound,
                    reason:
                        "tensor \(Excerpt.quoted(tensor.name)) does not begin where the one before it ends, at byte "
                        + "\(position)")
            }
            position = tensor.range.upperBound
        }
        if position > end {
            throw .incomplete(
                path: path, offset: end, reason: "the tensors reach to byte \(position), beyond the file's end")
        }
        if position < end {
            throw .corrupt(path: path, offset: position, reason: "\(end - position) bytes follow the last tensor")
        }
    }
}

/// What the header says of one tensor.
private struct TensorEntry {
    private let name: String
    private let path: String
    private var type: SafetensorsType?
    private var sizes: [Int]?
    private var offsets: [Int]?

    init(_ name: String, _ entry: JSONNode, path: String) throws(ModelFileError) {
        self.name = name
        self.path = path
        guard entry.kind == .object else { throw invalid("is \(entry.kindWithArticle) instead of an object") }
        for (key, value) in entry.members {
            if key.isString("dtype") {
                guard type == nil, value.kind == .string else { throw invalid("has two types, or one that is none") }
                guard let known = SafetensorsType(rawValue: value.string) else {
                    throw .unsupported(
                        path: path, what: "the type \(Excerpt.of(value)) of tensor \(Excerpt.quoted(name))")
                }
                type = known
            } else if key.isString("shape") {
                guard sizes == nil, let numbers = Self.numbers(value) else {
                    throw invalid("has two shapes, or one that is none")
                }
                sizes = numbers
            } else if key.isString("data_offsets") {
                guard offsets == nil, let numbers = Self.numbers(value) else {
                    throw invalid("has data_offsets twice, or they are none")
                }
                offsets = numbers
            }
        }
    }

    /// The tensor, if its offsets fit its shape and type. That it lies in the file is not checked.
    func tensor(dataStart: Int) throws(ModelFileError) -> SafetensorsFile.Tensor {
        guard let type, let sizes, let offsets else { throw invalid("lacks its dtype, shape or data_offsets") }
        guard offsets.count == 2, offsets[0] <= offsets[1], offsets[1] <= Int.max - dataStart else {
            throw invalid("has impossible data_offsets \(offsets)")
        }
        var bits = type.bits
        // The other sizes of an empty tensor are multiplied elsewhere, too.
        for size in sizes {
            let (product, overflow) = bits.multipliedReportingOverflow(by: max(1, size))
            guard !overflow else { throw invalid("has an impossible shape \(sizes)") }
            bits = product
        }
        if sizes.contains(0) { bits = 0 }
        guard bits % 8 == 0, bits / 8 == offsets[1] - offsets[0] else {
            throw invalid(
                "has shape \(sizes) of \(type.rawValue), which are not the \(offsets[1] - offsets[0]) bytes of its data_offsets"
            )
        }
        return SafetensorsFile.Tensor(
            name: name, type: type, shape: sizes.reversed(), range: dataStart + offsets[0]..<dataStart + offsets[1])
    }

    /// The most dimensions of a tensor, as in PyTorch.
    private static let mostDimensions = 64

    /// A few numbers that are not negative; `nil` if `node` is anything else.
    private static func numbers(_ node: JSONNode) -> [Int]? {
        guard node.kind == .array else { return nil }
        var numbers: [Int] = []
        for element in node.elements {
            guard element.kind == .int, element.int >= 0, numbers.count < mostDimensions else { return nil }
            numbers.append(Int(element.int))
        }
        return numbers
    }

    private func invalid(_ reason: String) -> ModelFileError {
        .corrupt(path: path, offset: 8, reason: "tensor \(Excerpt.quoted(name)) \(reason)")
    }
}
