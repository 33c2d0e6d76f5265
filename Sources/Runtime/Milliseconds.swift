// Points in time, as the queue stores them and as they are printed.

import Glibc

/// A point in time: milliseconds since 1970, UTC.
public struct Milliseconds: RawRepresentable, Hashable, Comparable, Sendable, Codable, ExpressibleByIntegerLiteral {
    /// Milliseconds since 1970, UTC.
    public let rawValue: Int64

    /// Makes a point in time from milliseconds since 1970, UTC.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// For tests and constants; milliseconds since 1970, UTC.
    public init(integerLiteral value: Int64) {
        self.rawValue = value
    }

    /// `2026-11-22 13:05:00` in local time.
    public var localTime: String {
        var seconds = time_t(rawValue / 1000)
        var parts = tm()
        var text = [CChar](repeating: 0, count: 32)
        guard localtime_r(&seconds, &parts) != nil, strftime(&text, text.count, "%Y-%m-%d %H:%M:%S", &parts) > 0 else {
            return "\(rawValue)"
        }
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    /// The earlier point in time is less.
    public static func < (left: Milliseconds, right: Milliseconds) -> Bool { left.rawValue < right.rawValue }

    /// The point in time `right` milliseconds after `left`.
    public static func + (left: Milliseconds, right: Int64) -> Milliseconds {
        Milliseconds(rawValue: left.rawValue + right)
    }

    /// The milliseconds from `right` to `left`.
    public static func - (left: Milliseconds, right: Milliseconds) -> Int64 { left.rawValue - right.rawValue }
}
