// Plain tables for people: each column is as wide as its widest cell; there are no rules.

/// A table of strings with a heading.
package struct Table {
    package enum Alignment {
        case left
        case right
    }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    package init(_ columns: [(title: String, alignment: Alignment)]) {
        self.columns = columns
    }

    package mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count)
        rows.append(cells.map { printable($0) })
    }

    /// The lines of the table; the first is the heading.
    package var lines: [String] {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = columns.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return columns[column].alignment == .left ? row[column] + padding : padding + row[column]
            }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }
}

/// `name   value` lines with the values in one column.
package func definitionLines(_ pairs: [(String, String)]) -> [String] {
    let width = pairs.map { $0.0.count }.max() ?? 0
    return pairs.map { name, value in
        name + String(repeating: " ", count: width - name.count) + "  " + printable(value)
    }
}
