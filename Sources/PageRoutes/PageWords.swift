// Numbers, durations and times as the page shows them.

import Foundation
import ResultExport
import Runtime

enum PageWords {
    /// `1,234,567`.
    static func count(_ number: Int64) -> String {
        var digits = String(number.magnitude)[...]
        var groups: [Substring] = []
        while digits.count > 3 {
            groups.insert(digits.suffix(3), at: 0)
            digits = digits.dropLast(3)
        }
        return (number < 0 ? "−" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// `1 job`, or `12 jobs`.
    static func count(_ number: Int64, _ noun: String) -> String {
        "\(count(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    /// `0.42`, `8.1`, `312` or `1,234`.
    static func rate(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        switch value.magnitude {
        case 0: return "0"
        case ..<1: return String(format: "%.2f", value)
        case ..<100: return String(format: "%.1f", value)
        default: return count(Int64(value.rounded()))
        }
    }

    /// `40 ms`, `12.5 s`, `3m 20s`, `1h 04m` or `2d 03h`.
    static func duration(_ milliseconds: Int64) -> String {
        let seconds = Int(milliseconds / 1000)
        switch milliseconds {
        case ..<1000: return "\(milliseconds) ms"
        case ..<60_000: return String(format: "%.1f s", Double(milliseconds) / 1000)
        case ..<3_600_000: return String(format: "%dm %02ds", seconds / 60, seconds % 60)
        case ..<86_400_000: return String(format: "%dh %02dm", seconds / 3600, seconds % 3600 / 60)
        default: return String(format: "%dd %02dh", seconds / 86_400, seconds % 86_400 / 3600)
        }
    }

    /// A duration that changes every second, without the digits that nobody can read in time: `12 s`, `3m 20s` …
    static func countdown(_ milliseconds: Int64) -> String {
        milliseconds < 60_000 ? "\(max(0, milliseconds) / 1000) s" : duration(milliseconds)
    }

    /// `45 %`.
    static func percent(_ share: Double) -> String {
        share > 0 && share < 0.01 ? "< 1 %" : String(format: "%.0f %%", 100 * share)
    }

    /// `<time datetime="…">`'s two parts.
    static func time(_ point: Milliseconds, now: Milliseconds) -> ShownTime { ShownTime(point, now: now) }

    /// A name without the folders of a path: nobody learns where files are.
    static func name(_ text: String) -> String {
        let last = text.split(separator: "/").last.map(String.init) ?? text
        return last.count > 200 ? last.prefix(200) + "…" : last
    }

    /// A message of bounded length, without paths of the server.
    static func message(_ text: String) -> String {
        let shown = text.withoutPaths
        return shown.count > 600 ? shown.prefix(600) + "…" : shown
    }
}

/// A point in time, for people and for programs.
struct ShownTime: Sendable, Hashable {
    /// `14:05` today, else `Nov 22, 14:05`, in the server's time.
    let text: String
    /// `2026-11-22T13:05:00Z`.
    let iso: String

    init(_ point: Milliseconds, now: Milliseconds) {
        let local = Array(point.localTime)
        let time = String(local.dropFirst(11).prefix(5))
        if local.prefix(10) == Array(now.localTime).prefix(10) || local.count < 16 {
            text = time
        } else {
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
            let month = Int(String(local[5..<7])).map { months[($0 - 1) % 12] } ?? ""
            text = "\(month) \(Int(String(local[8..<10])) ?? 0), \(time)"
        }
        iso = Date(timeIntervalSince1970: Double(point.rawValue / 1000)).formatted(.iso8601)
    }
}
