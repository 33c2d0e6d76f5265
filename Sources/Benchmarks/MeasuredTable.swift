// Measurements as tables, for people and for programs.

/// Measurements of one kind, one per row.
public struct MeasuredTable: Sendable, Equatable {
    /// The kind of a column's numbers, which determines how they are printed for people.
    public enum Quantity: Sendable, Equatable {
        /// Text, or a count.
        case plain
        case seconds
        /// A number per second.
        case rate
        /// Operations or bytes per second, printed in units of 10⁹.
        case billionsPerSecond
        /// A fraction of 1.
        case share
        /// A number that is compared with similar ones, so it needs more digits.
        case precise
    }

    /// A column.
    public struct Column: Sendable, Equatable {
        /// For programs, e.g. `tokens_per_second`.
        public let name: String
        /// For people, e.g. `tok/s`.
        public let heading: String
        /// The kind of its numbers.
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

    /// For programs, e.g. `decode`.
    public let name: String
    /// What was measured, for people.
    public let title: String
    /// The columns.
    public let columns: [Column]
    /// The rows, each with one cell per column.
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
