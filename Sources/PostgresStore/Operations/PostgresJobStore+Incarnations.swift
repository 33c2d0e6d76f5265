// The lives of daemons: whose they are, and what dead ones left running.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// A kernel lock in the state directory. It ends with the process, however that ends.
    public func acquireLease() throws(JobStoreError) -> any DaemonLease {
        try StateDirectory.lock(stateDirectory)
    }

    /// Asks the kernel whether a daemon runs here, and the server whether one was heard of elsewhere.
    public func daemonPresence() throws(JobStoreError) -> DaemonPresence {
        if case .running(let pid) = StateDirectory.presence(stateDirectory) { return .running(pid: pid) }
        let identity = identity
        let isElsewhere = try read { db in
            try db.number(
                """
                SELECT count(*) FROM daemons d JOIN heartbeats h USING (incarnation)
                WHERE d.stopped_ms IS NULL AND d.declared_dead_ms IS NULL AND d.identity <> $1
                  AND h.seen_ms > \(serverTime) - coalesce(nullif(h.limit_ms, 0), 15000)
                """, identity) > 0
        }
        return isElsewhere ? .running(pid: nil) : .absent
    }

    /// A number that people's doings change.
    public func dataVersion() throws(JobStoreError) -> Int64 {
        try read { try $0.number("SELECT changes FROM meta") }
    }

    /// Listens on a connection of its own, which is made anew after it was lost.
    public func watch(_ handler: @escaping @Sendable () -> Void) -> (any StoreWatch)? {
        PostgresWatch(address, handler)
    }

    /// One transaction: the new row, and what the lives before it of this machine and state directory left running.
    public func openIncarnation(
        _ daemon: NewIncarnation, lease: any DaemonLease, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> OpenedIncarnation {
        precondition(lease is StateDirectory.Lock, "the lease is of this kind of store")
        let identity = identity
        return try act { db in
            let incarnation = try db.row(
                """
                INSERT INTO daemons (identity, pid, host, version, model, device, started_ms, draining)
                VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce((
                    SELECT draining FROM daemons WHERE identity = $1 ORDER BY incarnation DESC LIMIT 1), false))
                RETURNING incarnation
                """, identity, Int64(daemon.pid), daemon.host.stored, daemon.version.stored, daemon.model.stored,
                daemon.device.stored, now
            ) { $0.id(0, as: Incarnation.self) }!
            // This process holds the lease, so these lives have ended.
            let former = try db.rows(
                """
                UPDATE daemons SET declared_dead_ms = $3
                WHERE identity = $1 AND incarnation < $2 AND stopped_ms IS NULL AND declared_dead_ms IS NULL
                RETURNING incarnation
                """, identity, incarnation, now
            ) { $0.int64(0) }
            try db.run("DELETE FROM progress WHERE incarnation = ANY($1)", PostgresArray(former))
            // What they could not use, this one cannot use either, as far as is known.
            try db.run(
                """
                UPDATE model_troubles SET incarnation = $2
                WHERE incarnation IN (SELECT incarnation FROM daemons WHERE identity = $1 AND incarnation < $2)
                """, identity, incarnation)
            var orphans = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
            for owner in former.map({ Incarnation(rawValue: $0) }).sorted() {
                let tickets = try db.tickets(of: owner)
                let reason = try db.predecessorDied(owner) ? ReleaseReason.crash(maxCrashes: maxCrashes) : .stopping
                let report = try db.release(tickets, incarnation: owner, because: reason, death: .counted, at: now)
                orphans.requeued += report.requeued
                orphans.failed += report.failed
                orphans.closedBatches += report.closedBatches
            }
            try db.beat(incarnation, within: 0, at: now)
            return OpenedIncarnation(incarnation: incarnation, orphans: orphans)
        }
    }

    /// One transaction: the jobs in flight, and the time of the end.
    public func closeIncarnation(_ incarnation: Incarnation, at now: Milliseconds) throws(JobStoreError) {
        try act { db in
            let tickets = try db.tickets(of: incarnation)
            _ = try db.release(tickets, incarnation: incarnation, because: .stopping, at: now)
            try db.run("DELETE FROM progress WHERE incarnation = $1", incarnation)
            _ = try db.run(
                "UPDATE daemons SET stopped_ms = $2 WHERE incarnation = $1 AND stopped_ms IS NULL", incarnation, now)
        }
    }

    /// Reads rows by their key, the last first.
    public func incarnations(limit: Int) throws(JobStoreError) -> [IncarnationSummary] {
        try read { try $0.incarnations(limit: limit) }
    }

    /// Nothing is due: the server looks after its tables itself.
    public func maintain() throws(JobStoreError) {}

    /// The server has everything.
    public func settle() throws(JobStoreError) {}
}

extension PostgresConnection {
    /// All that a life has in flight.
    mutating func tickets(of incarnation: Incarnation) throws -> [ClaimTicket] {
        try rows(
            "SELECT batch_id, attempt, lines FROM leases WHERE incarnation = $1 ORDER BY batch_id, id", incarnation
        ) { row in
            let batch: BatchID = row.id(0)
            return row.array(2, of: Int64.self).map {
                ClaimTicket(job: JobID(batch, line: $0), batch: batch, attempt: row.int(1))
            }
        }.flatMap(\.self)
    }

    /// Whether the life before this one, of the same machine and state directory, died as well.
    fileprivate mutating func predecessorDied(_ incarnation: Incarnation) throws -> Bool {
        try row(
            """
            SELECT a.stopped_ms IS NULL FROM daemons a JOIN daemons b ON b.identity = a.identity
            WHERE b.incarnation = $1 AND a.incarnation < b.incarnation ORDER BY a.incarnation DESC LIMIT 1
            """, incarnation
        ) { $0.bool(0) } ?? false
    }

    mutating func incarnations(limit: Int) throws -> [IncarnationSummary] {
        try rows(
            """
            SELECT incarnation, pid, host, version, model, device, started_ms, stopped_ms FROM daemons
            ORDER BY incarnation DESC LIMIT $1
            """, limit
        ) { IncarnationSummary($0) }
    }
}
