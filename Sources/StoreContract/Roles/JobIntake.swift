// The part of the store that writes new batches.

public import Runtime

/// Enqueues batches: `beginBatch` → `append` → `commit` makes their jobs pending.
public protocol JobIntake: Sendable {
    /// Begins a draft, which the daemon does not see yet.
    func beginBatch(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> any BatchDraft

    /// Deletes drafts whose writer has died; returns their identifiers.
    @discardableResult
    func sweepOrphanedDrafts() throws(JobStoreError) -> [BatchID]
}
