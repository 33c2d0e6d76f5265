// The part of the store that the daemon uses.

public import Runtime

/// Gives jobs to a daemon and takes them back: `claim` makes a pending job running; `finish` stores how it ended, or
/// `release` makes it pending again.
public protocol JobWork: Sendable {
    /// What daemons of several hosts have to do; nil: the store has one owner.
    var membership: (any Membership)? { get }

    /// Takes sole ownership of the queue for this process, without waiting.
    /// - Throws: `.daemonRunning` with the owner's pid, if known.
    func acquireLease() throws(JobStoreError) -> any DaemonLease

    /// Begins an incarnation of the daemon, and at once releases the jobs that earlier incarnations left running. One
    /// death counts against no job (it may be a power cut or a `kill -9`). The second in a row counts against the jobs
    /// in flight; see `ReleaseReason.crash`.
    func openIncarnation(
        _ daemon: NewIncarnation, lease: any DaemonLease, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> OpenedIncarnation

    /// Ends an incarnation in good order. The jobs that it still has running are pending again; it does not count
    /// against them.
    func closeIncarnation(_ incarnation: Incarnation, at now: Milliseconds) throws(JobStoreError)

    /// All that an incarnation has in flight: what it claimed without hearing of it is among it.
    func held(by incarnation: Incarnation) throws(JobStoreError) -> [ClaimTicket]

    /// A number that changes when another process has written. Cheap; made for polling.
    func dataVersion() throws(JobStoreError) -> Int64

    /// Calls `handler` on another thread soon after another process has enqueued, cancelled, paused or resumed. Only
    /// the owner of the lease may call it. Spurious calls are possible. It returns nil if the system does not support
    /// it, so poll `dataVersion` as well.
    func watch(_ handler: @escaping @Sendable () -> Void) -> (any StoreWatch)?

    /// Applies what is due at `now`: expires unclaimed jobs past their deadlines, makes batches urgent, and makes
    /// postponed jobs and batches claimable again. The daemon calls it before it looks for work, and at
    /// `TimeAdvance.next`.
    func advanceTime(to now: Milliseconds) throws(JobStoreError) -> TimeAdvance

    /// The batch whose turn it is, among those with a claimable job; nil if there is none.
    ///
    /// The order is by priority, then urgent batches by their deadlines, then the batch that has had the smallest
    /// share. A batch is urgent when half of the time from its enqueue to its deadline has passed. Paused and postponed
    /// batches have no claimable jobs.
    /// - Parameters:
    ///   - among: if not nil, only these batches.
    ///   - model: if not nil, only batches that ask for this model or for none.
    ///   - life: who asks, in a store with several owners: what is postponed for it is left out, and so is a model that another
    ///     daemon has loaded, unless there is enough work for both, or `among` is given. nil: nobody in particular.
    func claimableBatch(
        among: Set<BatchID>?, fitting model: String?, for life: Incarnation?
    ) throws(JobStoreError) -> ClaimableBatch?

    /// When the first postponed job or batch can be claimed again; nil if there is none. Paused batches, and postponed
    /// ones that are not in `among`, are left out.
    func nextAttempt(among: Set<BatchID>?, for life: Incarnation?) throws(JobStoreError) -> Milliseconds?

    /// Claims up to `limit` pending jobs of a batch, by rank and then in input order; see `NewJob.claimRank`. It claims
    /// none if the batch is paused or its deadline has come. If its answer is lost, `held` tells what it took.
    /// - Throws: `.declaredDead`.
    func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> [ClaimedJob]

    /// Stores how attempts ended, as one group. Late completions are dropped and reported. It may be repeated: what this
    /// attempt has stored already with the same end counts as finished, for its caller may not have heard of it.
    func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> FinishReport

    /// Releases claimed jobs. Tickets of attempts that are no longer current are ignored.
    @discardableResult
    func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws(JobStoreError) -> ReleaseReport

    /// The tickets of jobs in flight whose results are no longer wanted because their batch was cancelled.
    func revoked(
        among tickets: [ClaimTicket], incarnation: Incarnation
    ) throws(JobStoreError) -> [ClaimTicket]

    /// Counts a failure to use a batch's model, for this batch and for all claimable batches that ask for the same
    /// model. The batches are postponed unless it was the `limit`-th failure in a row: then they stay claimable, so
    /// that their jobs can be failed. The first job that succeeds with the model resets the counts of all of them.
    ///
    /// In a store with several owners they are counted and postponed for this life and those that come after it on its host,
    /// and nobody else. It may be repeated with the same time, for its caller may not have heard of it: that is one failure.
    ///
    /// Returns the number of failures in a row of the batch; 0 if it has ended.
    /// - Parameter limit: nil: this daemon does not have the model, so that it is not for it to fail the jobs.
    @discardableResult
    func postpone(
        _ batch: BatchID, by life: Incarnation, limit: Int?, backoff: Backoff, because reason: String,
        at now: Milliseconds
    ) throws(JobStoreError) -> Int

    /// Why the jobs of a batch must fail without another attempt at its model: `limit` failures in a row of every daemon that
    /// has it; else nil.
    func unusableModel(of batch: BatchID, limit: Int) throws(JobStoreError) -> ModelTrouble?

    /// What an incarnation has loaded from now on, and on what device; nil: nothing.
    func noteLoaded(_ model: String?, on device: String?, incarnation: Incarnation) throws(JobStoreError)

    /// Records that an incarnation is loading the model of a batch; nil: that it no longer is.
    func noteLoading(for batch: BatchID?, incarnation: Incarnation) throws(JobStoreError)

    /// The batch whose model the incarnation before this one was loading when it died, if the one before that also died
    /// while it loaded the same model; else nil. One death proves nothing.
    func loadingThatKilled(before incarnation: Incarnation) throws(JobStoreError) -> BatchID?

    /// Replaces the progress of jobs in flight; batches that are not named have none in flight any more. A power cut
    /// may undo it, and the end of the incarnation deletes it.
    func record(_ progress: [BatchProgress], incarnation: Incarnation) throws(JobStoreError)

    /// Stores what makes results from now on; it may be stored already.
    func record(_ system: SystemRecord) throws(JobStoreError)

    /// Stores the metrics of an interval.
    func record(_ interval: MetricsInterval) throws(JobStoreError)

    /// The incarnations of the daemon, the latest first.
    func incarnations(limit: Int) throws(JobStoreError) -> [IncarnationSummary]

    /// Does maintenance that is due and keeps the store small and fast. The daemon calls it between groups.
    func maintain() throws(JobStoreError)

    /// Leaves the store complete for a copy of its file. The daemon calls it at its end.
    func settle() throws(JobStoreError)
}

/// A watch for writes of other processes. It ends with `end` or with the object.
public protocol StoreWatch: AnyObject, Sendable {
    /// Ends the watch; the handler is not called after that.
    func end()
}

/// Sole ownership of the queue by one daemon. It ends with `release`, with the object, or with the process.
public protocol DaemonLease: AnyObject, Sendable {
    /// Gives up the ownership.
    func release()
}

extension JobWork {
    /// One owner.
    public var membership: (any Membership)? { nil }

    /// The batch whose turn it is, for nobody in particular; see `claimableBatch(among:fitting:for:)`.
    public func claimableBatch(
        among: Set<BatchID>?, fitting model: String? = nil
    ) throws(JobStoreError) -> ClaimableBatch? {
        try claimableBatch(among: among, fitting: model, for: nil)
    }

    /// When the first postponed job or batch can be claimed again, for nobody in particular.
    public func nextAttempt(among: Set<BatchID>?) throws(JobStoreError) -> Milliseconds? {
        try nextAttempt(among: among, for: nil)
    }

    /// With one owner nobody asks.
    public func noteLoaded(_ model: String?, on device: String?, incarnation: Incarnation) throws(JobStoreError) {}
}

extension JobWork where Self: JobReading {
    /// The failures that are counted for the batch.
    public func unusableModel(of batch: BatchID, limit: Int) throws(JobStoreError) -> ModelTrouble? {
        let trouble = try self.batch(batch).modelTrouble
        return trouble.flatMap { $0.times >= limit ? $0 : nil }
    }
}
