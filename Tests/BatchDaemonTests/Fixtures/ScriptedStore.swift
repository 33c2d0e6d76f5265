// A store that fails when a test wants it to, and counts what it is asked.

import Runtime
import StoreContract
import Synchronization

/// Passes everything on to a real store, once `before` has let it.
final class ScriptedStore: JobStore {
    enum Operation: Hashable, Sendable {
        case claimableBatch, claim, finish, release, revoked, dataVersion, record, maintain
    }

    private let store: any JobStore
    private let before: @Sendable (Operation) throws(JobStoreError) -> Void

    /// A store in front of `store`; `before` may throw in its place.
    init(_ store: any JobStore, before: @escaping @Sendable (Operation) throws(JobStoreError) -> Void) {
        self.store = store
        self.before = before
    }

    var location: String { store.location }

    func daemonPresence() throws(JobStoreError) -> DaemonPresence { try store.daemonPresence() }

    func claimableBatch(
        among: Set<BatchID>?, fitting model: String?, for life: Incarnation?
    ) throws(JobStoreError) -> ClaimableBatch? {
        try before(.claimableBatch)
        return try store.claimableBatch(among: among, fitting: model, for: life)
    }

    func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> [ClaimedJob] {
        try before(.claim)
        return try store.claim(limit, of: batch, incarnation: incarnation, at: now)
    }

    func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> FinishReport {
        try before(.finish)
        return try store.finish(completions, incarnation: incarnation, at: now)
    }

    func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws(JobStoreError) -> ReleaseReport {
        try before(.release)
        return try store.release(tickets, incarnation: incarnation, because: reason, at: now)
    }

    func revoked(
        among tickets: [ClaimTicket], incarnation: Incarnation
    ) throws(JobStoreError) -> [ClaimTicket] {
        try before(.revoked)
        return try store.revoked(among: tickets, incarnation: incarnation)
    }

    func held(by incarnation: Incarnation) throws(JobStoreError) -> [ClaimTicket] { try store.held(by: incarnation) }

    func dataVersion() throws(JobStoreError) -> Int64 {
        try before(.dataVersion)
        return try store.dataVersion()
    }

    func record(_ interval: MetricsInterval) throws(JobStoreError) {
        try before(.record)
        try store.record(interval)
    }

    func record(_ system: SystemRecord) throws(JobStoreError) { try store.record(system) }

    func record(_ progress: [BatchProgress], incarnation: Incarnation) throws(JobStoreError) {
        try store.record(progress, incarnation: incarnation)
    }

    func settle() throws(JobStoreError) {
        try store.settle()
    }

    func maintain() throws(JobStoreError) {
        try before(.maintain)
        try store.maintain()
    }
}

// What the tests do not script.
extension ScriptedStore {
    func beginBatch(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> any BatchDraft {
        try store.beginBatch(batch, at: now)
    }

    func sweepOrphanedDrafts() throws(JobStoreError) -> [BatchID] { try store.sweepOrphanedDrafts() }

    func retry(
        _ batch: BatchID, states: Set<JobState>, errorCode: String?, at now: Milliseconds
    ) throws(JobStoreError) -> BatchID {
        try store.retry(batch, states: states, errorCode: errorCode, at: now)
    }

    func rerun(_ customID: String, of batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try store.rerun(customID, of: batch, at: now)
    }

    func result(of customID: String, in batch: BatchID) throws(JobStoreError) -> JobResult? {
        try store.result(of: customID, in: batch)
    }

    func sampleOfJobs(of batch: BatchID, limit: Int) throws(JobStoreError) -> [SampledJob] {
        try store.sampleOfJobs(of: batch, limit: limit)
    }

    func requestBody(of job: JobID) throws(JobStoreError) -> [UInt8]? { try store.requestBody(of: job) }

    func system(_ fingerprint: String) throws(JobStoreError) -> SystemRecord? { try store.system(fingerprint) }

    func advanceTime(to now: Milliseconds) throws(JobStoreError) -> TimeAdvance { try store.advanceTime(to: now) }

    func nextAttempt(among: Set<BatchID>?, for life: Incarnation?) throws(JobStoreError) -> Milliseconds? {
        try store.nextAttempt(among: among, for: life)
    }

    func postpone(
        _ batch: BatchID, by life: Incarnation, limit: Int?, backoff: Backoff, because reason: String,
        at now: Milliseconds
    ) throws(JobStoreError) -> Int {
        try store.postpone(batch, by: life, limit: limit, backoff: backoff, because: reason, at: now)
    }

    func noteLoading(for batch: BatchID?, incarnation: Incarnation) throws(JobStoreError) {
        try store.noteLoading(for: batch, incarnation: incarnation)
    }

    func loadingThatKilled(before incarnation: Incarnation) throws(JobStoreError) -> BatchID? {
        try store.loadingThatKilled(before: incarnation)
    }

    func watch(_ handler: @escaping @Sendable () -> Void) -> (any StoreWatch)? { store.watch(handler) }

    func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError) { try store.pause(batch, at: now) }

