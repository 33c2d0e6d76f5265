// Durations, rates, times and counts in formats for people.

import Foundation

package enum Quantity {
    /// `1h 04m`, `3m 20s`, `12.5 s` or `40 ms`.
    package static func duration(milliseconds: Int64) -> String {
        let seconds = milliseconds / 1000
        switch milliseconds {
        case ..<1000: return "\(milliseconds) ms"
        case ..<60_000: return String(format: "%.1f s", Double(milliseconds) / 1000)
        case ..<3_600_000: return String(format: "%dm %02ds", Int(seconds / 60), Int(seconds % 60))
        default: return String(format: "%dh %02dm", Int(seconds / 3600), Int(seconds % 3600 / 60))
        }
    }

    /// A number with one decimal below 100, none above.
    package static func rate(_ value: Double) -> String {
        String(format: value < 100 ? "%.1f" : "%.0f", value)
    }

    /// `2026-11-22 13:05:00` in local time.
    package static func time(milliseconds: Int64?) -> String {
        guard let milliseconds else { return "-" }
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.dateFormat = "yyyy-MM-dd HH:mm:ss"
        return formatter.string(from: Date(timeIntervalSince1970: Double(milliseconds) / 1000))
    }

    /// `134 million`, or `98 thousand`.
    package static func count(_ number: Int) -> String {
        number < 1_000_000 ? "\(number / 1000) thousand" : "\(number / 1_000_000) million"
    }

    /// `98 MiB`, or `12 KiB`.
    package static func bytes(_ number: Int64) -> String {
        number < 1 << 20 ? "\(number >> 10) KiB" : "\(number >> 20) MiB"
    }

    /// `45 %`, or `-` without a whole.
    package static func share(_ part: Double, of whole: Double) -> String {
        whole > 0 ? String(format: "%.0f %%", 100 * part / whole) : "-"
    }
}
