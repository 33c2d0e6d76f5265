// A row that a database gives, whichever it is: what stores read from their tables in the same way is written for this.

import Runtime

/// The current row of a query. Columns count from 0, and have the type that is asked for.
package protocol StoredRow {
    func isNull(_ column: Int32) -> Bool
    func int64(_ column: Int32) -> Int64
    func int(_ column: Int32) -> Int
    func double(_ column: Int32) -> Double
    func bool(_ column: Int32) -> Bool
    func text(_ column: Int32) -> String
    func bytes(_ column: Int32) -> [UInt8]
    func optionalInt64(_ column: Int32) -> Int64?
    func optionalText(_ column: Int32) -> String?
    func optionalBytes(_ column: Int32) -> [UInt8]?
}

extension StoredRow {
    /// Identifiers and times accept any integer.
    package func id<ID: RawRepresentable>(_ column: Int32, as type: ID.Type = ID.self) -> ID
    where ID.RawValue == Int64 {
        ID(rawValue: int64(column))!
    }

    package func optionalID<ID: RawRepresentable>(_ column: Int32, as type: ID.Type = ID.self) -> ID?
    where ID.RawValue == Int64 {
        isNull(column) ? nil : ID(rawValue: int64(column))
    }

    /// A column with a CHECK constraint.
    package func priority(_ column: Int32) -> BatchPriority { BatchPriority(rawValue: int64(column)) ?? .normal }

    /// The values of columns that are copied.
    package func copied(_ columns: [CopiedColumn]) -> [CopiedValue] {
        columns.enumerated().map { index, column in
            let index = Int32(index)
            guard !isNull(index) else { return .null }
            return switch column.kind {
            case .integer: .integer(int64(index))
            case .real: .real(double(index))
            case .flag: .flag(bool(index))
            case .text: .text(bytes(index))
            case .bytes: .bytes(bytes(index))
            }
        }
    }
}
