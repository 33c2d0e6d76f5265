// What monitors and the page ask, at a cost that does not grow with the queue.

public import Runtime

/// Looks at the queue, its jobs and its history in numbers and samples.
public protocol QueueObserving: Sendable {
    /// The whole queue in numbers.
    func queueState() throws(JobStoreError) -> QueueState

    /// At most `limit` of the jobs of a batch that ran to their end, spread evenly over the order of completion, without
    /// their texts.
    func sampleOfJobs(of batch: BatchID, limit: Int) throws(JobStoreError) -> [SampledJob]

    /// The body of a job's request, as it was enqueued; nil if there is no such job, or its line was rejected.
    func requestBody(of job: JobID) throws(JobStoreError) -> [UInt8]?

    /// The sums over metrics intervals that begin in `[from, to)`, for each of `parts` equal parts of that time. Parts
    /// without an interval are left out.
    func metricsHistory(
        from: Milliseconds, to: Milliseconds, parts: Int
    ) throws(JobStoreError) -> [MetricsPart]
}
