// What users do with batches that are stored.

public import Runtime

/// Pauses, resumes and cancels batches, and deletes old ones.
public protocol BatchLifecycle: Sendable {
    /// Stops claims of jobs of the batch, or of all batches if it is nil, until `resume`. Running jobs go on. When it
    /// returns, no job is claimed any more. Deadlines still apply.
    /// - Throws: `.batchNotFound`, `.batchIsDraft`, `.batchAlreadyFinished`.
    func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError)

    /// Ends the pause of the batch, or of the whole queue if it is nil. The second does not resume batches that were
    /// paused themselves.
    /// - Throws: `.batchNotFound`, `.batchIsDraft`, `.batchAlreadyFinished`.
    func resume(_ batch: BatchID?) throws(JobStoreError)

    /// Cancels all jobs that have not ended. When it returns, no result of a cancelled job can be stored any more.
    /// - Throws: `.batchAlreadyFinished`, `.batchIsDraft`.
    func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport

    /// Completes cancellations whose caller died before the end; returns their batches.
    @discardableResult
    func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID]

    /// Deletes batches that ended before `limit`, with all that belongs to them, and metrics of the same age. A batch
    /// that has not ended is kept, however old it is.
    @discardableResult
    func prune(finishedBefore limit: Milliseconds) throws(JobStoreError) -> PruneReport
}
