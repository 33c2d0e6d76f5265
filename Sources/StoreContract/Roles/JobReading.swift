// The queries that any process may make.

public import Runtime

/// Reads batches, results, metrics and the state of the queue, here or through a server. Readers and writers do not block
/// each other.
public protocol JobReading: Sendable {
    /// Where the store is, for messages: a path or an address.
    var location: String { get }

    /// What a person should know about that place, e.g. that its filesystem is unsuitable.
    var warnings: [String] { get }

    /// How long whoever watches the queue waits between two looks, in seconds.
    var pollSeconds: Double { get }

    /// Whether a daemon holds the lease of the queue now.
    func daemonPresence() throws(JobStoreError) -> DaemonPresence

    /// One batch.
    /// - Throws: `.batchNotFound`.
    func batch(_ id: BatchID) throws(JobStoreError) -> BatchSummary

    /// The batch with a unique name; nil if there is none. Drafts do not have theirs yet.
    func batch(named name: String) throws(JobStoreError) -> BatchID?

    /// The reasons why jobs of a batch failed, the most frequent first.
    func failures(of batch: BatchID) throws(JobStoreError) -> [FailureGroup]

    /// The jobs of a batch that wait for a retry; nil if there are none.
    func anotherAttempt(of batch: BatchID) throws(JobStoreError) -> AnotherAttempt?

    /// Batches with identifiers below `before`, the latest first. Submissions are not counted among drafts.
    ///
    /// - Parameter tenant: if not nil, only this tenant's.
    func batches(
        before: BatchID?, limit: Int, includingDrafts: Bool, of tenant: Tenant?
    ) throws(JobStoreError) -> [BatchSummary]

    /// At most `limit` of the latest completions of a batch; nil if there are fewer than two to compare.
    func recentCompletions(of batch: BatchID, limit: Int) throws(JobStoreError) -> RecentCompletions?

    /// One page of results after a place; see `ResultsCursor`.
    /// - Throws: `.batchNotFound`, `.batchIsDraft`.
    func results(
        _ query: ResultQuery, after position: Int64, limit: Int
    ) throws(JobStoreError) -> [JobResult]

    /// Since when the whole queue is paused; nil if it is not.
    func pausedSince() throws(JobStoreError) -> Milliseconds?

    /// The state of the whole system.
    func systemStatus() throws(JobStoreError) -> SystemStatus

    /// Metrics intervals in order of time.
    func metrics(_ scope: MetricsScope, limit: Int) throws(JobStoreError) -> [MetricsInterval]

    /// The sums over metrics intervals.
    func metricsSummary(_ scope: MetricsScope) throws(JobStoreError) -> MetricsSummary
}

extension JobReading {
    /// No warnings.
    public var warnings: [String] { [] }

    /// Everybody's batches with identifiers below `before`, the latest first.
    public func batches(
        before: BatchID?, limit: Int, includingDrafts: Bool
    ) throws(JobStoreError) -> [BatchSummary] {
        try batches(before: before, limit: limit, includingDrafts: includingDrafts, of: nil)
    }

    /// What a store on this machine can bear.
    public var pollSeconds: Double { 0.1 }

    /// What the state of the whole system says.
    public func pausedSince() throws(JobStoreError) -> Milliseconds? { try systemStatus().paused }

    /// A cursor over the results of a batch.
    public func resultsCursor(
        _ query: ResultQuery, after position: Int64 = 0, pageSize: Int = 500
    ) -> ResultsCursor {
        ResultsCursor(store: self, query: query, after: position, pageSize: pageSize)
    }
}
