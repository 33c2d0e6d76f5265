// What it takes to run one job again by itself.

public import Runtime

/// Finds a job and what made its result, and enqueues it again.
public protocol JobRepeating: Sendable {
    /// The result so far of the job with a `custom_id`; nil if the batch has no such job.
    /// - Throws: `.batchNotFound`, `.batchIsDraft`.
    func result(of customID: String, in batch: BatchID) throws(JobStoreError) -> JobResult?

    /// What a fingerprint in results stands for; nil if it is not known.
    func system(_ fingerprint: String) throws(JobStoreError) -> SystemRecord?

    /// Enqueues a new batch with a copy of one job, whose prompt sees the time that the first one saw. The batch of that
    /// need not have ended.
    /// - Throws: `.batchNotFound`, `.nothingToRetry` if it has no such job.
    func rerun(_ customID: String, of batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> BatchID
}
