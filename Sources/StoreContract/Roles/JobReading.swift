// What anybody may ask of the store.

import Runtime

/// Reads batches, results, metrics and the state of the queue. Readers neither wait for writers nor delay them.
public protocol JobReading: Sendable {
    /// Where the store is, for messages: a path or an address.
    var location: String { get }

    /// What a person should know about that place, e.g. a doubtful filesystem.
    var warnings: [String] { get }

    /// Whether a daemon owns the queue now.
    func daemonPresence() throws(JobStoreError) -> DaemonPresence

    /// A number that changes when somebody else has written. Cheap; poll it.
    func dataVersion() throws(JobStoreError) -> Int64

    /// One batch. Throws `.batchNotFound`.
    func batch(_ id: BatchID) throws(JobStoreError) -> BatchSummary

    /// The batch with a unique name; nil if there is none. Drafts have no name yet.
    func batch(named name: String) throws(JobStoreError) -> BatchID?

    /// Why jobs of a batch failed, the commonest reason first.
    func failures(of batch: BatchID) throws(JobStoreError) -> [FailureGroup]

    /// The jobs of a batch that wait until they are tried again; nil if there are none.
    func anotherAttempt(of batch: BatchID) throws(JobStoreError) -> AnotherAttempt?

    /// Batches, the latest first, older than `before`.
    func batches(
        before: BatchID?, limit: Int, includingDrafts: Bool
    ) throws(JobStoreError) -> [BatchSummary]

    /// The latest completions of a batch, at most `limit` of them; nil if there are fewer than two to compare.
    func recentCompletions(of batch: BatchID, limit: Int) throws(JobStoreError) -> RecentCompletions?

    /// One page of results behind a place; see `ResultsCursor`. Throws `.batchNotFound` and `.batchIsDraft`.
    func results(
        _ query: ResultQuery, after position: Int64, limit: Int
    ) throws(JobStoreError) -> [JobResult]

    /// The whole system.
    func systemStatus() throws(JobStoreError) -> SystemStatus

    /// Intervals in order of time.
    func metrics(_ scope: MetricsScope, limit: Int) throws(JobStoreError) -> [MetricsInterval]

    /// Intervals added up.
    func metricsSummary(_ scope: MetricsScope) throws(JobStoreError) -> MetricsSummary

    /// The lives of the daemon, the latest first.
    func incarnations(limit: Int) throws(JobStoreError) -> [IncarnationSummary]
}

extension JobReading {
    /// Nothing to say.
    public var warnings: [String] { [] }

    /// The results of a batch, page by page.
    public func resultsCursor(
        _ query: ResultQuery, after position: Int64 = 0, pageSize: Int = 500
    ) -> ResultsCursor {
        ResultsCursor(store: self, query: query, after: position, pageSize: pageSize)
    }
}
