// Values of statements and of results, in PostgreSQL's binary form: numbers in network order, arrays with a head, text and bytes
// as they are. Source: the send and receive functions of PostgreSQL 15's src/backend/utils/adt.

/// A value that can take the place of a `$1`.
package protocol PostgresValue {
    /// The number of its type in `pg_type`.
    static var type: UInt32 { get }
    /// Whether it is NULL.
    var isNull: Bool { get }
    /// Appends its binary form.
    func append(to bytes: inout [UInt8])
}

extension PostgresValue {
    package var isNull: Bool { false }
}

extension PostgresValue where Self: RawRepresentable, RawValue: PostgresValue {
    package static var type: UInt32 { RawValue.type }
    package func append(to bytes: inout [UInt8]) { rawValue.append(to: &bytes) }
}

extension Int64: PostgresValue {
    package static var type: UInt32 { 20 }
    package func append(to bytes: inout [UInt8]) { bytes.append(bigEndian: self) }
}

extension Int: PostgresValue {
    package static var type: UInt32 { Int64.type }
    package func append(to bytes: inout [UInt8]) { Int64(self).append(to: &bytes) }
}

extension Int32: PostgresValue {
    package static var type: UInt32 { 23 }
    package func append(to bytes: inout [UInt8]) { bytes.append(bigEndian: self) }
}

extension Double: PostgresValue {
    package static var type: UInt32 { 701 }
    package func append(to bytes: inout [UInt8]) { bytes.append(bigEndian: bitPattern) }
}

extension Bool: PostgresValue {
    package static var type: UInt32 { 16 }
    package func append(to bytes: inout [UInt8]) { bytes.append(self ? 1 : 0) }
}

/// Text without U+0000, which PostgreSQL has none of; what people write goes into `bytea`.
extension String: PostgresValue {
    package static var type: UInt32 { 25 }
    package func append(to bytes: inout [UInt8]) { bytes += utf8 }
}

extension [UInt8]: PostgresValue {
    package static var type: UInt32 { 17 }
    package func append(to bytes: inout [UInt8]) { bytes += self }
}

extension Optional: PostgresValue where Wrapped: PostgresValue {
    package static var type: UInt32 { Wrapped.type }
    package var isNull: Bool { self?.isNull ?? true }
    package func append(to bytes: inout [UInt8]) { self?.append(to: &bytes) }
}

/// A one-dimensional array; Swift's `[UInt8]` is `bytea` already.
package struct PostgresArray<Element: PostgresElement>: PostgresValue {
    /// Its elements.
    package let elements: [Element]
    /// Makes an array.
    package init(_ elements: [Element]) { self.elements = elements }

    package static var type: UInt32 { Element.arrayType }

    package func append(to bytes: inout [UInt8]) {
        bytes.append(bigEndian: Int32(elements.isEmpty ? 0 : 1))
        bytes.append(bigEndian: Int32(elements.contains(where: \.isNull) ? 1 : 0))
        bytes.append(bigEndian: Element.type)
        guard !elements.isEmpty else { return }
        bytes.append(bigEndian: Int32(elements.count))
        bytes.append(bigEndian: Int32(1))
        for element in elements {
            if element.isNull {
                bytes.append(bigEndian: Int32(-1))
                continue
            }
            let start = bytes.count
            bytes.append(bigEndian: Int32(0))
            element.append(to: &bytes)
            let length = Int32(bytes.count - start - 4)
            withUnsafeBytes(of: length.bigEndian) { bytes.replaceSubrange(start..<start + 4, with: $0) }
        }
    }
}

/// A value of which there are arrays.
package protocol PostgresElement: PostgresValue {
    /// The number of the array's type in `pg_type`.
    static var arrayType: UInt32 { get }
    /// Reads its binary form.
    init?(postgres bytes: UnsafeRawBufferPointer)
}

extension Int64: PostgresElement {
    package static var arrayType: UInt32 { 1016 }
    package init?(postgres bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 8 else { return nil }
        self = Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
    }
}

extension String: PostgresElement {
    package static var arrayType: UInt32 { 1009 }
    package init?(postgres bytes: UnsafeRawBufferPointer) { self = String(decoding: bytes, as: UTF8.self) }
}

extension Bool: PostgresElement {
    package static var arrayType: UInt32 { 1000 }
    package init?(postgres bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 1 else { return nil }
        self = bytes[0] != 0
    }
}

/// An array may have NULLs where it is written; none is read that has.
extension Optional: PostgresElement where Wrapped: PostgresElement {
    package static var arrayType: UInt32 { Wrapped.arrayType }
    package init?(postgres bytes: UnsafeRawBufferPointer) {
        guard let value = Wrapped(postgres: bytes) else { return nil }
        self = .some(value)
    }
}

extension [UInt8]: PostgresElement {
    package static var arrayType: UInt32 { 1001 }
    package init?(postgres bytes: UnsafeRawBufferPointer) { self = [UInt8](bytes) }
}

extension [UInt8] {
    mutating func append(bigEndian number: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
    }
}

/// The values of one statement, one behind the other.
struct EncodedValues {
    private var bytes: [UInt8] = []
    private var places: [Range<Int>?] = []
    let types: [UInt32]

    init(_ values: [any PostgresValue]) {
        types = values.map { Swift.type(of: $0).type }
        for value in values {
            let start = bytes.count
            if !value.isNull { value.append(to: &bytes) }
            places.append(value.isNull ? nil : start..<bytes.count)
            // A value without bytes needs an address, too: libpq takes none for NULL.
            bytes.append(0)
        }
    }

    func withPointers<Result>(
        _ body: (Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?) -> Result
    ) -> Result {
        bytes.withUnsafeBufferPointer { buffer in
            let base = UnsafeRawPointer(buffer.baseAddress)
            let values = places.map { place in
                place.map { base!.advanced(by: $0.lowerBound).assumingMemoryBound(to: CChar.self) }
            }
            return body(Int32(places.count), values, places.map { Int32($0?.count ?? 0) })
        }
    }
}
