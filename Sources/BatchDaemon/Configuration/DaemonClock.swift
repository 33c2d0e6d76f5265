// The one place where the daemon learns what time it is.

import Foundation
public import JobStore

/// Gives the time; tests give their own.
public struct DaemonClock: Sendable {
    private let read: @Sendable () -> Milliseconds

    /// A clock that calls `read`.
    public init(_ read: @escaping @Sendable () -> Milliseconds) { self.read = read }

    /// Milliseconds since 1970 UTC.
    public var now: Milliseconds { read() }

    /// The system's clock.
    public static let system = DaemonClock { Milliseconds(rawValue: Int64(Date().timeIntervalSince1970 * 1000)) }
}
