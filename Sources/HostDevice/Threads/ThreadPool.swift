// The threads that share the work of a step.

import Glibc
import Synchronization

/// Persistent threads that run staged work together; the calling thread is worker 0.
///
/// Only one thread at a time may call the pool.
final class ThreadPool: @unchecked Sendable {
    /// Number of threads, including the caller's.
    let threadCount: Int

    private let call = Doorbell()
    private let stopping = Atomic<Bool>(false)
    private let prepare: (@Sendable (_ worker: Int) -> Void)?
    private var threads: [pthread_t] = []
    // The work and its run, a seqlock: `version` is odd while the two are being written, and a thread that reads the
    // same even version before and after them has read a consistent pair.
    private let version = Atomic<UInt64>(0)
    private let work = Atomic<UInt>(0)
    private let run = Atomic<UInt64>(0)
    /// Number of threads that may hold the address of some work.
    private let holders = Atomic<Int>(0)

    /// Starts `threadCount` − 1 threads.
    ///
    /// - Parameter prepare: called once on each started thread, to bind it to a core; never on the caller's thread,
    ///   because threads that it starts would inherit the binding.
    init(threadCount: Int, prepare: (@Sendable (_ worker: Int) -> Void)? = nil) {
        precondition(threadCount > 0)
        self.threadCount = threadCount
        self.prepare = prepare
        for worker in 1..<max(threadCount, 1) { threads.append(startThread(worker)) }
    }

    /// Ends the threads; idempotent. Afterwards everything runs on the caller alone.
    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        publish(nil, run: 0)
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }

    /// Runs the stages of `work` once; allocates nothing. Before the work is released, `forget` must be called.
    func perform(_ work: StagedWork) {
        let run = work.begin()
        if !threads.isEmpty { publish(work, run: run) }
        work.goThrough(run: run, worker: 0)
    }

    /// Returns when no thread can access any work.
    func forget() {
        guard !threads.isEmpty else { return }
        publish(nil, run: 0)
        while holders.load(ordering: .sequentiallyConsistent) > 0 { sched_yield() }
    }

    /// Runs `body` over `0..<count`, some indices at a time; returns when all are done.
    func forEach(_ count: Int, _ body: (_ worker: Int, _ part: Range<Int>) -> Void) {
        guard count > 0 else { return }
        withoutActuallyEscaping(body) { body in
            let stage = StagedWork.Stage(count: count, piece: max(1, count / (threadCount * 8)))
            let work = StagedWork([stage], threads: threadCount) { _, worker, part in body(worker, part) }
            perform(work)
            withExtendedLifetime(work) { forget() }
        }
    }

    private func publish(_ work: StagedWork?, run: UInt64) {
        version.add(1, ordering: .sequentiallyConsistent)
        let address = work.map { UInt(bitPattern: Unmanaged.passUnretained($0).toOpaque()) } ?? 0
        self.work.store(address, ordering: .sequentiallyConsistent)
        self.run.store(run, ordering: .sequentiallyConsistent)
        version.add(1, ordering: .sequentiallyConsistent)
        call.ring()
    }

    private func serve(_ worker: Int) {
        prepare?(worker)
        var seen: UInt64 = 0
        while !stopping.load(ordering: .sequentiallyConsistent) {
            call.wait { version.load(ordering: .sequentiallyConsistent) > seen }
            holders.add(1, ordering: .sequentiallyConsistent)
            let before = version.load(ordering: .sequentiallyConsistent)
            let (address, run) = (
                work.load(ordering: .sequentiallyConsistent), run.load(ordering: .sequentiallyConsistent)
            )
            let isPair = before % 2 == 0 && version.load(ordering: .sequentiallyConsistent) == before
            if isPair {
                seen = before
                if let address = UnsafeRawPointer(bitPattern: address) {
                    Unmanaged<StagedWork>.fromOpaque(address)._withUnsafeGuaranteedRef {
                        $0.goThrough(run: run, worker: worker)
                    }
                }
            }
            holders.subtract(1, ordering: .sequentiallyConsistent)
        }
    }

    private func startThread(_ worker: Int) -> pthread_t {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(ThreadStart(pool: self, worker: worker)).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { argument in
                let start = Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue()
                start.pool.serve(start.worker)
                return nil
            }, argument)
        precondition(status == 0, "no thread could be started: \(String(cString: strerror(status)))")
        return thread
    }
}

/// The argument of a new thread.
private final class ThreadStart {
    let pool: ThreadPool
    let worker: Int

    init(pool: ThreadPool, worker: Int) {
        self.pool = pool
        self.worker = worker
    }
}
