// A list of stages that the threads of a pool run together.

import Synchronization

/// Work in stages: a stage's parts run in any order on any threads, and all are done before the next stage begins.
///
/// A stage is done when its parts are done, so a thread that the system does not schedule delays the others only if it
/// has taken parts of the stage. Such a thread later finds that its run is over and skips the remaining stages. The
/// result of a part does not depend on the thread, because nothing is summed across parts.
///
/// Each thread has a share of adjacent items, which it runs in order, so that it can prefetch the data it needs next. A
/// thread that has finished its share helps the others with theirs.
final class StagedWork: @unchecked Sendable {
    /// One stage: `count` items, which threads take `piece` at a time.
    struct Stage: BitwiseCopyable {
        let count: Int
        let piece: Int

        init(count: Int, piece: Int = 1) {
            precondition(count >= 0 && count < 1 << Ticket.countBits && piece > 0)
            self.count = count
            self.piece = piece
        }

        /// The items of a thread's share.
        func share(of worker: Int, threads: Int) -> Range<Int> {
            count * worker / threads..<count * (worker + 1) / threads
        }
    }

    /// Runs some items of a stage; `worker` selects the scratch memory.
    typealias Body = (_ stage: Int, _ worker: Int, _ part: Range<Int>) -> Void

    private let threads: Int
    private let stages: UnsafeMutableBufferPointer<Stage>
    /// In the current stage: number of items taken from each worker's share, and number of items done.
    private let claimed: StageCounters
    private let done: StageCounters
    private let body: Body
    private let finished = Doorbell()
    /// The number of the current or last run; only the thread that starts runs writes it.
    private var run: UInt64 = 0

    /// Work for `threads` threads.
    init(_ stages: [Stage], threads: Int, _ body: @escaping Body) {
        self.threads = threads
        self.stages = .allocate(capacity: stages.count)
        _ = self.stages.initialize(from: stages)
        claimed = StageCounters(count: threads)
        done = StageCounters(count: 1)
        self.body = body
    }

    deinit { stages.deallocate() }

    /// Begins the next run; all earlier runs must be done.
    func begin() -> UInt64 {
        run += 1
        return run
    }

    /// Runs the stages of `run` together with the other threads; returns when the run is done.
    func goThrough(run: UInt64, worker: Int) {
        for index in 0..<stages.count {
            let stage = stages[index]
            guard stage.count > 0 else { continue }
            let ordinal = run &* UInt64(stages.count) &+ UInt64(index)
            // The count of done items is updated once, when no items are left: a write removes its cache line from the
            // other cores' caches.
            var ended = 0
            for helped in 0..<threads {
                let owner = (worker + helped) % threads
                let share = stage.share(of: owner, threads: threads)
                while let part = claimed[owner].take(stage.piece, of: share, ordinal) {
                    body(index, worker, part)
                    ended += part.count
                }
            }
            if ended > 0, done[0].add(ended, ordinal) == stage.count { finished.ring() }
            finished.wait { done[0].hasReached(stage.count, ordinal) }
        }
    }
}

/// Counters that different threads write, each in its own pair of cache lines, which processors fetch together.
private final class StageCounters {
    private static let stride = 128 / MemoryLayout<StageCounter>.stride
    private let memory: UnsafeMutableBufferPointer<StageCounter>

    init(count: Int) {
        memory = .allocate(capacity: (count + 1) * Self.stride)
        for index in memory.indices { memory.initializeElement(at: index, to: StageCounter()) }
    }

    deinit {
        memory.deinitialize()
        memory.deallocate()
    }

    subscript(_ index: Int) -> StageCounter {
        @inline(__always) _read { yield memory[(index + 1) * Self.stride] }
    }
}

/// A count of items, stored with the number of its stage, so that it need not be reset and a late thread cannot take a
/// part of a later stage.
private struct StageCounter: ~Copyable {
    private let bits = Atomic<UInt64>(0)

    /// The next `piece` items of `share`, or `nil` if all are taken.
    func take(_ piece: Int, of share: Range<Int>, _ stage: UInt64) -> Range<Int>? {
        var seen = Ticket(bits: bits.load(ordering: .acquiring))
        while true {
            guard let taken = seen.count(in: stage), taken < share.count else { return nil }
            let end = min(taken + piece, share.count)
            let (exchanged, original) = bits.compareExchange(
                expected: seen.bits, desired: Ticket(stage: stage, count: end).bits, ordering: .acquiringAndReleasing)
            if exchanged { return share.lowerBound + taken..<share.lowerBound + end }
            seen = Ticket(bits: original)
        }
    }

    /// Adds to the count of `stage`, which cannot be over, and returns the new count.
    func add(_ items: Int, _ stage: UInt64) -> Int {
        var seen = Ticket(bits: bits.load(ordering: .relaxed))
        while true {
            let count = seen.count(in: stage)! + items
            let (exchanged, original) = bits.compareExchange(
                expected: seen.bits, desired: Ticket(stage: stage, count: count).bits,
                ordering: .sequentiallyConsistent)
            if exchanged { return count }
            seen = Ticket(bits: original)
        }
    }

    /// Whether `stage` is over or its count is `count`.
    func hasReached(_ count: Int, _ stage: UInt64) -> Bool {
        Ticket(bits: bits.load(ordering: .sequentiallyConsistent)).count(in: stage).map { $0 == count } ?? true
    }
}

/// A count with the number of its stage. Stages are numbered through all runs; the numbers wrap around after 2⁴⁴
/// stages.
private struct Ticket {
    static let countBits = 20
    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }
    init(stage: UInt64, count: Int) { bits = stage << UInt64(Self.countBits) | UInt64(count) }

    /// The count of `stage`: 0 before its first item, `nil` if a later stage has begun.
    func count(in stage: UInt64) -> Int? {
        let distance = bits >> UInt64(Self.countBits) &- stage
        // The signed difference of two 44-bit numbers.
        switch Int64(bitPattern: distance << UInt64(Self.countBits)) {
        case 0: return Int(bits & (1 << UInt64(Self.countBits) - 1))
        case 1...: return nil
        default: return 0
        }
    }
}
