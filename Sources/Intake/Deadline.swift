// Deadlines as users write them: a date and time, a time of day, or a duration from now.

public import Foundation
public import Runtime
import StoreContract

/// The error for a text that is not a deadline.
public struct InvalidDeadline: Error, Equatable, CustomStringConvertible {
    /// What is wrong, and what to write instead.
    public var description: String
}

/// Parses deadlines.
public enum Deadline {
    /// A time in the future.
    ///
    /// - Parameters:
    ///   - text: `2026-11-26 06:00`, with or without seconds, a `T` between, or a zone at the end (`Z`, `+01:00`); or
    ///     `06:00`, the next such time of day.
    ///   - timeZone: the zone of texts without one.
    public static func parse(
        time text: String, now: Milliseconds, timeZone: TimeZone = .current
    ) throws(InvalidDeadline) -> Milliseconds {
        guard let date = date(text, now: now, timeZone) else {
            throw InvalidDeadline(
                description: "\"\(text)\" is not a time; write 2026-11-26 06:00, 2026-11-26T06:00:00Z or 06:00")
        }
        let deadline = Milliseconds(rawValue: Int64(date.timeIntervalSince1970 * 1000))
        guard deadline > now else {
            throw InvalidDeadline(description: "\"\(text)\" is over already; write a time in the future")
        }
        return deadline
    }

    /// The end of a window that begins now.
    ///
    /// - Parameter text: a whole number with `s`, `m`, `h` or `d`, for example `24h`; a second to a thousand days.
    public static func parse(window text: String, now: Milliseconds) throws(InvalidDeadline) -> Milliseconds {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), text.dropLast().allSatisfy(\.isNumber),
            let count = Int64(text.dropLast()), (1...86_400_000 / unit).contains(count)
        else {
            throw InvalidDeadline(description: "\"\(text)\" is not a length of time; write for example 24h, 90m or 2d")
        }
        return now + count * unit * 1000
    }

    private static func date(_ text: String, now: Milliseconds, _ timeZone: TimeZone) -> Date? {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = timeZone
        for separator in ["' '", "'T'"] {
            for time in ["HH:mm", "HH:mm:ss"] {
                for zone in ["", "XXXXX"] {
                    formatter.dateFormat = "yyyy-MM-dd" + separator + time + zone
                    if let date = formatter.date(from: text) { return date }
                }
            }
        }
        formatter.dateFormat = "HH:mm"
        guard formatter.date(from: text) != nil else { return nil }
        let parts = text.split(separator: ":").compactMap { Int($0) }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = timeZone
        return calendar.nextDate(
            after: Date(timeIntervalSince1970: Double(now.rawValue) / 1000),
            matching: DateComponents(hour: parts[0], minute: parts[1], second: 0), matchingPolicy: .nextTime)
    }
}
