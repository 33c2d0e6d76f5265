// The only place where the program reads the clock.

import Foundation

/// Reads the time; tests use their own.
public struct TimeSource: Sendable {
    private let read: @Sendable () -> Milliseconds
    private let readSteady: @Sendable () -> Int64

    /// Makes a source that takes the time from `read`; durations use the system's monotonic clock.
    public init(_ read: @escaping @Sendable () -> Milliseconds) {
        self.init(read, steady: Self.systemSteady)
    }

    /// Makes a source that takes the time from `read`, and durations from `steady`, a monotonic time in milliseconds.
    public init(_ read: @escaping @Sendable () -> Milliseconds, steady: @escaping @Sendable () -> Int64) {
        self.read = read
        readSteady = steady
    }

    /// Milliseconds since 1970, UTC. This clock can be set forward and back.
    public var now: Milliseconds { read() }

    /// Milliseconds of a monotonic clock; only differences are meaningful.
    public var steady: Int64 { readSteady() }

    /// The system's clock.
    public static let system = TimeSource { Milliseconds(rawValue: Int64(Date().timeIntervalSince1970 * 1000)) }

    private static let start = ContinuousClock.now

    private static let systemSteady: @Sendable () -> Int64 = {
        Int64((ContinuousClock.now - start) / .milliseconds(1))
    }
}
