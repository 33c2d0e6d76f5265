// The incarnations of the daemon: the lease, and the jobs that dead ones left running.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// A kernel lock on `<database>-daemon.lock`. It ends with the process, however that ends.
    public func acquireLease() throws(JobStoreError) -> any DaemonLease {
        guard writer != nil else { throw .readOnly(path: path) }
        return try FileDaemonLease.acquire(database: path)
    }

    /// Asks the kernel, so the answer is never out of date.
    public func daemonPresence() throws(JobStoreError) -> DaemonPresence {
        try FileDaemonLease.presence(database: path)
    }

    /// Uses inotify on the daemon's lock file.
    public func watch(_ handler: @escaping @Sendable () -> Void) -> (any StoreWatch)? {
        WakeUpListener(database: path, handler)
    }

    /// One transaction: the new row, and all jobs that are still running.
    public func openIncarnation(
        _ daemon: NewIncarnation, lease: any DaemonLease, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> OpenedIncarnation {
        precondition(lease is FileDaemonLease, "the lease is of this kind of store")
        return try write { db in
            try db.run(
                """
                INSERT INTO incarnations (pid, host, version, model, device, started_ms) VALUES (?, ?, ?, ?, ?, ?)
                """, daemon.pid, daemon.host, daemon.version, daemon.model, daemon.device, now)
            let incarnation = Incarnation(rawValue: db.lastInsertedRowID)
            try db.run("DELETE FROM progress")
            // This process holds the lease, so the daemons that claimed these jobs are dead.
            var orphans = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
            for (owner, tickets) in try db.runningTickets() {
                let reason = try db.predecessorDied(owner) ? ReleaseReason.crash(maxCrashes: maxCrashes) : .stopping
                let report = try db.release(tickets, incarnation: owner, because: reason, at: now)
                orphans.requeued += report.requeued
                orphans.failed += report.failed
                orphans.closedBatches += report.closedBatches
            }
            return OpenedIncarnation(incarnation: incarnation, orphans: orphans)
        }
    }

    /// One transaction: the jobs in flight, and the time of the end.
    public func closeIncarnation(_ incarnation: Incarnation, at now: Milliseconds) throws(JobStoreError) {
        try write { db in
            let tickets = try db.runningTickets()[incarnation] ?? []
            _ = try db.release(tickets, incarnation: incarnation, because: .stopping, at: now)
            try db.run("DELETE FROM progress")
            try db.run("UPDATE incarnations SET stopped_ms = ? WHERE id = ? AND stopped_ms IS NULL", now, incarnation)
        }
    }

    /// Reads all jobs in flight; there are few.
    public func held(by incarnation: Incarnation) throws(JobStoreError) -> [ClaimTicket] {
        try read { try $0.runningTickets()[incarnation] ?? [] }
    }

    /// Reads rows by their key, the last first.
    public func incarnations(limit: Int) throws(JobStoreError) -> [IncarnationSummary] {
        try read { try $0.incarnations(limit: limit) }
    }
}

extension Database {
    /// All running jobs by incarnation. There are few: only jobs in flight.
    fileprivate func runningTickets() throws -> [Incarnation: [ClaimTicket]] {
        let running = try rows(
            """
            SELECT incarnation, id, batch_id, attempt FROM jobs INDEXED BY jobs_running WHERE state = 'running'
            ORDER BY id
            """
        ) { row in
            let ticket = ClaimTicket(job: row.id(1), batch: row.id(2), attempt: row.int(3))
            return (owner: row.id(0, as: Incarnation.self), ticket: ticket)
        }
        return Dictionary(grouping: running, by: \.owner).mapValues { $0.map(\.ticket) }
    }

    /// Whether the incarnation before this one died as well.
    fileprivate func predecessorDied(_ incarnation: Incarnation) throws -> Bool {
        let sql = "SELECT count(*) FROM incarnations WHERE id = ? AND stopped_ms IS NULL"
        return try number(sql, Incarnation(rawValue: incarnation.rawValue - 1)) > 0
    }

    func incarnations(limit: Int) throws -> [IncarnationSummary] {
        try rows(
            """
            SELECT id, pid, host, version, model, device, started_ms, stopped_ms FROM incarnations
            ORDER BY id DESC LIMIT ?
            """, limit
        ) { IncarnationSummary($0) }
    }
}
