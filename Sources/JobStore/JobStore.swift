/// The queue of batches and jobs: written by who enqueues, worked off by one daemon, read by anybody.
///
/// Methods block; call them from threads that may wait. They may be called from several threads at once. The store has
/// no clock: `at` is the caller's time. What is written is durable when the method returns, unless it says otherwise.
///
/// The life of a job: `beginBatch` → `append` → `commit` makes it pending; `claim` hands it to the daemon; `finish`
/// writes how it ended, or `release` puts it back. A terminal job never changes again.
public protocol JobStore: Sendable {
    // MARK: Enqueue

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

    // MARK: The daemon's work

    /// Takes sole ownership of the queue for this process, without waiting.
    /// - Throws: `.daemonRunning` naming the owner.
    func acquireLease() throws(JobStoreError) -> any DaemonLease

    /// Begins a life of the daemon, and puts back at once what earlier lives left running. One death is nobody's fault (a
    /// power cut, somebody's `kill -9`); the second in a row counts against the jobs in flight, see `ReleaseReason.crash`.
    func openIncarnation(
        _ daemon: NewIncarnation, lease: any DaemonLease, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> OpenedIncarnation

    /// Ends a life in good order: what it still has running waits again, without blame.
    func closeIncarnation(_ incarnation: Incarnation, at now: Milliseconds) throws(JobStoreError)

    /// Does what time brings: deadlines expire what has not been claimed and make batches urgent, and what was put off
    /// can be claimed again. The daemon asks before it looks for work, and when `TimePassed.next` has come.
    func passTime(at now: Milliseconds) throws(JobStoreError) -> TimePassed

    /// The batch whose turn it is, of those with a job that can be claimed; nil if there is none.
    ///
    /// By priority, then urgent ones by their deadline, then who has had the least. A batch is urgent when half of the time from
    /// its enqueue to its deadline is over. Paused and postponed batches have nothing that can be claimed.
    /// - Parameters:
    ///   - among: if given, only these.
    ///   - model: if given, only batches that ask for it, or for none.
    func claimableBatch(among: Set<BatchID>?, fitting model: String?) throws(JobStoreError) -> ClaimableBatch?

    /// When the first of what was put off can be claimed again: jobs and batches that are tried once more, paused ones and
    /// those not in `among` left out; nil if there are none.
    func nextAttempt(among: Set<BatchID>?) throws(JobStoreError) -> Milliseconds?

    /// Takes up to `limit` pending jobs of a batch, in order of their ranks and then of input; see `NewJob.claimRank`.
    /// Gives none of a batch that is paused, or whose deadline has come.
    func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> [ClaimedJob]

    /// Writes how attempts ended, as one group. Late ones are dropped and named.
    func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> FinishReport

    /// Puts claimed jobs back. Those that are no longer this attempt's are left alone.
    @discardableResult
    func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws(JobStoreError) -> ReleaseReport

    /// Counts against a batch that its model cannot be used, and against those that would have run with the same model now.
    /// They are put off, unless it was the `limit`-th time in a row: then they can be claimed, to be failed. The first job
    /// that succeeds with the model ends the row for all of them.
    ///
    /// Returns how many times in a row that was for the batch; 0 if it has ended.
    @discardableResult
    func postpone(
        _ batch: BatchID, limit: Int, backoff: Backoff, because reason: String, at now: Milliseconds
    ) throws(JobStoreError) -> Int

    /// Takes note that a life of the daemon is loading the model of a batch, or with nil that it is no more.
    func noteLoading(for batch: BatchID?, incarnation: Incarnation) throws(JobStoreError)

    /// The batch whose model the life before `incarnation` was loading when it died; nil unless the one before that had died
    /// so as well, with the same model. One death is nobody's fault.
    func loadingThatKilled(before incarnation: Incarnation) throws(JobStoreError) -> BatchID?

    /// Of jobs in flight, those whose result nobody wants any more (their batch was cancelled).
    func revoked(
        among tickets: [ClaimTicket], incarnation: Incarnation
    ) throws(JobStoreError) -> [ClaimTicket]

    /// A number that changes when somebody else has written. Cheap; poll it.
    func dataVersion() throws(JobStoreError) -> Int64

    /// Calls `handler` on another thread soon after somebody has enqueued, cancelled, paused or resumed; for the owner of the
    /// lease. It may call too often, and where the system does not let it, it returns nil and never calls: poll
    /// `dataVersion` all the same.
    func watch(_ handler: @escaping @Sendable () -> Void) -> (any StoreWatch)?

    /// Replaces what is known of jobs in flight; those of batches that are not named are in flight no more. A power cut may
    /// undo it, and so does the end of the incarnation.
    func record(_ progress: [BatchProgress], incarnation: Incarnation) throws(JobStoreError)

    // MARK: Pause

    /// Keeps jobs of the batch from being claimed, those of any batch if it is nil, until `resume`; what runs goes on. When
    /// it returns, nothing is claimed any more. Deadlines hold all the same.
    /// - Throws: `.batchNotFound`, `.batchIsDraft`, `.batchAlreadyFinished`.
    func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError)

