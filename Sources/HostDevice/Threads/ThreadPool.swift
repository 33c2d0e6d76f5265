// The threads that share the work of a step: forked and joined for each region, a few hundred times a step.

import Glibc
import Synchronization

/// Persistent threads that run the same body over parts of a range; the calling thread is worker 0.
///
/// Parts are handed out in pieces as threads become free. Which thread computes a part never changes its bits: nothing is
/// summed across parts. One thread at a time may call `forEach`.
final class ThreadPool: @unchecked Sendable {
    /// A part of a region: the worker that runs it (for its scratch memory) and the indices to do.
    typealias Body = (_ worker: Int, _ part: Range<Int>) -> Void

    /// Threads, the caller included.
    let threadCount: Int

    private let start = Doorbell()
    private let finish = Doorbell()
    private let next = Atomic<Int>(0)
    private let running = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let prepare: (@Sendable (_ worker: Int) -> Void)?
    private var threads: [pthread_t] = []
    // Written by the caller before the start bell rings, read by the workers after it.
    private var body: Body?
    private var count = 0
    private var piece = 1
    private var regions: UInt64 = 0

    /// Starts `threadCount` − 1 threads.
    ///
    /// - Parameter prepare: called once on each started thread, to bind it to a core; never on the caller's, whose own
    ///   threads would inherit the binding.
    init(threadCount: Int, prepare: (@Sendable (_ worker: Int) -> Void)? = nil) {
        precondition(threadCount > 0)
        self.threadCount = threadCount
        self.prepare = prepare
        for worker in 1..<max(threadCount, 1) { threads.append(startThread(worker)) }
    }

    /// Ends the threads; idempotent. Afterwards every region runs on the caller alone.
    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        start.ring()
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }

    /// Runs `body` over `0..<count` in pieces of at least `grain` indices; returns when all are done.
    func forEach(_ count: Int, grain: Int = 1, _ body: Body) {
        guard count > 0 else { return }
        if threads.isEmpty || count <= grain { return body(0, 0..<count) }
        withoutActuallyEscaping(body) { body in
            self.body = body
            self.count = count
            piece = max(grain, count / (threadCount * 8))
            next.store(0, ordering: .relaxed)
            running.store(threads.count, ordering: .relaxed)
            regions += 1
            start.ring()
            work(0, body)
            finish.wait(until: regions)
            self.body = nil
        }
    }

    private func work(_ worker: Int, _ body: Body) {
        while true {
            let begin = next.add(piece, ordering: .relaxed).oldValue
            guard begin < count else { return }
            body(worker, begin..<min(begin + piece, count))
        }
    }

    private func serve(_ worker: Int) {
        prepare?(worker)
        var region: UInt64 = 0
        while true {
            region += 1
            start.wait(until: region)
            if stopping.load(ordering: .sequentiallyConsistent) { return }
            if let body { work(worker, body) }
            if running.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { finish.ring() }
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

/// What a new thread is told.
private final class ThreadStart {
    let pool: ThreadPool
    let worker: Int

    init(pool: ThreadPool, worker: Int) {
        self.pool = pool
        self.worker = worker
    }
}
