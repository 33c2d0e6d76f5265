// A list of stages that the threads of a pool go through together.

import Synchronization

/// Work in stages: a stage's parts run in any order on any threads, and all are done before the next stage begins.
///
/// What counts as done are parts, not threads: a thread that the system keeps from running holds up the others only while
/// it has a part in its hands. It finds later that its run is over, and goes through the rest of it without doing anything.
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
    /// Items taken `[stage][worker]` of each share, and items done `[stage]`.
    private let claimed: UnsafeMutableBufferPointer<RunCounter>
    private let done: UnsafeMutableBufferPointer<RunCounter>
    private let body: Body
    private let finished = Doorbell()
    /// The run that is going on or was the last; only the thread that starts runs writes it.
    private var run: UInt64 = 0

    /// Work for `threads` threads.
    init(_ stages: [Stage], threads: Int, _ body: @escaping Body) {
        self.threads = threads
        self.stages = .allocate(capacity: stages.count)
        _ = self.stages.initialize(from: stages)
        claimed = .allocate(capacity: stages.count * threads)
        done = .allocate(capacity: stages.count)
        for index in claimed.indices { claimed.initializeElement(at: index, to: RunCounter()) }
        for index in done.indices { done.initializeElement(at: index, to: RunCounter()) }
        self.body = body
    }

    deinit {
        claimed.deinitialize()
        claimed.deallocate()
        done.deinitialize()
        done.deallocate()
        stages.deallocate()
    }

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
            let done = done.baseAddress! + index
            for helped in 0..<threads {
                let owner = (worker + helped) % threads
                let share = stage.share(of: owner, threads: threads)
                let claimed = claimed.baseAddress! + index * threads + owner
                while let part = claimed.pointee.take(stage.piece, of: share, run) {
                    body(index, worker, part)
                    if done.pointee.add(part.count, run) == stage.count { finished.ring() }
                }
            }
            finished.wait { done.pointee.hasReached(stage.count, run) }
        }
    }
}

/// A count of items that carries the run that it counts for, so that it need not be reset and a thread that is late cannot
/// take a part of a later run.
private struct RunCounter: ~Copyable {
    private let bits = Atomic<UInt64>(0)

    /// The next `piece` items of `share`, or `nil` where all are taken.
    func take(_ piece: Int, of share: Range<Int>, _ run: UInt64) -> Range<Int>? {
        var seen = Ticket(bits: bits.load(ordering: .acquiring))
        while true {
            guard let taken = seen.count(in: run), taken < share.count else { return nil }
            let end = min(taken + piece, share.count)
            let (exchanged, original) = bits.compareExchange(
                expected: seen.bits, desired: Ticket(run: run, count: end).bits, ordering: .acquiringAndReleasing)
            if exchanged { return share.lowerBound + taken..<share.lowerBound + end }
            seen = Ticket(bits: original)
        }
    }

    /// Adds to the count of `run`, which cannot be over, and gives the new count.
    func add(_ items: Int, _ run: UInt64) -> Int {
        var seen = Ticket(bits: bits.load(ordering: .relaxed))
        while true {
            let count = seen.count(in: run)! + items
            let (exchanged, original) = bits.compareExchange(
                expected: seen.bits, desired: Ticket(run: run, count: count).bits, ordering: .sequentiallyConsistent)
            if exchanged { return count }
            seen = Ticket(bits: original)
        }
    }

    /// Whether `run` is over or its count is `count`.
    func hasReached(_ count: Int, _ run: UInt64) -> Bool {
        Ticket(bits: bits.load(ordering: .sequentiallyConsistent)).count(in: run).map { $0 == count } ?? true
    }
}

/// A count together with the run that it belongs to.
private struct Ticket {
    static let countBits = 24
    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }
    init(run: UInt64, count: Int) { bits = run << UInt64(Self.countBits) | UInt64(count) }

    /// The count as `run` sees it: 0 before its first, `nil` where a later run has begun.
    func count(in run: UInt64) -> Int? {
        let own = bits >> UInt64(Self.countBits)
        if own > run { return nil }
        return own == run ? Int(bits & (1 << UInt64(Self.countBits) - 1)) : 0
    }
}
