// The typed identifiers of the queue, and its instants.

import Glibc

/// A submitted file. Printed and parsed as `batch_17`; never used again after a deletion.
public struct BatchID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number that the store gave it.
    public let rawValue: Int64

    /// Wraps a number that the store gave out.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// Parses `batch_17` or `17`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let digits = text.hasPrefix("batch_") ? text.dropFirst("batch_".count) : text[...]
        guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let number = Int64(digits), number > 0
        else { return nil }
        self.rawValue = number
    }

    /// `batch_17`.
    public var description: String { "batch_\(rawValue)" }

    /// In order of submission.
    public static func < (left: BatchID, right: BatchID) -> Bool { left.rawValue < right.rawValue }
}

/// One prompt of a batch.
public struct JobID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number that the store gave it.
    public let rawValue: Int64

    /// Wraps a number that the store gave out.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// `job_17`.
    public var description: String { "job_\(rawValue)" }

    /// In order of submission.
    public static func < (left: JobID, right: JobID) -> Bool { left.rawValue < right.rawValue }
}

/// One life of the daemon.
public struct Incarnation: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number that the store gave it.
    public let rawValue: Int64

    /// Wraps a number that the store gave out.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// `incarnation 3`.
    public var description: String { "incarnation \(rawValue)" }

    /// In order of start.
    public static func < (left: Incarnation, right: Incarnation) -> Bool { left.rawValue < right.rawValue }
}

/// An instant: milliseconds since 1970 UTC. The store has no clock; callers bring the time.
public struct Milliseconds: RawRepresentable, Hashable, Comparable, Sendable, ExpressibleByIntegerLiteral {
    /// Milliseconds since 1970 UTC.
    public let rawValue: Int64

    /// An instant from milliseconds since 1970 UTC.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// For tests and constants.
    public init(integerLiteral value: Int64) {
        self.rawValue = value
    }

    /// `2026-11-22 13:05:00` in local time.
    var localTime: String {
        var seconds = time_t(rawValue / 1000)
        var parts = tm()
        var text = [CChar](repeating: 0, count: 32)
        guard localtime_r(&seconds, &parts) != nil, strftime(&text, text.count, "%Y-%m-%d %H:%M:%S", &parts) > 0 else {
            return "\(rawValue)"
        }
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    /// Chronological.
    public static func < (left: Milliseconds, right: Milliseconds) -> Bool { left.rawValue < right.rawValue }

    /// The instant `right` milliseconds after `left`.
    public static func + (left: Milliseconds, right: Int64) -> Milliseconds {
        Milliseconds(rawValue: left.rawValue + right)
    }

    /// The milliseconds from `right` to `left`.
    public static func - (left: Milliseconds, right: Milliseconds) -> Int64 { left.rawValue - right.rawValue }
}
