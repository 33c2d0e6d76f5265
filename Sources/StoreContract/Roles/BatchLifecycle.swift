// What people do to batches that are stored.

public import Runtime

/// Pauses, resumes and cancels batches, and deletes old ones.
public protocol BatchLifecycle: Sendable {
    /// Keeps jobs of the batch from being claimed, those of any batch if it is nil, until `resume`; what runs goes on. When
    /// it returns, nothing is claimed any more. Deadlines hold all the same.
    /// - Throws: `.batchNotFound`, `.batchIsDraft`, `.batchAlreadyFinished`.
    func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError)

    /// Ends a pause; of the whole queue if `batch` is nil. A batch that was paused itself stays so.
    /// - Throws: `.batchNotFound`, `.batchIsDraft`, `.batchAlreadyFinished`.
    func resume(_ batch: BatchID?) throws(JobStoreError)

    /// Cancels all jobs that have not ended. When it returns, no result of a cancelled job can appear any more.
    /// - Throws: `.batchAlreadyFinished`, `.batchIsDraft`.
    func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport

    /// Carries on cancellations whose caller died half-way; returns which.
    @discardableResult
    func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID]

    /// Deletes batches that ended before `limit`, with all that belongs to them, and metrics as old. A batch that has not
    /// ended stays, however old it is.
    @discardableResult
    func prune(finishedBefore limit: Milliseconds) throws(JobStoreError) -> PruneReport
}
