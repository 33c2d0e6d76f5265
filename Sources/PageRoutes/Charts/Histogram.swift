// How durations are distributed, as SVG bars: steps of 1, 2, 5, 10, 20 … milliseconds, since some are a thousand times others.

/// The distribution of durations in milliseconds.
struct Histogram: Sendable, Hashable {
    /// The jobs between two durations.
    struct Bar: Sendable, Hashable {
        /// The left edge, of 10 units for each bar.
        let x: Int
        let y: String
        let height: String
        /// `100 ms to 200 ms: 37 jobs`.
        let words: String
    }

    static let height = 40.0

    let title: String
    /// What the times are.
    let note: String
    /// `0 0 120 40`.
    let viewBox: String
    let bars: [Bar]
    /// The least and the greatest duration of the scale.
    let from: String
    let to: String
    let median: String
    let ninetyFive: String
    /// What a person who does not see the chart is told.
    let words: String

    /// Nil without values.
    init?(_ title: String, note: String, _ values: [Int64]) {
        let sorted = values.map { min(max(0, $0), .max / 2) }.sorted()
        guard let least = sorted.first, let greatest = sorted.last else { return nil }
        self.title = title
        self.note = note
        let first = Self.step(of: least)
        // A few bars at least, so that one value does not look like a wall.
        let last = max(Self.step(of: greatest), first + 5)
        var counts = [Int64](repeating: 0, count: last - first + 1)
        for value in sorted { counts[Self.step(of: value) - first] += 1 }
        let most = Double(counts.max() ?? 1)
        bars = counts.enumerated().compactMap { index, count in
            guard count > 0 else { return nil }
            // What is there can be seen.
            let height = max(1, (Double(count) / most * Self.height).rounded())
            let bounds = (Self.bound(first + index), Self.bound(first + index + 1))
            return Bar(
                x: 10 * index, y: "\(Int(Self.height - height))", height: "\(Int(height))",
                words:
                    "\(PageWords.duration(bounds.0)) to \(PageWords.duration(bounds.1)): \(PageWords.count(count, "job"))"
            )
        }
        viewBox = "0 0 \(10 * counts.count) \(Int(Self.height))"
        from = PageWords.duration(Self.bound(first))
        to = PageWords.duration(Self.bound(last + 1))
        median = PageWords.duration(sorted[sorted.count / 2])
        ninetyFive = PageWords.duration(sorted[min(sorted.count - 1, sorted.count * 95 / 100)])
        words =
            "\(title), \(PageWords.count(Int64(sorted.count), "job")): half below \(median), 95 % below \(ninetyFive), "
            + "from \(PageWords.duration(least)) to \(PageWords.duration(greatest))"
    }

    /// The step whose bounds have `value` between them: 0 is below 1 ms.
    static func step(of value: Int64) -> Int {
        var step = 0
        while bound(step + 1) <= value { step += 1 }
        return step
    }

    /// The lower bound of a step: 0, 1, 2, 5, 10, 20 … and at last what no duration reaches.
    static func bound(_ step: Int) -> Int64 {
        guard step > 0 else { return 0 }
        guard step <= 57 else { return .max }
        var power: Int64 = 1
        for _ in 0..<(step - 1) / 3 { power *= 10 }
        return [1, 2, 5][(step - 1) % 3] * power
    }
}
