// Measurements in words and as JSON.

package import Benchmarks
import Foundation
package import JSONText
import Terminal

package enum MeasurementDescription {
    /// The lines of a table; the first is its title.
    package static func lines(_ measured: MeasuredTable) -> [String] {
        let alignments = measured.columns.indices.map { column in
            let isText = measured.rows.contains { if case .text = $0[column] { true } else { false } }
            return isText ? Table.Alignment.left : .right
        }
        var table = Table(zip(measured.columns, alignments).map { ($0.heading, $1) })
        for row in measured.rows { table.add(zip(measured.columns, row).map { cell($0.quantity, $1) }) }
        return [measured.title] + table.lines.map { "  " + $0 }
    }

    /// `{"decode": [{"rows": 1, …}, …], …}`; numbers are in seconds, bytes, operations and fractions of 1.
    package static func json(_ tables: [MeasuredTable]) -> JSONValue {
        .object(
            tables.map { table in
                let rows = table.rows.map { row in
                    JSONValue.object(zip(table.columns, row).map { .init($0.name, json($1)) })
                }
                return .init(table.name, .array(rows))
            })
    }

    private static func json(_ value: MeasuredTable.Value) -> JSONValue {
        switch value {
        case .text(let text): .string(text)
        case .count(let count): .int(Int64(count))
        case .number(let number): .double(number)
        }
    }

    private static func cell(_ quantity: MeasuredTable.Quantity, _ value: MeasuredTable.Value) -> String {
        switch value {
        case .text(let text): text
        case .count(let count): String(count)
        case .number(let number): cell(quantity, number)
        }
    }

    private static func cell(_ quantity: MeasuredTable.Quantity, _ number: Double) -> String {
        switch quantity {
        case .plain: "\(number)"
        case .seconds: String(format: "%.2f", number * 1e3)
        case .rate: Quantity.rate(number)
        case .billionsPerSecond: String(format: number < 1e10 ? "%.3f" : "%.1f", number / 1e9)
        case .share: String(format: "%.1f %%", 100 * number)
        case .precise: String(format: "%.4f", number)
        }
    }
}
