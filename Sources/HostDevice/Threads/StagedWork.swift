// A list of stages that the threads of a pool go through together.

import Synchronization

/// Work in stages: a stage's parts run in any order on any threads, and all are done before the next stage begins.
///
/// What counts as done are parts, not threads: a thread that the system keeps from running holds up the others only while
/// it has parts of the stage in its hands. It finds later that its run is over, and goes through the rest of it without doing
/// anything.
/// Which thread runs a part never changes its bits: nothing is summed across parts.
///
/// Each thread has a share of neighbouring items, which it does in order, so that it can fetch from memory what it will
/// need next. A thread that is through with its share helps the others with theirs.
final class StagedWork: @unchecked Sendable {
    /// One stage: `count` items, handed out `piece` at a time.
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

    /// Does some items of a stage; `worker` names the scratch memory to use.
    typealias Body = (_ stage: Int, _ worker: Int, _ part: Range<Int>) -> Void

    private let threads: Int
    private let stages: UnsafeMutableBufferPointer<Stage>
    /// Of the stage that is going on: items taken of each worker's share, and items done.
    private let claimed: StageCounters
    private let done: StageCounters
    private let body: Body
    private let finished = Doorbell()
    /// The run that is going on or was the last; only the thread that starts runs writes it.
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

    /// Begins the next run; every run before is done.
    func begin() -> UInt64 {
        run += 1
        return run
    }

    /// Goes through the stages of `run`, doing what the others leave; returns when the run is done.
    func goThrough(run: UInt64, worker: Int) {
        for index in 0..<stages.count {
            let stage = stages[index]
            guard stage.count > 0 else { continue }
            let ordinal = run &* UInt64(stages.count) &+ UInt64(index)
            // What was done is told when nothing is left to take: telling takes the counter from the others' caches.
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

/// Counters that different threads write, each alone in the lines that a processor fetches together.
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

/// A count of items that carries the stage that it counts for, so that it need not be reset and a thread that is late cannot
/// take a part of a later stage.
private struct StageCounter: ~Copyable {
    private let bits = Atomic<UInt64>(0)

    /// The next `piece` items of `share`, or `nil` where all are taken.
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

    /// Adds to the count of `stage`, which cannot be over, and gives the new count.
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

/// A count together with the stage that it belongs to: stages are numbered through all runs, and begin again with 0 after
/// 2⁴⁴ of them.
private struct Ticket {
    static let countBits = 20
    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }
    init(stage: UInt64, count: Int) { bits = stage << UInt64(Self.countBits) | UInt64(count) }

    /// The count as `stage` sees it: 0 before its first, `nil` where a later stage has begun.
    func count(in stage: UInt64) -> Int? {
        let distance = bits >> UInt64(Self.countBits) &- stage
        // The difference of two 44-bit numbers, with its sign.
        switch Int64(bitPattern: distance << UInt64(Self.countBits)) {
        case 0: return Int(bits & (1 << UInt64(Self.countBits) - 1))
        case 1...: return nil
        default: return 0
        }
    }
}
