// A lock with a condition to wait for, which uses a monotonic clock.

import Glibc

/// A mutex with a condition. Time limits use the monotonic clock: a wall clock that is set back at night must not hold
/// up the queue, as it would with `NSCondition.wait(until:)`.
package final class WaitingLock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init() {
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` while holding the lock.
    package func withLock<Value>(_ body: () throws -> Value) rethrows -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Calls `body` while holding the lock, then wakes the threads that wait for a change.
    package func change<Value>(_ body: () throws -> Value) rethrows -> Value {
        try withLock {
            defer { pthread_cond_broadcast(condition) }
            return try body()
        }
    }

    /// Calls `body` while holding the lock, once `isReady` is true or after `limit`; without a limit it waits for ever.
    package func wait<Value>(atMost limit: Duration? = nil, until isReady: () -> Bool, then body: () -> Value) -> Value
    {
        withLock {
            guard let limit else {
                while !isReady() { pthread_cond_wait(condition, mutex) }
                return body()
            }
            var deadline = Self.monotonicTime(after: limit)
            while !isReady(), pthread_cond_timedwait(condition, mutex, &deadline) != ETIMEDOUT {}
            return body()
        }
    }

    private static func monotonicTime(after duration: Duration) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        // A limit of more than a year is treated as a year, which avoids overflow.
        let limit = min(max(duration, .zero), .seconds(31_536_000)).components
        let nanoseconds = time.tv_nsec + Int(limit.attoseconds / 1_000_000_000)
        time.tv_sec += Int(limit.seconds) + nanoseconds / 1_000_000_000
        time.tv_nsec = nanoseconds % 1_000_000_000
        return time
    }
}
