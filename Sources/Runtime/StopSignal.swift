// How the daemon is asked to stop, from a signal handler's thread or from a test.

/// A request to stop that threads can wait for.
public final class StopSignal: @unchecked Sendable {
    /// How much is wanted.
    public enum Level: Int, Sendable, Comparable {
        /// Work on.
        case none
        /// Take no new jobs, let the running ones end within the grace period.
        case graceful
        /// Put running jobs back at once.
        case immediate

        /// More urgent is greater.
        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    private let lock = WaitingLock()
    private var requested = Level.none
    private var firstRequest: ContinuousClock.Instant?
    private var listener: (() -> Void)?
    private var wakes = 0

    /// Nothing asked for yet.
    public init() {}

    /// What has been asked for so far.
    public var level: Level { lock.withLock { requested } }

    /// Asks for `level`; a weaker wish than an earlier one changes nothing.
    public func request(_ level: Level) {
        let listener = lock.change {
            requested = max(requested, level)
            if requested != .none, firstRequest == nil { firstRequest = .now }
            return self.listener
        }
        listener?()
    }

    /// Whether what still runs has had its time: at once after an immediate request, else when `grace` has passed since the
    /// first. Everybody who asks measures from the same moment.
    package func isGraceOver(_ grace: Duration) -> Bool {
        lock.withLock {
            guard let firstRequest else { return false }
            return requested == .immediate || firstRequest + grace <= .now
        }
    }

    /// Waits until something is asked for or `seconds` have passed, or somebody woke it since `wakeUpCount` was `seen`.
    public func wait(seconds: Double, since seen: Int? = nil) {
        lock.wait(
            atMost: .seconds(seconds), until: { requested != .none || (seen.map { $0 != wakes } ?? false) }, then: {})
    }

    /// Counts what a wait is ended for. Taken before looking at what there is to do, so that no wake is slept over.
    package var wakeUpCount: Int { lock.withLock { wakes } }

    /// There is something to look at, and nothing is asked for.
    package func wake() {
        let listener = lock.change {
            wakes += 1
            return self.listener
        }
        listener?()
    }

    /// Calls `listener` at every request and wake from now on.
    package func onRequest(_ listener: (() -> Void)?) {
        lock.withLock { self.listener = listener }
    }
}
