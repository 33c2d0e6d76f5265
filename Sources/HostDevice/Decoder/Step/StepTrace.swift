// A step's stages, captured once for a shape and replayed (TT contract §1.7).

import CHostKernels

/// The stages of a step of one shape: the kernels, their memory and order, and how the work is divided.
///
/// Replaying allocates nothing, and takes no locks unless a thread has gone to sleep. The data that differ from step to
/// step are in `StepInputs`.
final class StepTrace {
    private let work: StagedWork
    private let operations: UnsafeMutableBufferPointer<StageOperation>
    private let pool: ThreadPool

    /// A trace of `stages`. With a profile, every part is timed.
    init(_ stages: CapturedStages, kernels: KernelSet, pool: ThreadPool, profile: StepProfile?) {
        let operations = UnsafeMutableBufferPointer<StageOperation>.allocate(capacity: stages.operations.count)
        _ = operations.initialize(from: stages.operations)
        let table = kernels.pointer
        self.operations = operations
        self.pool = pool
        if let profile {
            work = StagedWork(stages.sizes, threads: pool.threadCount) { stage, worker, part in
                let operation = operations[stage]
                profile.time(operation.kind, worker) { operation.run(table, worker, part) }
            }
        } else {
            work = StagedWork(stages.sizes, threads: pool.threadCount) { stage, worker, part in
                operations[stage].run(table, worker, part)
            }
        }
    }

    deinit {
        pool.forget()
        operations.deallocate()
    }

    /// Runs the step on all threads and returns when it is done.
    func replay() { pool.perform(work) }
}

/// Stages in the order in which they were captured.
struct CapturedStages {
    private(set) var sizes: [StagedWork.Stage] = []
    private(set) var operations: [StageOperation] = []

    /// Adds a stage of `count` items, which threads take `piece` at a time.
    mutating func add(_ operation: StageOperation, count: Int, piece: Int = 1) {
        operations.append(operation)
        sizes.append(StagedWork.Stage(count: count, piece: piece))
    }
}
