// The part of the store that writes new batches.

public import Runtime

/// Enqueues batches: `beginBatch` → `append` → `commit` makes their jobs pending.
public protocol JobIntake: Sendable {
    /// Begins a draft, which the daemon does not see yet.
    func beginBatch(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> any BatchDraft

    /// Deletes drafts whose writer has died; returns their identifiers.
    @discardableResult
    func sweepOrphanedDrafts() throws(JobStoreError) -> [BatchID]

    /// Enqueues a new batch with copies of those jobs of a finished batch that ended in one of `states`. It has the
    /// same priority, no deadline and no unique name.
    ///
    /// Lines that were rejected at the enqueue are not copied: they would be rejected again.
    /// - Parameter errorCode: if not nil, only jobs that failed with this code.
    /// - Throws: `.batchNotFinished`, `.nothingToRetry`.
    func retry(
        _ batch: BatchID, states: Set<JobState>, errorCode: String?, at now: Milliseconds
    ) throws(JobStoreError) -> BatchID

    /// Enqueues a new batch with a copy of one job, whose prompt sees the time that the first one saw. The batch of that
    /// need not have ended.
    /// - Throws: `.batchNotFound`, `.nothingToRetry` if it has no such job.
    func rerun(_ customID: String, of batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> BatchID
}

extension JobIntake {
    /// Copies jobs whatever their errors; see `retry(_:states:errorCode:at:)`.
    public func retry(_ batch: BatchID, states: Set<JobState>, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try retry(batch, states: states, errorCode: nil, at: now)
    }

    /// Copies the failed and expired jobs of a finished batch into a new one; see `retry(_:states:at:)`.
    public func retry(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try retry(batch, states: [.failed, .expired], at: now)
    }
}
