// Waking threads that wait for something to become true: they look for a few microseconds, then sleep.

import CHostKernels
import Glibc
import Synchronization

/// Where threads wait. Between the stages of a step the waiter is still looking, so that going on costs well under a
/// microsecond and no lock; after a step it sleeps and leaves its core to others.
final class Doorbell: @unchecked Sendable {
    /// Looks before sleeping: 0.1 to 0.5 ms by processor, longer than any thread is busy with the last part of a stage.
    private static let looks = 10_000

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

    /// Wakes those who sleep. What they wait for must have become true before, by a sequentially consistent write.
    func ring() {
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Returns when `isTrue`, which must read atomics with sequential consistency.
    @inline(__always)
    func wait(until isTrue: () -> Bool) {
        for _ in 0..<Self.looks {
            if isTrue() { return }
            hk_pause()
        }
        pthread_mutex_lock(mutex)
        sleepers.add(1, ordering: .sequentiallyConsistent)
        while !isTrue() { pthread_cond_wait(condition, mutex) }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(mutex)
    }
}
