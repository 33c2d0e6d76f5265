// What a daemon does with the store.

public import Runtime

/// Hands jobs to a daemon and takes them back: `claim` makes a pending job running; `finish` writes how it ended, or
/// `release` puts it back.
public protocol JobWork: Sendable {
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

    /// Calls `handler` on another thread soon after somebody has enqueued, cancelled, paused or resumed; for the owner of the
    /// lease. It may call too often, and where the system does not let it, it returns nil and never calls: poll
    /// `dataVersion` all the same.
    func watch(_ handler: @escaping @Sendable () -> Void) -> (any StoreWatch)?

    /// Does what time brings: deadlines expire what has not been claimed and make batches urgent, and what was put off
    /// can be claimed again. The daemon asks before it looks for work, and when `TimeAdvance.next` has come.
    func advanceTime(to now: Milliseconds) throws(JobStoreError) -> TimeAdvance

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

    /// Of jobs in flight, those whose result nobody wants any more (their batch was cancelled).
    func revoked(
        among tickets: [ClaimTicket], incarnation: Incarnation
    ) throws(JobStoreError) -> [ClaimTicket]

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

    /// Replaces what is known of jobs in flight; those of batches that are not named are in flight no more. A power cut may
    /// undo it, and so does the end of the incarnation.
    func record(_ progress: [BatchProgress], incarnation: Incarnation) throws(JobStoreError)

    /// Writes what happened in an interval.
    func record(_ interval: MetricsInterval) throws(JobStoreError)

    /// Does what keeps the store small and quick, if it is due; the daemon calls it between groups.
    func maintain() throws(JobStoreError)

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

extension JobWork {
    /// The batch whose turn it is, whatever its model; see `claimableBatch(among:fitting:)`.
    public func claimableBatch(among: Set<BatchID>?) throws(JobStoreError) -> ClaimableBatch? {
        try claimableBatch(among: among, fitting: nil)
    }
}
