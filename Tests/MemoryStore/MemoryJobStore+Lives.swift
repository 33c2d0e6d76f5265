// Leases and lives of daemons, in memory.

import Glibc
package import Runtime
package import StoreContract
import Synchronization

/// A life of a daemon.
struct LifeRow: Sendable {
    /// When a life was heard of, and since when without a gap, by the store's clock; and the limit that it said.
    struct Heard {
        var seen: Milliseconds
        var steady: Milliseconds
        var limit: Int64
    }

    /// Failures in a row with the model of a batch.
    struct Trouble {
        var times = 0
        var reason = ""
        var notBefore: Milliseconds?
        /// Whether its host does not have the model.
        var isMissing = false
        /// Whether it tries no more.
        var isFinal = false
        var failed: Milliseconds
    }

    var summary: IncarnationSummary
    let identity: String
    var declaredDead: Milliseconds?
    var isDraining = false
    var isRemoved = false
    /// Whether it works on some batches only.
    var isScoped = false
    var loaded: String?
    /// The batch whose model it is loading.
    var loading: BatchID?
    var heard: Heard?
    var troubles: [BatchID: Trouble] = [:]
    /// What was said last, and how many tokens the batch's ended jobs had then.
    var progress: [BatchID: (said: BatchProgress, endedTokens: Int64)] = [:]

    init(_ summary: IncarnationSummary, of identity: String) {
        self.summary = summary
        self.identity = identity
    }

    var isAlive: Bool { summary.stopped == nil && declaredDead == nil }

    /// Whether it lives, as far as was heard lately.
    func isHeard(at now: Milliseconds) -> Bool {
        guard isAlive, let heard else { return false }
        return heard.seen > now + -(heard.limit == 0 ? 15_000 : heard.limit)
    }

    /// Nothing that it does counts from now on.
    mutating func end(at now: Milliseconds) {
        declaredDead = now
        progress = [:]
    }

    /// Notes that it was heard of. After a gap of half of `limit` it is not steady any more; nor if the store's clock was set back
    /// by as much, since others may have been heard of by either time.
    mutating func beat(within limit: Int64, at now: Milliseconds) {
        let isSteady = heard.map { abs(now - $0.seen) <= limit / 2 } ?? false
        heard = Heard(seen: now, steady: isSteady ? heard!.steady : now, limit: limit)
    }
}

/// A lease that ends with the object.
final class MemoryLease: DaemonLease {
    private let queue: MemoryQueue
    private let identity: String

    init(_ queue: MemoryQueue, _ identity: String) {
        self.queue = queue
        self.identity = identity
    }

    deinit { release() }

    func release() {
        queue.rows.withLock { rows in
            if rows.leases[identity]?.holder == ObjectIdentifier(self) { rows.leases[identity] = nil }
        }
    }
}

extension MemoryJobStore {
    /// It is the machine's and needs no server: no fault meets it.
    package func acquireLease() throws(JobStoreError) -> any DaemonLease {
        let lease = MemoryLease(queue, identity)
        let now = Milliseconds(rawValue: Int64(time(nil)) * 1000)
        let other: Milliseconds? = queue.rows.withLock { [identity] rows in
            if let other = rows.leases[identity] { return other.taken }
            rows.leases[identity] = (ObjectIdentifier(lease), now)
            return nil
        }
        if let other { throw .daemonRunning(path: "memory", pid: getpid(), since: other) }
        return lease
    }

    package func openIncarnation(
        _ daemon: NewIncarnation, lease: any DaemonLease, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> OpenedIncarnation {
        precondition(lease is MemoryLease, "the lease is of this kind of store")
        let heard = queue.firstHeard(at: now)
        return try write { [identity] rows in
            let before = rows.lives.filter { $0.identity == identity }
            let id = Incarnation(rawValue: Int64(rows.lives.count) + 1)
            var life = LifeRow(IncarnationSummary(id: id, daemon: daemon, started: now, stopped: nil), of: identity)
            life.isDraining = before.last?.isDraining ?? false
            // What they could not use, this one cannot use either, as far as is known.
            life.troubles = before.last?.troubles ?? [:]
            life.beat(within: 0, at: heard)
            rows.lives.append(life)
            var orphans = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
            for (index, former) in before.enumerated() {
                let former = former.summary.id
                rows[former]!.troubles = [:]
                // This process holds the lease, so these lives have ended.
                guard rows[former]!.isAlive else { continue }
                rows[former]!.end(at: now)
                rows.events.append(.superseded(former))
                let diedTwice = index > 0 && before[index - 1].summary.stopped == nil
                for ticket in rows.held(by: former) {
                    rows.release(
                        ticket, former, because: diedTwice ? .crash(maxCrashes: maxCrashes) : .stopping,
                        death: .restart,
                        &orphans, at: now)
                }
            }
            return OpenedIncarnation(incarnation: id, orphans: orphans)
        }
    }

    package func closeIncarnation(_ incarnation: Incarnation, at now: Milliseconds) throws(JobStoreError) {
        try write { rows in
            rows[incarnation]!.progress = [:]
            var report = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
            for ticket in rows.held(by: incarnation) {
                rows.release(ticket, incarnation, because: .stopping, &report, at: now)
            }
            if rows[incarnation]!.summary.stopped == nil { rows[incarnation]!.summary.stopped = now }
        }
    }

    package func incarnations(limit: Int) throws(JobStoreError) -> [IncarnationSummary] {
        try read { $0.lives.reversed().prefix(limit).map(\.summary) }
    }
}
