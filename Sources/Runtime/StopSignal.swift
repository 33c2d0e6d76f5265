// Requests to the daemon to stop, from the thread that handles signals or from a test.

/// A request to stop, for which threads can wait.
public final class StopSignal: @unchecked Sendable {
    /// The urgency of a request.
    public enum Level: Int, Sendable, Comparable {
        /// Continue.
        case none
        /// Claim no new jobs; let the running ones end within the grace period.
        case graceful
        /// Release the running jobs at once.
        case immediate

        /// The more urgent level is greater.
        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    private let lock = WaitingLock()
    private var requested = Level.none
    private var firstRequest: ContinuousClock.Instant?
    private var listener: (() -> Void)?
    private var wakes = 0

    /// Makes a signal without a request.
    public init() {}

    /// The most urgent level requested so far.
    public var level: Level { lock.withLock { requested } }

    /// Requests `level`; it has no effect if a more urgent level was requested before.
    public func request(_ level: Level) {
        let listener = lock.change {
            requested = max(requested, level)
            if requested != .none, firstRequest == nil { firstRequest = .now }
            return self.listener
        }
        listener?()
    }

    /// Whether the time of the running jobs is over: at once after an immediate request, else when `grace` has passed
    /// since the first request. All callers measure from that same moment.
    package func isGraceOver(_ grace: Duration) -> Bool {
        lock.withLock {
            guard let firstRequest else { return false }
            return requested == .immediate || firstRequest + grace <= .now
        }
    }

    /// Waits until a stop is requested, until `seconds` have passed, or until `wake` has been called since
    /// `wakeUpCount` was `seen`.
    public func wait(seconds: Double, since seen: Int? = nil) {
        lock.wait(
            atMost: .seconds(seconds), until: { requested != .none || (seen.map { $0 != wakes } ?? false) }, then: {})
    }

    /// The number of wake-ups. Read it before looking for work and pass it to `wait`, so that no wake-up is lost.
    package var wakeUpCount: Int { lock.withLock { wakes } }

    /// Wakes waiting threads to look for work, without a request to stop.
    package func wake() {
        let listener = lock.change {
            wakes += 1
            return self.listener
        }
        listener?()
    }

    /// Sets the `listener` that is called at every request and wake-up from now on.
    package func onRequest(_ listener: (() -> Void)?) {
        lock.withLock { self.listener = listener }
    }
}
