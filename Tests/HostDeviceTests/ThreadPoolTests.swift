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
            let done = try DeviceBuffer<Int32>(count: max(count, 1))
            let workers = Atomic<Int>(0)
            for _ in 0..<20 {
                pool.forEach(count) { worker, part in
                    workers.bitwiseOr(1 << worker, ordering: .relaxed)
                    for index in part { done.base[index] += 1 }
                }
            }
            #expect((0..<count).allSatisfy { done.base[$0] == 20 })
            #expect(workers.load(ordering: .relaxed) < 1 << threads)
        }
    }

    @Test(arguments: [1, 2, 3, 7])
    func aStageBeginsWhenTheOneBeforeIsDone(threads: Int) throws {
        let pool = ThreadPool(threadCount: threads)
        defer { pool.stop() }
        let counts = [5, 1, 0, 40, 3, 17]
        // What each item saw of the stage before, added up over the runs.
        let cells = try DeviceBuffer<Int32>(count: 6 * 40)
        let done = (0..<6).map { _ in Counter() }
        let early = Counter()
        let work = StagedWork(
            counts.enumerated().map { StagedWork.Stage(count: $1, piece: $0 % 3 + 1) }, threads: threads
        ) { stage, worker, part in
            precondition(worker < threads)
            for item in part {
                cells.base[stage * 40 + item] += 1
                // All items of all stages before have been done in this run.
                let run = Int(cells.base[stage * 40 + item])
                for before in 0..<stage where done[before].value.load(ordering: .acquiring) != run * counts[before] {
                    early.value.add(1, ordering: .relaxed)
                }
                done[stage].value.add(1, ordering: .acquiringAndReleasing)
            }
        }
        for _ in 0..<300 { pool.perform(work) }
        pool.forget()
        #expect(early.value.load(ordering: .relaxed) == 0)
        for (stage, count) in counts.enumerated() {
            #expect((0..<40).allSatisfy { cells.base[stage * 40 + $0] == ($0 < count ? 300 : 0) })
        }
    }

    /// In plain memory, so that the thread sanitizer sees whether one stage's end is the next one's beginning on all threads.
    @Test(arguments: [2, 3, 7])
    func aStageReadsWhatOthersWroteInTheOneBefore(threads: Int) throws {
        let pool = ThreadPool(threadCount: threads)
        defer { pool.stop() }
        let (stages, width, runs) = (4, 24, 500)
        let cells = try DeviceBuffer<Int32>(count: stages * width)
        let work = StagedWork(
            (0..<stages).map { StagedWork.Stage(count: width, piece: $0 + 1) }, threads: threads
        ) { stage, _, part in
            // The first stage reads what the last one of the run before wrote.
            let before = cells.base + (stage + stages - 1) % stages * width
            for item in part { cells.base[stage * width + item] = before[(item * 7 + 5) % width] + 1 }
        }
        for _ in 0..<runs { pool.perform(work) }
        pool.forget()
        #expect((0..<width).allSatisfy { cells.base[(stages - 1) * width + $0] == stages * runs })
    }

    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
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
