// The one place where the program learns what time it is.

import Foundation

/// Gives the time; tests give their own.
public struct TimeSource: Sendable {
    private let read: @Sendable () -> Milliseconds
    private let readSteady: @Sendable () -> Int64

    /// A clock that calls `read`; lengths of time are measured by the system.
    public init(_ read: @escaping @Sendable () -> Milliseconds) {
        self.init(read, steady: Self.systemSteady)
    }

    /// A clock that calls `read`, and `steady` to measure lengths of time, in milliseconds.
    public init(_ read: @escaping @Sendable () -> Milliseconds, steady: @escaping @Sendable () -> Int64) {
        self.read = read
        readSteady = steady
    }

    /// Milliseconds since 1970 UTC. People may set it, forward and back.
    public var now: Milliseconds { read() }

    /// Milliseconds by a clock that nobody sets: only differences mean something.
    public var steady: Int64 { readSteady() }

    /// The system's clock.
    public static let system = TimeSource { Milliseconds(rawValue: Int64(Date().timeIntervalSince1970 * 1000)) }

    private static let start = ContinuousClock.now

    private static let systemSteady: @Sendable () -> Int64 = {
        Int64((ContinuousClock.now - start) / .milliseconds(1))
    }
}
