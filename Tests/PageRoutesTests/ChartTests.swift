// What charts draw, and what they say to people who do not see them.

import StoreContract
import Testing

@testable import PageRoutes

@Suite struct ChartTests {
    @Test(arguments: [(0, 1), (1, 1), (1.2, 1.5), (7, 8), (99, 100), (130, 150), (1001, 1500), (0.03, 0.03)])
    func scalesEndAtRoundNumbers(value: Double, top: Double) {
        #expect(abs(LineChart.roundedUp(value) - top) < 1e-9)
    }

    @Test func linesHaveGapsWhereNothingWasMeasured() {
        let chart = LineChart("Speed", [(0, 10), (1, 20), (2, 10), (5, 20), (9, 0)]) { "\(Int($0))" }
        #expect(chart.pieces.map(\.line) == ["0,24.5 1.5,1.0 3,24.5", "5,1.0 6,1.0", "9,48.0 10,48.0"])
        #expect(chart.pieces[0].area == "0,48 0,24.5 1.5,1.0 3,24.5 3,48")
        #expect(chart.top == "20" && chart.latest == "0")
        #expect(chart.words == "Speed: on average 12, at most 20, at last 0")
        #expect(LineChart("Speed", [(0, 1), (3, 1)], gap: 3) { "\($0)" }.pieces.count == 1)
        let empty = LineChart("Speed", []) { "\($0)" }
        #expect(empty.pieces.isEmpty && empty.latest == "–" && empty.words.contains("nothing was measured"))
    }

    /// Each duration is in the bar whose bounds have it between them.
    @Test func durationsHaveTheirBars() throws {
        #expect((0...7).map(Histogram.bound) == [0, 1, 2, 5, 10, 20, 50, 100])
        for value: Int64 in [0, 1, 4, 5, 99, 100, 12_345, .max / 4] {
            let step = Histogram.step(of: value)
            #expect(Histogram.bound(step) <= value && value < Histogram.bound(step + 1))
        }
        let histogram = try #require(Histogram("Decode", note: "", [150, 150, 150, 150, 900, 1200]))
        #expect(
            histogram.bars.map(\.words) == [
                "100 ms to 200 ms: 4 jobs", "500 ms to 1.0 s: 1 job", "1.0 s to 2.0 s: 1 job",
            ])
        #expect(histogram.bars[0].height == "40" && histogram.bars[1].height == "10")
        #expect(histogram.median == "150 ms" && histogram.ninetyFive == "1.2 s")
        #expect(histogram.words.hasPrefix("Decode, 6 jobs: half below 150 ms"))
        #expect(Histogram("Decode", note: "", []) == nil)
        #expect(try #require(Histogram("Decode", note: "", [-5])).bars.count == 1)
    }

    @Test func aFewAmongAMillionAreSeen() {
        let counts = JobCounts(
            total: 1_000_000, rejected: 0, pending: 0, running: 0, succeeded: 999_999, failed: 1, cancelled: 0,
            expired: 0)
        let bar = JobBar(counts, running: 0)
        #expect(bar.parts.map(\.kind) == ["ok", "bad"])
        #expect(bar.words == "1,000,000 of 1,000,000 done, 1 failed")
        let widths = bar.parts.map { Int($0.width)! }
        #expect(widths.reduce(0, +) <= 1001 && widths[1] >= 1)
    }
}
