// Every index is done exactly once, region after region.

import Synchronization
import Testing

@testable import HostDevice

@Suite struct ThreadPoolTests {
    @Test(arguments: [1, 2, 3, 7])
    func everyIndexIsDoneOnce(threads: Int) throws {
        let pool = ThreadPool(threadCount: threads)
        defer { pool.stop() }
        for count in [0, 1, 2, 3, 17, 1000] {
            for grain in [1, 5] {
                let done = try DeviceBuffer<Int32>(count: max(count, 1))
                let workers = Atomic<Int>(0)
                for _ in 0..<20 {
                    pool.forEach(count, grain: grain) { worker, part in
                        workers.bitwiseOr(1 << worker, ordering: .relaxed)
                        for index in part { done.base[index] += 1 }
                    }
                }
                #expect((0..<count).allSatisfy { done.base[$0] == 20 })
                #expect(workers.load(ordering: .relaxed) < 1 << threads)
            }
        }
    }

    /// The caller's own threads would inherit a binding that it was left with.
    @Test func onlyThePoolsOwnThreadsArePrepared() {
        let prepared = Mutex<[Int]>([])
        let pool = ThreadPool(threadCount: 3) { worker in prepared.withLock { $0.append(worker) } }
        pool.forEach(100) { _, _ in }
        pool.stop()
        #expect(prepared.withLock { $0.sorted() } == [1, 2])
    }

    @Test func stoppedPoolRunsOnTheCaller() {
        let pool = ThreadPool(threadCount: 3)
        pool.stop()
        pool.stop()
        var sum = 0
        pool.forEach(10) { worker, part in
            #expect(worker == 0)
            sum += part.reduce(0, +)
        }
        #expect(sum == 45)
    }
}
