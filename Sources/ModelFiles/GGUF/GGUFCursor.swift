// Reads the header of a GGUF file. Every length is checked against the end of the file before it is used.

/// A position in a GGUF header; every read is bounds-checked and little-endian.
struct GGUFCursor {
    let file: MappedFile
    private(set) var offset = 0

    init(file: MappedFile) { self.file = file }

    mutating func read<T: BitwiseCopyable>(_ type: T.Type) throws(ModelFileError) -> T {
        let size = MemoryLayout<T>.size
        guard size <= file.bytes.count - offset else { throw truncated() }
        defer { offset += size }
        return file.bytes.loadUnaligned(fromByteOffset: offset, as: T.self)
    }

    /// A count or length field. Throws if that many items of `minimumBytes` each cannot fit into the rest of the file.
    mutating func count(minimumBytes: Int) throws(ModelFileError) -> Int {
        let start = offset
        let raw = try read(UInt64.self)
        guard raw <= UInt64((file.bytes.count - offset) / minimumBytes) else {
            throw .incomplete(path: file.path, offset: start, reason: "count \(raw) is larger than the file")
        }
        return Int(raw)
    }

    mutating func string() throws(ModelFileError) -> [UInt8] {
        let length = try count(minimumBytes: 1)
        defer { offset += length }
        return Array(file.bytes[offset..<offset + length])
    }

    mutating func value() throws(ModelFileError) -> MetadataValue {
        try value(ofType: read(UInt32.self))
    }

    private mutating func value(ofType type: UInt32) throws(ModelFileError) -> MetadataValue {
        switch type {
        case 0...5, 10, 11: .integer(try integer(ofType: type))
        case 6: .float(Double(try read(Float.self)))
        case 7: .bool(try read(UInt8.self) != 0)
        case 8: .string(try string())
        case 9: try array()
        case 12: .float(try read(Double.self))
        default: throw .corrupt(path: file.path, offset: offset, reason: "unknown metadata value type \(type)")
        }
    }

    private mutating func integer(ofType type: UInt32) throws(ModelFileError) -> Int64 {
        switch type {
        case 0: Int64(try read(UInt8.self))
        case 1: Int64(try read(Int8.self))
        case 2: Int64(try read(UInt16.self))
        case 3: Int64(try read(Int16.self))
        case 4: Int64(try read(UInt32.self))
        case 5: Int64(try read(Int32.self))
        case 7: Int64(try read(UInt8.self))
        case 10: Int64(clamping: try read(UInt64.self))
        default: try read(Int64.self)
        }
    }

    private static func bytes(ofIntegerType type: UInt32) -> Int {
        switch type {
        case 0, 1, 7: 1
        case 2, 3: 2
        case 4, 5: 4
        default: 8
        }
    }

    private mutating func array() throws(ModelFileError) -> MetadataValue {
        let type = try read(UInt32.self)
        switch type {
        case 0...5, 7, 10, 11:
            let count = try count(minimumBytes: Self.bytes(ofIntegerType: type))
            var items: [Int64] = []
            items.reserveCapacity(count)
            for _ in 0..<count { items.append(try integer(ofType: type)) }
            return .integers(items)
        case 6, 12:
            let count = try count(minimumBytes: type == 6 ? 4 : 8)
            var items: [Double] = []
            items.reserveCapacity(count)
            for _ in 0..<count { items.append(type == 6 ? Double(try read(Float.self)) : try read(Double.self)) }
            return .floats(items)
        case 8:
            let count = try count(minimumBytes: 8)
            var items: [[UInt8]] = []
            items.reserveCapacity(count)
            for _ in 0..<count { items.append(try string()) }
            return .strings(items)
        default:
            throw .unsupported(path: file.path, what: "a metadata array of value type \(type) at byte \(offset)")
        }
    }

    private func truncated() -> ModelFileError {
        .incomplete(path: file.path, offset: offset, reason: "the file ends inside its header")
    }
}