    /// Ends a pause; of the whole queue if `batch` is nil. A batch that was paused itself stays so.
    /// - Throws: `.batchNotFound`, `.batchIsDraft`, `.batchAlreadyFinished`.
    func resume(_ batch: BatchID?) throws(JobStoreError)

    // MARK: Cancel

    /// Cancels all jobs that have not ended. When it returns, no result of a cancelled job can appear any more.
    /// - Throws: `.batchAlreadyFinished`, `.batchIsDraft`.
    func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport

    /// Carries on cancellations whose caller died half-way; returns which.
    @discardableResult
    func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID]

    // MARK: Queries

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

    // MARK: Metrics

    /// Writes what happened in an interval.
    func record(_ interval: MetricsInterval) throws(JobStoreError)

    /// Intervals in order of time.
    func metrics(_ scope: MetricsScope, limit: Int) throws(JobStoreError) -> [MetricsInterval]

    /// Intervals added up.
    func metricsSummary(_ scope: MetricsScope) throws(JobStoreError) -> MetricsSummary

    /// The lives of the daemon, the latest first.
    func incarnations(limit: Int) throws(JobStoreError) -> [IncarnationSummary]

    // MARK: Upkeep

    /// Does what keeps the store small and quick, if it is due; the daemon calls it between groups.
    func maintain() throws(JobStoreError)

    /// Deletes batches that ended before `limit`, with all that belongs to them, and metrics as old. A batch that has not
    /// ended stays, however old it is.
    @discardableResult
    func prune(finishedBefore limit: Milliseconds) throws(JobStoreError) -> PruneReport

    /// Leaves the store in order for those who copy its file; the daemon calls it at its end.
    func settle() throws(JobStoreError)
}

/// A watch over what others write. It ends with `end` or with the object.
public protocol StoreWatch: AnyObject, Sendable {
    /// Ends the watch; the handler is not called any more.
    func end()
}

/// Sole ownership of the queue by one daemon. It ends with `release`, with the object, or with the process.
public protocol DaemonLease: AnyObject, Sendable {
    /// Gives the queue up.
    func release()
}

extension JobStore {
    /// The batch whose turn it is, whatever its model; see `claimableBatch(among:fitting:)`.
    public func claimableBatch(among: Set<BatchID>?) throws(JobStoreError) -> ClaimableBatch? {
        try claimableBatch(among: among, fitting: nil)
    }

    /// Copies the failed and expired jobs of a finished batch into a new one; see `retry(_:states:at:)`.
    public func retry(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try retry(batch, states: [.failed, .expired], at: now)
    }

    /// The results of a batch, page by page.
    public func resultsCursor(
        _ query: ResultQuery, after position: Int64 = 0, pageSize: Int = 500
    ) -> ResultsCursor {
        ResultsCursor(store: self, query: query, after: position, pageSize: pageSize)
    }
}
