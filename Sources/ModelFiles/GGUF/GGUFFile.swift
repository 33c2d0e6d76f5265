// A GGUF file: metadata and mapped tensors. Opening it checks every offset.

/// A GGUF file of version 2 or 3, which differ in nothing that a little-endian file shows.
///
/// Source: the GGUF specification. Opening reads the header only; tensor bytes stay in the mapping.
public final class GGUFFile: Sendable {
    /// The mapping that contains the tensors.
    public let file: MappedFile
    /// All metadata.
    public let metadata: GGUFMetadata
    /// All tensors by name.
    public let tensors: [String: MappedTensor]

    /// The path that was opened.
    public var path: String { file.path }

    /// Opens and checks the file at `path`.
    ///
    /// - Throws: `ModelFileError` naming the file, the byte and what is wrong.
    public init(path: String) throws(ModelFileError) {
        file = try MappedFile(path: path)
        do throws(ModelFileError) {
            var cursor = GGUFCursor(file: file)
            let (tensorCount, keyCount) = try Self.readCounts(&cursor, path: path)
            metadata = try Self.readMetadata(&cursor, count: keyCount, path: path)
            tensors = try Self.readTensors(&cursor, count: tensorCount, metadata: metadata, file: file)
        } catch {
            // A file that is half written looks damaged, so the change is reported instead.
            try file.checkUnchanged()
            throw error
        }
        try file.checkUnchanged()
    }

    /// The tensor called `name`.
    ///
    /// - Throws: `ModelFileError.missingTensor`.
    public func tensor(_ name: String) throws(ModelFileError) -> MappedTensor {
        guard let tensor = tensors[name] else { throw .missingTensor(path: path, name: name) }
        return tensor
    }

    private static func readCounts(
        _ cursor: inout GGUFCursor, path: String
    ) throws(ModelFileError) -> (tensors: Int, keys: Int) {
        guard try cursor.read(UInt32.self) == 0x4655_4747 else {
            throw .notGGUF(path: path, reason: "it does not begin with \"GGUF\"")
        }
        let version = try cursor.read(UInt32.self)
        guard (2...3).contains(version) else {
            let isBigEndian = (1...3).contains(version.byteSwapped)
            throw .notGGUF(
                path: path, reason: isBigEndian ? "it is big-endian" : "version \(version) instead of 2 or 3")
        }
        return (try cursor.count(minimumBytes: 24), try cursor.count(minimumBytes: 13))
    }

    private static func readMetadata(
        _ cursor: inout GGUFCursor, count: Int, path: String
    ) throws(ModelFileError) -> GGUFMetadata {
        var values: [String: MetadataValue] = [:]
        for _ in 0..<count {
            let start = cursor.offset
            let key = String(decoding: try cursor.string(), as: UTF8.self)
            let value = try cursor.value()
            guard values.updateValue(value, forKey: key) == nil else {
                throw .corrupt(path: path, offset: start, reason: "metadata key \(key) appears twice")
            }
        }
        return GGUFMetadata(path: path, values: values)
    }

    private static func readTensors(
        _ cursor: inout GGUFCursor, count: Int, metadata: GGUFMetadata, file: MappedFile
    ) throws(ModelFileError) -> [String: MappedTensor] {
        var headers: [TensorHeader] = []
        for _ in 0..<count { headers.append(try TensorHeader(&cursor)) }
        let alignment = metadata.integer("general.alignment") ?? 32
        guard alignment > 0, alignment <= 1 << 20, alignment & (alignment - 1) == 0 else {
            throw .corrupt(path: file.path, offset: cursor.offset, reason: "alignment \(alignment)")
        }
        let dataStart = (cursor.offset + alignment - 1) / alignment * alignment
        var tensors: [String: MappedTensor] = [:]
        for header in headers {
            let tensor = try header.mapped(in: file, dataStart: dataStart)
            guard tensors.updateValue(tensor, forKey: header.name) == nil else {
                throw .corrupt(path: file.path, offset: dataStart, reason: "tensor \(header.name) appears twice")
            }
        }
        return tensors
    }
}

/// A tensor's entry in the header; its extent is not checked yet.
private struct TensorHeader {
    let name: String
    let shape: [Int]
    let type: TensorType
    let offset: UInt64

    init(_ cursor: inout GGUFCursor) throws(ModelFileError) {
        let path = cursor.file.path
        let start = cursor.offset
        name = String(decoding: try cursor.string(), as: UTF8.self)
        let rank = try cursor.read(UInt32.self)
        guard (1...4).contains(rank) else {
            throw .corrupt(path: path, offset: start, reason: "tensor \(name) has \(rank) dimensions")
        }
        var shape: [Int] = []
        var elements = 1
        for _ in 0..<rank {
            let size = Int(clamping: try cursor.read(UInt64.self))
            let (product, overflow) = elements.multipliedReportingOverflow(by: size)
            guard size > 0, !overflow else {
                throw .corrupt(path: path, offset: start, reason: "tensor \(name) has an impossible size \(size)")
            }
            shape.append(size)
            elements = product
        }
        self.shape = shape
        let rawType = try cursor.read(UInt32.self)
        guard let type = TensorType(rawValue: rawType) else {
            let typeName = TensorType.unsupportedName(rawType).map { "\($0) (\(rawType))" } ?? "\(rawType)"
            throw .unsupported(path: path, what: "tensor \(name)'s element type \(typeName)")
        }
        guard shape[0] % type.blockElements == 0 else {
            throw .corrupt(path: path, offset: start, reason: "tensor \(name)'s rows are not whole \(type.name) blocks")
        }
        self.type = type
        offset = try cursor.read(UInt64.self)
    }

    func mapped(in file: MappedFile, dataStart: Int) throws(ModelFileError) -> MappedTensor {
        let blocks = shape.reduce(1, *) / type.blockElements
        let (length, overflow) = blocks.multipliedReportingOverflow(by: type.blockBytes)
        let room = file.bytes.count - dataStart
        guard !overflow, room >= 0, offset <= UInt64(room), length <= room - Int(offset) else {
            throw .incomplete(
                path: file.path, offset: dataStart, reason: "tensor \(name) reaches beyond the file's end")
        }
        let start = dataStart + Int(offset)
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + length])
        return MappedTensor(name: name, type: type, shape: shape, bytes: bytes, file: file)
    }
}
