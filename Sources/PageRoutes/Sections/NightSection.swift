// The last twelve hours as charts, with marks where the daemon was started again and where jobs failed.

import Runtime
import StoreContract

struct NightSection: Sendable, Hashable {
    /// A place in the charts.
    struct Mark: Sendable, Hashable {
        let x: String
        let words: String
    }

    /// A start of the daemon, in words.
    struct Start: Sendable, Hashable {
        let time: ShownTime
        let words: String
    }

    /// An hour of the table.
    struct Hour: Sendable, Hashable {
        let time: ShownTime
        let rate: String
        let occupancy: String
        let cache: String
        let done: String
        let failed: String
    }

    /// Parts of the time in the charts.
    static let parts = 240
    static let lengthMS: Int64 = 12 * 3_600_000

    let charts: [LineChart]
    let starts: [Mark]
    let failures: [Mark]
    /// The times at equal distances below each chart.
    let times: [ShownTime]
    let restarts: [Start]
    let hasMore: Bool
    let jobs: String
    let hours: [Hour]

    /// - Parameters:
    ///   - history: what was measured in the twelve hours before `now`.
    ///   - lives: the latest incarnations, the last one first.
    init(_ history: [MetricsPart], lives: [IncarnationSummary], now: Milliseconds) {
        let from = now + -Self.lengthMS
        let partMS = Self.lengthMS / Int64(Self.parts)
        // Intervals may be longer than a part.
        let intervals = history.reduce(0) { $0 + $1.summary.intervals }
        let covered = history.reduce(0) { $0 + $1.summary.coveredMS }
        let gap = intervals > 0 ? Int(covered / intervals / partMS) + 1 : 1
        func values(_ value: (MetricsPart) -> Double?) -> [(part: Int, value: Double)] {
            history.compactMap { part in value(part).map { (part.index, $0) } }
        }
        charts = [
            LineChart("Generated tokens/s", values { $0.summary.generatedTokensPerSecond }, gap: gap) {
                PageWords.rate($0)
            },
            LineChart("Occupied slots", values { $0.summary.occupancy }, most: 1, gap: gap) { PageWords.percent($0) },
            LineChart(
                "KV cache in use",
                values {
                    $0.summary.kvBlocksTotal > 0 ? $0.summary.kvBlocksMean / Double($0.summary.kvBlocksTotal) : nil
                },
                most: 1, gap: gap
            ) { PageWords.percent($0) },
            LineChart("Waiting jobs", values { Double($0.queueDepth) }, gap: gap) { PageWords.count(Int64($0)) },
        ]
        func x(_ time: Milliseconds) -> String {
            let tenths = (time - from) * Int64(Self.parts) * 10 / Self.lengthMS
            return "\(tenths / 10).\(tenths % 10)"
        }
        let recent = lives.filter { $0.started >= from && $0.started <= now }
        starts = recent.map { Mark(x: x($0.started), words: "\($0.id) began") }
        let all = zip(lives, lives.dropFirst().map(Optional.some) + [nil]).filter { $0.0.started >= from }
        restarts = all.prefix(8).map { life, before in
            let died = before.map { $0.stopped == nil } ?? false
            return Start(
                time: ShownTime(life.started, now: now),
                words: "\(life.id) began" + (died ? ", after the one before it had died" : ""))
        }
        hasMore = all.count > 8
        failures = history.filter { $0.summary.jobsFailed > 0 }.map { part in
            Mark(
                x: "\(part.index)",
                words: "\(ShownTime(from + Int64(part.index) * partMS, now: now).text): "
                    + "\(PageWords.count(part.summary.jobsFailed, "job")) failed")
        }
        // Without dates, which a narrow page has no room for: after midnight nearly all would have one.
        times = (0...4).map { from + Int64($0) * Self.lengthMS / 4 }.map { ShownTime($0, now: $0) }
        let succeeded = history.reduce(0) { $0 + $1.summary.jobsSucceeded }
        let failed = history.reduce(0) { $0 + $1.summary.jobsFailed }
        jobs = "\(PageWords.count(succeeded, "job")) succeeded, \(PageWords.count(failed)) failed"
        hours = Self.hours(history, from: from, now: now)
    }

    private static func hours(_ history: [MetricsPart], from: Milliseconds, now: Milliseconds) -> [Hour] {
        let partsOfHour = parts / 12
        return Dictionary(grouping: history) { $0.index / partsOfHour }.sorted { $0.key < $1.key }.map { hour, parts in
            let sums = parts.map(\.summary)
            func sum(_ value: (MetricsSummary) -> Int64) -> Int64 { sums.reduce(0) { $0 + value($1) } }
            func share(_ part: Double, _ whole: Double) -> String { whole > 0 ? PageWords.percent(part / whole) : "–" }
            let covered = Double(sum(\.coveredMS))
            return Hour(
                time: ShownTime(from + Int64(hour) * 3_600_000, now: now),
                rate: covered > 0 ? PageWords.rate(Double(sum(\.generatedTokens)) * 1000 / covered) : "–",
                occupancy: share(Double(sum(\.decodeRows)), Double(sum(\.decodeRowCapacity))),
                cache: share(
                    sums.reduce(0) { $0 + $1.kvBlocksMean * Double($1.coveredMS) },
                    sums.reduce(0) { $0 + Double($1.kvBlocksTotal * $1.coveredMS) }),
                done: PageWords.count(sum(\.jobsSucceeded)), failed: PageWords.count(sum(\.jobsFailed)))
        }
    }
}
