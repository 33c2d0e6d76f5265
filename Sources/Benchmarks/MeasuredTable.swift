// Measurements as tables, for people and for programs alike: both see the same names.

/// Like measurements, one a row.
public struct MeasuredTable: Sendable, Equatable {
    /// What a column's numbers are, and so how people read them.
    public enum Quantity: Sendable, Equatable {
        /// Text, or a count.
        case plain
        case seconds
        /// Things a second.
        case rate
        /// Operations or bytes a second; people read thousands of millions of them.
        case billionsPerSecond
        /// A part of 1.
        case share
        /// A number that is near another.
        case precise
    }

    /// A column.
    public struct Column: Sendable, Equatable {
        /// For programs, for example `tokens_per_second`.
        public let name: String
        /// For people, for example `tok/s`.
        public let heading: String
        /// What its numbers are.
        public let quantity: Quantity

        init(_ name: String, _ heading: String, _ quantity: Quantity = .plain) {
            self.name = name
            self.heading = heading
            self.quantity = quantity
        }
    }

    /// A cell.
    public enum Value: Sendable, Equatable {
        case text(String)
        case count(Int)
        case number(Double)
    }

    /// For programs, for example `decode`.
    public let name: String
    /// What was measured, for people.
    public let title: String
    /// The columns.
    public let columns: [Column]
    /// As many cells as columns in each row.
    public private(set) var rows: [[Value]] = []

    init(_ name: String, _ title: String, _ columns: [Column]) {
        self.name = name
        self.title = title
        self.columns = columns
    }

    mutating func add(_ cells: [Value]) {
        precondition(cells.count == columns.count)
        rows.append(cells)
    }
}
