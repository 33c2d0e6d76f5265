// The store as one life of the daemon sees it: what is next, and the claims on it.

import Logging
import Runtime
public import StoreContract

/// Which batches a daemon works on.
public enum WorkScope: Sendable, Equatable {
    /// Every batch.
    case everything
    /// These only: `ttbatch run` leaves the rest of the queue alone.
    case batches(Set<BatchID>)

    fileprivate var ids: Set<BatchID>? {
        if case .batches(let ids) = self { ids } else { nil }
    }
}

/// What the queue has for a daemon.
enum NextWork {
    /// Jobs of this batch can be claimed.
    case batch(ClaimableBatch)
    /// There is work that was put off; time brings it.
    case later
    /// Only a write by another process can bring work.
    case nothing
}

/// The model that is loaded. Another one costs minutes, so batches of equal rank wait for its turn to end.
struct ModelTurn {
    let model: String
    let since: Milliseconds
}

/// The queue for one incarnation. The daemon's thread alone uses it, in its loop and in sessions.
final class WorkQueue {
    let store: any JobStore
    let incarnation: Incarnation
    let scope: WorkScope
    /// How long a loaded model is kept while batches of the same rank wait for another.
    let modelTurnMS: Int64
    let clock: TimeSource
    let log: Logger
    /// What there was for the daemon when it last looked in vain.
    private var idle: Idle?
    /// When time changes something in the queue, as far as is known.
    private var nextChange: Milliseconds?

    /// Nothing to claim: while nobody has written since `version`, and time changes nothing.
    private struct Idle {
        let version: Int64
        let work: NextWork
    }

    init(
        store: any JobStore, incarnation: Incarnation, scope: WorkScope, modelTurnMS: Int64, clock: TimeSource,
        log: Logger
    ) {
        self.store = store
        self.incarnation = incarnation
        self.scope = scope
        self.modelTurnMS = modelTurnMS
        self.clock = clock
        self.log = log
    }

    /// What is next for a daemon that has `loaded`. Cheap to ask again while nobody has written.
    func next(loaded: ModelTurn? = nil) throws(JobStoreError) -> NextWork {
        // Read before looking: what is written in between shows as a change the next time.
        let version = try store.dataVersion()
        let now = clock.now
        if let idle, idle.version == version, !isDue(now) { return idle.work }
        try advanceTime(to: now)
        if let batch = try claimable(loaded, at: now) {
            idle = nil
            return .batch(batch)
        }
        let work: NextWork = try store.nextAttempt(among: scope.ids) == nil ? .nothing : .later
        idle = Idle(version: version, work: work)
        return work
    }

    /// Does what time has brought, if it has brought anything. Deadlines hold also while the device is busy.
    func advanceTimeIfDue() throws(JobStoreError) {
        if isDue(clock.now) { try advanceTime(to: clock.now) }
    }

    /// This process has put jobs back, which `next` would not see by itself.
    func invalidate() {
        idle = nil
    }

    /// How long nothing changes by itself: until `nextChange`, and never longer than `limit`.
    func patienceMS(atMost limit: Int64) -> Int64 {
        nextChange.map { min(limit, max(1, $0 - clock.now)) } ?? limit
    }

    private func isDue(_ now: Milliseconds) -> Bool { nextChange.map { $0 <= now } ?? false }

    private func advanceTime(to now: Milliseconds) throws(JobStoreError) {
        let passed = try store.advanceTime(to: now)
        nextChange = passed.next
        // There may be something to claim now that was not there before.
        idle = nil
        if passed.expired > 0 { log.warning("\(passed.expired) jobs were not run by their deadline and have expired") }
        for batch in passed.closedBatches { log.info("\(batch) has ended") }
    }

    /// The batch whose turn it is. Among batches of the same rank, those that the loaded model fits come first until its
    /// time is over.
    private func claimable(_ loaded: ModelTurn?, at now: Milliseconds) throws(JobStoreError) -> ClaimableBatch? {
        guard let first = try store.claimableBatch(among: scope.ids, fitting: nil) else { return nil }
        guard let loaded, let model = first.model, model != loaded.model, now - loaded.since < modelTurnMS else {
            return first
        }
        let fitting = try store.claimableBatch(among: scope.ids, fitting: loaded.model)
        return fitting?.rank == first.rank ? fitting : first
    }

    func claim(_ limit: Int, of batch: ClaimableBatch) throws(JobStoreError) -> [ClaimedJob] {
        try store.claim(limit, of: batch.id, incarnation: incarnation, at: clock.now)
    }

    func revoked(among tickets: [ClaimTicket]) throws(JobStoreError) -> [ClaimTicket] {
        tickets.isEmpty ? [] : try store.revoked(among: tickets, incarnation: incarnation)
    }
}
