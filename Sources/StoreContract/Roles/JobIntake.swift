// What writes new batches into the store.

public import Runtime

/// Takes batches in. The life of a job begins here: `beginBatch` → `append` → `commit` makes it pending.
public protocol JobIntake: Sendable {
    /// Begins a batch that the daemon does not see yet.
    func beginBatch(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> any BatchDraft

    /// Deletes drafts whose writer is gone; returns which.
    @discardableResult
    func sweepOrphanedDrafts() throws(JobStoreError) -> [BatchID]

    /// Writes a new batch with copies of the jobs of a finished one that ended in one of `states`. It has the same priority,
    /// and neither a deadline nor a unique name.
    ///
    /// Lines that were rejected at enqueue are left out: they would be rejected again.
    /// - Throws: `.batchNotFinished`, `.nothingToRetry`.
    func retry(_ batch: BatchID, states: Set<JobState>, at now: Milliseconds) throws(JobStoreError) -> BatchID
}

extension JobIntake {
    /// Copies the failed and expired jobs of a finished batch into a new one; see `retry(_:states:at:)`.
    public func retry(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try retry(batch, states: [.failed, .expired], at: now)
    }
}