    func resume(_ batch: BatchID?) throws(JobStoreError) { try store.resume(batch) }

    func batch(named name: String) throws(JobStoreError) -> BatchID? { try store.batch(named: name) }

    func failures(of batch: BatchID) throws(JobStoreError) -> [FailureGroup] { try store.failures(of: batch) }

    func anotherAttempt(of batch: BatchID) throws(JobStoreError) -> AnotherAttempt? {
        try store.anotherAttempt(of: batch)
    }

    func acquireLease() throws(JobStoreError) -> any DaemonLease { try store.acquireLease() }

    func openIncarnation(
        _ daemon: NewIncarnation, lease: any DaemonLease, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> OpenedIncarnation {
        try store.openIncarnation(daemon, lease: lease, maxCrashes: maxCrashes, at: now)
    }

    func closeIncarnation(_ incarnation: Incarnation, at now: Milliseconds) throws(JobStoreError) {
        try store.closeIncarnation(incarnation, at: now)
    }

    func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport {
        try store.cancel(batch, at: now)
    }

    func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID] {
        try store.completeCancellations(at: now)
    }

    func batch(_ id: BatchID) throws(JobStoreError) -> BatchSummary { try store.batch(id) }

    func batches(
        before: BatchID?, limit: Int, includingDrafts: Bool, of tenant: Tenant?
    ) throws(JobStoreError) -> [BatchSummary] {
        try store.batches(before: before, limit: limit, includingDrafts: includingDrafts, of: tenant)
    }

    func recentCompletions(of batch: BatchID, limit: Int) throws(JobStoreError) -> RecentCompletions? {
        try store.recentCompletions(of: batch, limit: limit)
    }

    func results(_ query: ResultQuery, after position: Int64, limit: Int) throws(JobStoreError) -> [JobResult] {
        try store.results(query, after: position, limit: limit)
    }

    func queueState() throws(JobStoreError) -> QueueState { try store.queueState() }

    func systemStatus() throws(JobStoreError) -> SystemStatus { try store.systemStatus() }

    func add(_ key: ServerKey) throws(JobStoreError) { try store.add(key) }

    func keys() throws(JobStoreError) -> [ServerKey] { try store.keys() }

    func removeKey(named name: String) throws(JobStoreError) -> Bool { try store.removeKey(named: name) }

    func prune(finishedBefore limit: Milliseconds) throws(JobStoreError) -> PruneReport {
        try store.prune(finishedBefore: limit)
    }

    func metrics(_ scope: MetricsScope, limit: Int) throws(JobStoreError) -> [MetricsInterval] {
        try store.metrics(scope, limit: limit)
    }

    func metricsSummary(_ scope: MetricsScope) throws(JobStoreError) -> MetricsSummary {
        try store.metricsSummary(scope)
    }

    func metricsHistory(
        from: Milliseconds, to: Milliseconds, parts: Int
    ) throws(JobStoreError) -> [MetricsPart] {
        try store.metricsHistory(from: from, to: to, parts: parts)
    }

    func incarnations(limit: Int) throws(JobStoreError) -> [IncarnationSummary] {
        try store.incarnations(limit: limit)
    }
}
