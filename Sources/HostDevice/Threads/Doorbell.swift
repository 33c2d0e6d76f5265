// Waking a thread that waits for a number to change: it looks for a few microseconds, then sleeps.

import Glibc
import Synchronization

/// A counter that threads wait on. Between the regions of a step the waiter is still looking, so that a wake-up costs well
/// under a microsecond; after a step it sleeps and leaves its core to others.
final class Doorbell: @unchecked Sendable {
    /// Looks before sleeping, about 20 µs.
    private static let looks = 10_000

    private let count = Atomic<UInt64>(0)
    private let sleepers = Atomic<Int>(0)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// How often the bell has rung.
    var rings: UInt64 { count.load(ordering: .acquiring) }

    /// Adds one and wakes those who sleep; what was written before is visible to them.
    func ring() {
        count.add(1, ordering: .sequentiallyConsistent)
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Returns when the bell has rung `target` times.
    func wait(until target: UInt64) {
        for _ in 0..<Self.looks where rings >= target { return }
        pthread_mutex_lock(mutex)
        sleepers.add(1, ordering: .sequentiallyConsistent)
        while count.load(ordering: .sequentiallyConsistent) < target { pthread_cond_wait(condition, mutex) }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(mutex)
    }
}
