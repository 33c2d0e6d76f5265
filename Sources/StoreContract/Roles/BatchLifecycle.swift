// What becomes of batches that are stored.

public import Runtime

/// What users do with batches, and what is done with them on the machine of the store: cancellations are completed, and
/// old batches deleted.
public protocol BatchLifecycle: BatchControl {
    /// Completes cancellations whose caller died, or lost the store, before the end; returns their batches. The daemon calls it
    /// again and again.
    @discardableResult
    func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID]

    /// Deletes batches that ended before `limit`, with all that belongs to them, and metrics of the same age. A batch
    /// that has not ended is kept, however old it is.
    @discardableResult
    func prune(finishedBefore limit: Milliseconds) throws(JobStoreError) -> PruneReport
}
