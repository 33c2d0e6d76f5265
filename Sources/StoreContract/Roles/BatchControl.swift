// What users do with batches that are stored, on the machine of the store or through a server.

public import Runtime

/// Pauses, resumes, cancels and retries batches. A server takes the time from its own clock, and not from `at`.
public protocol BatchControl: Sendable {
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

    /// Enqueues a new batch with copies of those jobs of a finished batch that ended in one of `states`. It has the
    /// same priority, no deadline and no unique name.
    ///
    /// Lines that were rejected at the enqueue are not copied: they would be rejected again.
    /// - Parameter errorCode: if not nil, only jobs that failed with this code.
    /// - Throws: `.batchNotFinished`, `.nothingToRetry`.
    func retry(
        _ batch: BatchID, states: Set<JobState>, errorCode: String?, at now: Milliseconds
    ) throws(JobStoreError) -> BatchID
}

extension BatchControl {
    /// Copies jobs whatever their errors; see `retry(_:states:errorCode:at:)`.
    public func retry(_ batch: BatchID, states: Set<JobState>, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try retry(batch, states: states, errorCode: nil, at: now)
    }

    /// Copies the failed and expired jobs of a finished batch into a new one; see `retry(_:states:at:)`.
    public func retry(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try retry(batch, states: [.failed, .expired], at: now)
    }
}
