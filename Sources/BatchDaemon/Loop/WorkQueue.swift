// The queue of one incarnation of the daemon: chooses the next batch and claims its jobs.

import Logging
import Runtime
public import StoreContract

/// Which batches a daemon works on.
public enum WorkScope: Sendable, Equatable {
    /// Every batch.
    case everything
    /// These batches only: `ttbatch run` does not touch the rest of the queue.
    case batches(Set<BatchID>)

    fileprivate var ids: Set<BatchID>? {
        if case .batches(let ids) = self { ids } else { nil }
    }
}

/// The next work for a daemon.
enum NextWork {
    /// Jobs of this batch can be claimed.
    case batch(ClaimableBatch)
    /// All remaining work is postponed.
    case later
    /// There is no work until another process writes some.
    case nothing
}

/// The loaded model. Loading another one takes minutes, so batches of equal rank wait until its turn ends.
struct ModelTurn {
    let model: String
    let since: Milliseconds
}

/// The queue for one incarnation. Only the daemon's thread uses it, in its loop and in sessions.
final class WorkQueue {
    let store: any JobStore
    let life: Life
    let scope: WorkScope
    /// The turn of a loaded model: how long it is kept while batches of the same rank wait for another model.
    let modelTurnMS: Int64
    let clock: TimeSource
    let log: Logger
    /// The result of the last poll, if it found nothing to claim.
    private var idle: Idle?
    /// When the passing of time next changes the queue, as far as known.
    private var nextChange: Milliseconds?
    /// Whether a claim may have taken jobs although its answer was lost.
    private(set) var isUnsure = false

    var incarnation: Incarnation { life.incarnation }

    /// Nothing to claim. It stays valid until another process writes, which changes `version`, or time changes the
    /// queue. Where there are several daemons it does not stay so: what one gives back is for all.
    private struct Idle {
        let version: Int64
        let work: NextWork
    }

    init(
        store: any JobStore, life: Life, scope: WorkScope, modelTurnMS: Int64, clock: TimeSource, log: Logger
    ) {
        self.store = store
        self.life = life
        self.scope = scope
        self.modelTurnMS = modelTurnMS
        self.clock = clock
        self.log = log
    }

    /// The next work for a daemon that has `loaded`. Repeated calls are cheap until another process writes.
    func next(loaded: ModelTurn? = nil) throws(JobStoreError) -> NextWork {
        if life.isDraining { return .nothing }
        // Read before the queue is: a write in between is noticed as a change by the next call.
        let version = try store.dataVersion()
        let now = clock.now
        if let idle, idle.version == version, !isDue(now), store.membership == nil { return idle.work }
        try advanceTime(to: now)
        if let batch = try claimable(loaded, at: now) {
            idle = nil
            return .batch(batch)
        }
        let work: NextWork = try store.nextAttempt(among: scope.ids, for: incarnation) == nil ? .nothing : .later
        idle = Idle(version: version, work: work)
        return work
    }

    /// Whether there may be work again although there is none: where there are several daemons, until what others have in flight, or
    /// what is left to them, has ended. It comes back from who dies.
    func othersHaveWork() throws(JobStoreError) -> Bool {
        guard let membership = store.membership, !life.isDraining else { return false }
        if try membership.othersHoldJobs(than: incarnation, among: scope.ids) { return true }
        return try store.claimableBatch(among: scope.ids, fitting: nil) != nil
    }

    /// Applies the changes that are due by now, such as deadlines; they apply also while the device is busy.
    func advanceTimeIfDue() throws(JobStoreError) {
        if isDue(clock.now) { try advanceTime(to: clock.now) }
    }

    /// Must be called after this process has requeued jobs, because `next` does not notice its own writes.
    func invalidate() {
        idle = nil
    }

    /// Milliseconds until `nextChange`, at most `limit`.
    func patienceMS(atMost limit: Int64) -> Int64 {
        nextChange.map { min(limit, max(1, $0 - clock.now)) } ?? limit
    }

    private func isDue(_ now: Milliseconds) -> Bool { nextChange.map { $0 <= now } ?? false }

    private func advanceTime(to now: Milliseconds) throws(JobStoreError) {
        let passed = try store.advanceTime(to: now)
        nextChange = passed.next
        // There may be new jobs to claim now.
        idle = nil
        JobMetrics().count(expired: passed.expired)
        if passed.expired > 0 { log.warning("\(passed.expired) jobs were not run by their deadline and have expired") }
        for batch in passed.closedBatches { log.info("\(batch) has ended") }
    }

    /// The batch whose turn it is. Among batches of the same rank, those for the loaded model come first until the
    /// model's turn is over.
    private func claimable(_ loaded: ModelTurn?, at now: Milliseconds) throws(JobStoreError) -> ClaimableBatch? {
        guard let first = try store.claimableBatch(among: scope.ids, fitting: nil, for: incarnation) else { return nil }
        guard let loaded, let model = first.model, model != loaded.model, now - loaded.since < modelTurnMS else {
            return first
        }
        let fitting = try store.claimableBatch(among: scope.ids, fitting: loaded.model, for: incarnation)
        return fitting?.rank == first.rank ? fitting : first
    }

    /// Claims jobs; none if the life was declared dead, which is noted.
    func claim(_ limit: Int, of batch: ClaimableBatch) throws(JobStoreError) -> [ClaimedJob] {
        do throws(JobStoreError) {
            return try store.claim(limit, of: batch.id, incarnation: incarnation, at: clock.now)
        } catch .declaredDead {
            life.note(.dead)
            return []
        } catch {
            isUnsure = true
            throw error
        }
    }

    /// After a claim whose answer was lost, or when another server has taken over: all that this life has claimed, for whoever knows which of it was heard of; else nil.
    func claimsToSettle() throws(JobStoreError) -> [ClaimTicket]? {
        if life.takeNewServer() { isUnsure = true }
        guard isUnsure else { return nil }
        let held = try store.held(by: incarnation)
        isUnsure = false
        return held
    }

    func revoked(among tickets: [ClaimTicket]) throws(JobStoreError) -> [ClaimTicket] {
        tickets.isEmpty ? [] : try store.revoked(among: tickets, incarnation: incarnation)
    }
}
