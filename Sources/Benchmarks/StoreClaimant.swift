// A daemon of a job store that computes nothing: what it claims it ends.

import Glibc
import Runtime
public import StoreContract
import Synchronization

/// A life in a store of its own.
public final class StoreClaimant: Claimant {
    /// How long others are silent before they are declared dead, in milliseconds.
    public static let limit: Int64 = 15_000

    private let store: any JobStore
    private let lease: any DaemonLease
    private let life: Incarnation
    private let holding = Mutex(Holding())

    private struct Holding {
        var jobs: [ClaimTicket] = []
        /// Whether a claim may have given jobs that nobody heard of.
        var isUnsure = false
    }

    private init(_ store: any JobStore, _ lease: any DaemonLease, _ life: Incarnation) {
        (self.store, self.lease, self.life) = (store, lease, life)
    }

    /// Begins a life; what the one before it on this machine left running is pending again.
    public static func open(_ store: any JobStore) throws -> (claimant: any Claimant, orphans: Int) {
        let lease = try store.acquireLease()
        let opened = try store.openIncarnation(
            NewIncarnation(pid: getpid(), host: "", version: "", model: "", device: "none"), lease: lease,
            maxCrashes: 3, at: TimeSource.system.now)
        return (StoreClaimant(store, lease, opened.incarnation), Int(opened.orphans.requeued))
    }

    /// Asks whose turn it is, then claims. After a claim without an answer it ends what that took.
    public func claim(_ limit: Int) throws -> Int {
        if holding.withLock({ $0.isUnsure }) {
            let held = try store.held(by: life)
            holding.withLock { $0 = Holding(jobs: held) }
            if !held.isEmpty { return held.count }
        }
        guard let batch = try store.claimableBatch(among: nil, fitting: nil, for: life) else { return 0 }
        holding.withLock { $0.isUnsure = true }
        let claimed = try store.claim(limit, of: batch.id, incarnation: life, at: TimeSource.system.now)
        holding.withLock { $0 = Holding(jobs: claimed.map(\.ticket)) }
        return claimed.count
    }

    /// One group.
    public func finish() throws -> Int {
        let jobs = holding.withLock { $0.jobs }
        guard !jobs.isEmpty else { return 0 }
        let report = try store.finish(
            jobs.map(QueueBenchmark.completion), incarnation: life, at: TimeSource.system.now)
        holding.withLock { $0.jobs = [] }
        return report.finished
    }

    /// A heartbeat, and a look at others'.
    public func beat() throws -> [HostsEvent.Kind] {
        guard let membership = store.membership else { return [] }
        guard try membership.renew(life, within: Self.limit, at: nil) != .dead else { return [.dead] }
        let reaped = try membership.reapDead(by: life, within: Self.limit, maxCrashes: 3, at: nil)
        return reaped.map { .reaped(jobs: Int($0.jobs.requeued)) }
    }
}
