// A row of a result, column by column.

import CPostgres

/// A row of a result; valid only inside the closure that receives it. Columns count from 0, and have the type that is asked for.
package struct PostgresRow {
    let result: OpaquePointer
    let row: Int32

    private func bytes(of column: Int32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: cpq_value(result, row, column), count: Int(cpq_length(result, row, column)))
    }

    private func number<Number: FixedWidthInteger>(_ column: Int32, as type: Number.Type = Number.self) -> Number {
        let bytes = bytes(of: column)
        precondition(bytes.count == MemoryLayout<Number>.size, "column \(column) is no \(Number.self)")
        return Number(bigEndian: bytes.loadUnaligned(as: Number.self))
    }

    /// Whether a column is NULL.
    package func isNull(_ column: Int32) -> Bool { cpq_is_null(result, row, column) }
    /// An `int8`.
    package func int64(_ column: Int32) -> Int64 { number(column) }
    /// An `int4`.
    package func int32(_ column: Int32) -> Int32 { number(column) }
    /// An `int4` or `int8`.
    package func int(_ column: Int32) -> Int {
        bytes(of: column).count == 4 ? Int(int32(column)) : Int(int64(column))
    }
    /// A `float8`.
    package func double(_ column: Int32) -> Double { Double(bitPattern: number(column)) }
    /// A `bool`.
    package func bool(_ column: Int32) -> Bool { number(column, as: UInt8.self) != 0 }
    /// A `text`, or a `bytea` that has one.
    package func text(_ column: Int32) -> String { String(decoding: bytes(of: column), as: UTF8.self) }
    /// A `bytea`.
    package func bytes(_ column: Int32) -> [UInt8] { [UInt8](bytes(of: column)) }
    /// An `int8` that may be NULL.
    package func optionalInt64(_ column: Int32) -> Int64? { isNull(column) ? nil : int64(column) }
    /// A `text` or `bytea` that may be NULL.
    package func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }
    /// A `bytea` that may be NULL.
    package func optionalBytes(_ column: Int32) -> [UInt8]? { isNull(column) ? nil : bytes(column) }

    /// An array of one dimension without NULLs.
    package func array<Element: PostgresElement>(_ column: Int32, of type: Element.Type = Element.self) -> [Element] {
        let bytes = bytes(of: column)
        func int32(_ offset: Int) -> Int {
            Int(Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)))
        }
        precondition(
            bytes.count >= 12 && int32(8) == Int(Element.type), "column \(column) is no array of \(Element.self)")
        guard int32(0) > 0 else { return [] }
        precondition(int32(0) == 1, "column \(column) has several dimensions")
        var offset = 20
        return (0..<int32(12)).map { _ in
            let length = int32(offset)
            precondition(length >= 0, "column \(column) has NULLs")
            defer { offset += 4 + length }
            return Element(postgres: UnsafeRawBufferPointer(rebasing: bytes[offset + 4..<offset + 4 + length]))!
        }
    }
}
