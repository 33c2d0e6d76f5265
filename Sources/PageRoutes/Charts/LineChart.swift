// A value over time as SVG: a line, with gaps where nothing was measured.

import Foundation

/// A small chart of one value. Its width counts parts of the time; texts stand beside it, so that it can be stretched.
struct LineChart: Sendable, Hashable {
    /// A line without gaps, and the area below it.
    struct Piece: Sendable, Hashable {
        /// `x,y x,y …`
        let line: String
        /// The same, closed at the bottom.
        let area: String
    }

    /// The height of the drawing.
    static let height = 48.0

    let title: String
    /// What the greatest value on the scale is called.
    let top: String
    /// The last value in words; `–` if there is none.
    let latest: String
    /// What a person who does not see the chart is told.
    let words: String
    let pieces: [Piece]

    /// Draws values by the parts of the time that they belong to.
    ///
    /// - Parameters:
    ///   - values: at most one for each part, in order.
    ///   - most: the end of the scale; nil: chosen by the values.
    ///   - gap: how many parts may lie between two values of one line.
    ///   - format: a value in words.
    init(
        _ title: String, _ values: [(part: Int, value: Double)], most: Double? = nil, gap: Int = 1,
        format: (Double) -> String
    ) {
        self.title = title
        let highest = values.map(\.value).max() ?? 0
        let most = most ?? Self.roundedUp(highest)
        top = format(most)
        latest = values.last.map { format($0.value) } ?? "–"
        let mean = values.isEmpty ? 0 : values.reduce(0) { $0 + $1.value } / Double(values.count)
        words =
            values.isEmpty
            ? "\(title): nothing was measured"
            : "\(title): on average \(format(mean)), at most \(format(highest)), at last \(format(values.last!.value))"
        var runs: [[(part: Int, value: Double)]] = []
        for entry in values {
            if let last = runs.last?.last, entry.part - last.part <= gap {
                runs[runs.count - 1].append(entry)
            } else {
                runs.append([entry])
            }
        }
        pieces = runs.map { Piece($0, most: most) }
    }

    /// The least of 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15 … that is not below `value`.
    static func roundedUp(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        let power = pow(10, (log10(value)).rounded(.down))
        return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map { $0 * power }.first { $0 >= value * 0.999_999 } ?? 10 * power
    }
}

extension LineChart.Piece {
    /// A line from the beginning of the first part to the end of the last one.
    fileprivate init(_ run: [(part: Int, value: Double)], most: Double) {
        func y(_ value: Double) -> String {
            String(format: "%.1f", LineChart.height - min(max(value / most, 0), 1) * (LineChart.height - 1))
        }
        var points = ["\(run[0].part),\(y(run[0].value))"]
        for entry in run.dropFirst().dropLast() { points.append("\(entry.part).5,\(y(entry.value))") }
        points.append("\(run[run.count - 1].part + 1),\(y(run[run.count - 1].value))")
        line = points.joined(separator: " ")
        let bottom = Int(LineChart.height)
        area = "\(run[0].part),\(bottom) \(line) \(run[run.count - 1].part + 1),\(bottom)"
    }
}
