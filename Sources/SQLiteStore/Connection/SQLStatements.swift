// Runs SQL on a GRDB connection with cached statements, exact text and no intermediate copies.
//
// GRDB binds and reads text as C strings, so it would cut text at U+0000, which generated text and JSON strings may
// contain. Here text and blobs have explicit lengths.

import GRDB
import GRDBSQLite
import Runtime
import StoreContract

/// A value that can be bound to a `?`.
protocol SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32
}

extension SQLValue where Self: RawRepresentable, RawValue: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        rawValue.bind(to: statement, at: index)
    }
}

extension Int64: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 { sqlite3_bind_int64(statement, index, self) }
}

extension Int: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 { Int64(self).bind(to: statement, at: index) }
}

extension Int32: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 { Int64(self).bind(to: statement, at: index) }
}

extension Double: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 { sqlite3_bind_double(statement, index, self) }
}

/// Makes SQLite copy the bytes before the call returns (SQLITE_TRANSIENT).
private let copying = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

extension String: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        var text = self
        return text.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) { chars in
                // An empty buffer may have no address, and SQLite takes a null address for NULL.
                chars.baseAddress.map {
                    sqlite3_bind_text64(statement, index, $0, UInt64(chars.count), copying, UInt8(SQLITE_UTF8))
                } ?? sqlite3_bind_text(statement, index, "", 0, copying)
            }
        }
    }
}

/// Binds bytes that are UTF-8 as a text.
func bindText(_ utf8: [UInt8], to statement: OpaquePointer, at index: Int32) -> Int32 {
    utf8.withUnsafeBytes { bytes in
        let chars = bytes.assumingMemoryBound(to: CChar.self)
        return chars.isEmpty
            ? sqlite3_bind_text(statement, index, "", 0, copying)
            : sqlite3_bind_text64(
                statement, index, chars.baseAddress, UInt64(chars.count), copying, UInt8(SQLITE_UTF8))
    }
}

extension [UInt8]: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        withUnsafeBytes { bytes in
            bytes.isEmpty
                ? sqlite3_bind_zeroblob(statement, index, 0)
                : sqlite3_bind_blob64(statement, index, bytes.baseAddress, UInt64(bytes.count), copying)
        }
    }
}

extension Optional: SQLValue where Wrapped: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        switch self {
        case .none: sqlite3_bind_null(statement, index)
        case .some(let value): value.bind(to: statement, at: index)
        }
    }
}

extension BatchID: SQLValue {}
extension JobID: SQLValue {}
extension Incarnation: SQLValue {}
extension Milliseconds: SQLValue {}
extension JobState: SQLValue {}
extension BatchStatus: SQLValue {}
extension BatchPriority: SQLValue {}
extension FileID: SQLValue {}
extension Tenant: SQLValue {}

/// The current row of a query; valid only inside the closure that receives it. Columns count from 0.
struct SQLRow: StoredRow {
    fileprivate let statement: OpaquePointer

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }
    func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
    func int(_ column: Int32) -> Int { Int(int64(column)) }
    func double(_ column: Int32) -> Double { sqlite3_column_double(statement, column) }
    func bool(_ column: Int32) -> Bool { int64(column) != 0 }
    func optionalInt64(_ column: Int32) -> Int64? { isNull(column) ? nil : int64(column) }
    func text(_ column: Int32) -> String { String(decoding: buffer(column), as: UTF8.self) }
    func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }
    func bytes(_ column: Int32) -> [UInt8] { [UInt8](buffer(column)) }
    func optionalBytes(_ column: Int32) -> [UInt8]? { isNull(column) ? nil : bytes(column) }

    /// A string of a column with a CHECK constraint.
    func word<Word: RawRepresentable>(_ column: Int32, as type: Word.Type = Word.self) throws -> Word
    where Word.RawValue == String {
        let text = text(column)
        guard let word = Word(rawValue: text) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "unknown \(Word.self) '\(text)'")
        }
        return word
    }

    /// The address is read before the length, as SQLite requires.
    private func buffer(_ column: Int32) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(statement, column)
        return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
    }
}

extension Database {
    /// Runs a statement without result rows; returns the number of rows that it changed.
    @discardableResult
    func run(_ sql: String, _ values: any SQLValue...) throws -> Int {
        try step(sql, values) { _ in }
        return changesCount
    }

    /// The same for an array of values.
    @discardableResult
    func run(_ sql: String, all values: [any SQLValue]) throws -> Int {
        try step(sql, values) { _ in }
        return changesCount
    }

    /// All rows of a query.
    func rows<T>(_ sql: String, _ values: any SQLValue..., read: (SQLRow) throws -> T) throws -> [T] {
        try rows(sql, all: values, read: read)
    }

    /// The same for an array of values.
    func rows<T>(_ sql: String, all values: [any SQLValue], read: (SQLRow) throws -> T) throws -> [T] {
        var rows: [T] = []
        try step(sql, values) { rows.append(try read($0)) }
        return rows
    }

    /// Calls `visit` with every row, so that any number takes no memory.
    func forEachRow(_ sql: String, all values: [any SQLValue], visit: (SQLRow) throws -> Void) throws {
        try step(sql, values, visit: visit)
    }

    /// The first row of a query; nil if there is none.
    func row<T>(_ sql: String, _ values: any SQLValue..., read: (SQLRow) throws -> T) throws -> T? {
        var row: T?
        try step(sql, values) { row = try read($0) }
        return row
    }

    /// The first column of a query's row, as a number.
    func number(_ sql: String, _ values: any SQLValue...) throws -> Int64 {
        var number: Int64 = 0
        try step(sql, values) { number = $0.int64(0) }
        return number
    }

    private func step(_ sql: String, _ values: [any SQLValue], visit: (SQLRow) throws -> Void) throws {
        let statement = try cachedStatement(sql: sql).sqliteStatement
        defer {
            sqlite3_reset(statement)
            // A cached statement would keep the last body in memory.
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() {
            try check(value.bind(to: statement, at: Int32(index + 1)), sql)
        }
        precondition(Int(sqlite3_bind_parameter_count(statement)) == values.count, "a value for each ? of: \(sql)")
        while true {
            let code = sqlite3_step(statement)
            if code == SQLITE_DONE { return }
            guard code == SQLITE_ROW else { return try check(code, sql) }
            try visit(SQLRow(statement: statement))
        }
    }

    private func check(_ code: Int32, _ sql: String) throws {
        guard code != SQLITE_OK else { return }
        throw DatabaseError(resultCode: ResultCode(rawValue: code), message: lastErrorMessage, sql: sql)
    }
}
