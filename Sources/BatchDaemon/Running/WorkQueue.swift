// The store as one life of the daemon sees it: what is next, and the claims on it.

public import JobStore

/// Which batches a daemon works on.
public enum WorkScope: Sendable, Equatable {
    /// Every batch, oldest first.
    case everything
    /// These only: `ttbatch run` leaves the rest of the queue alone.
    case batches(Set<BatchID>)
}

/// The queue for one incarnation.
struct WorkQueue {
    let store: any JobStore
    let incarnation: Incarnation
    let scope: WorkScope
    let clock: DaemonClock
    /// The store's version at which nothing was waiting; until it changes, nothing will be.
    private var emptyVersion: Int64?

    init(store: any JobStore, incarnation: Incarnation, scope: WorkScope, clock: DaemonClock) {
        self.store = store
        self.incarnation = incarnation
        self.scope = scope
        self.clock = clock
    }

    /// The oldest batch in scope that has a job waiting. Cheap to ask again while nobody has written.
    ///
    /// Jobs that this process puts back do not count as written: a session ends then, and the next has a queue of its own.
    mutating func next() throws(JobStoreError) -> ClaimableBatch? {
        // Read before looking: what is written in between shows as a change the next time.
        let version = try store.dataVersion()
        if version == emptyVersion { return nil }
        let batches: Set<BatchID>? = if case .batches(let batches) = scope { batches } else { nil }
        let batch = try store.claimableBatch(among: batches)
        emptyVersion = batch == nil ? version : nil
        return batch
    }

    func claim(_ limit: Int, of batch: ClaimableBatch) throws(JobStoreError) -> [ClaimedJob] {
        try store.claim(limit, of: batch.id, incarnation: incarnation, at: clock.now)
    }

    func revoked(among tickets: [ClaimTicket]) throws(JobStoreError) -> [ClaimTicket] {
        tickets.isEmpty ? [] : try store.revoked(among: tickets, incarnation: incarnation)
    }
}
