// Waits for a condition: threads spin for a short time, then sleep until they are woken.

import CHostKernels
import Glibc
import Synchronization

/// A condition that threads wait for. Between the stages of a step a waiting thread still spins, so that continuing
/// takes well under a microsecond and no lock. After a step it sleeps and leaves its core to other programs.
final class Doorbell: @unchecked Sendable {
    /// Checks of the condition before sleeping: 0.1 to 0.5 ms by processor, longer than a thread runs the last part of
    /// a stage.
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

    /// Wakes the sleeping threads. The caller must have made their condition true by a sequentially consistent write.
    func ring() {
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Returns when `isTrue` returns true; it must read atomics with sequential consistency.
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
