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

    /// The oldest batch in scope that has a job waiting.
    func next() throws(JobStoreError) -> ClaimableBatch? {
        switch scope {
        case .everything: try store.claimableBatch(among: nil)
        case .batches(let batches): try store.claimableBatch(among: batches)
        }
    }

    func claim(_ limit: Int, of batch: ClaimableBatch) throws(JobStoreError) -> [ClaimedJob] {
        try store.claim(limit, of: batch.id, incarnation: incarnation, at: clock.now)
    }

    func revoked(among tickets: [ClaimTicket]) throws(JobStoreError) -> [ClaimTicket] {
        tickets.isEmpty ? [] : try store.revoked(among: tickets, incarnation: incarnation)
    }
}
