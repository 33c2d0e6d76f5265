// The only place where the program reads the clock.

import Foundation
import Synchronization

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

    /// The system's clock, or the one that `setSystem` has set it by.
    public static let system = TimeSource {
        let set = ahead.load(ordering: .relaxed)
        if set != .min { return Milliseconds(rawValue: systemSteady() + set) }
        return Milliseconds(rawValue: Int64(Date().timeIntervalSince1970 * 1000))
    }

    /// What the set clock is ahead of the steady one; `.min`: it was not set.
    private static let ahead = Atomic<Int64>(.min)

    /// Sets the clock of this program, not of the machine: a queue that several hosts share has one time, its server's.
    package static func setSystem(to time: Milliseconds, at steady: Int64) {
        ahead.store(time.rawValue - steady, ordering: .relaxed)
    }

    private static let start = ContinuousClock.now

    private static let systemSteady: @Sendable () -> Int64 = {
        Int64((ContinuousClock.now - start) / .milliseconds(1))
    }
}
