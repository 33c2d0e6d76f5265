// Daemons of several hosts: who lives, who is declared dead, and what becomes of the jobs that dead ones had.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore: Membership {
    /// The store's own.
    public var membership: (any Membership)? { self }

    /// One row, unsynced: a heartbeat that is lost is soon followed by another. Its answer also sets the clock. Two round trips: where
    /// the server is far away, there must be several heartbeats within the limit.
    public func renew(
        _ life: Incarnation, within limit: Int64, at now: Milliseconds?
    ) throws(JobStoreError) -> LifeState {
        let identity = identity
        return try keeping.use { connection in
            try connection.transaction { db -> LifeState in
                try db.runLater("SET LOCAL synchronous_commit = off")
                let began = TimeSource.system.steady
                let found = try db.row(
                    """
                    SELECT stopped_ms IS NOT NULL OR declared_dead_ms IS NOT NULL, draining, \(serverTime) FROM daemons
                    WHERE incarnation = $1 AND identity = $2
                    """, life, identity
                ) { row in
                    (
                        state: row.bool(0) ? LifeState.dead : row.bool(1) ? .draining : .alive,
                        time: row.id(2, as: Milliseconds.self)
                    )
                }
                guard let found else { return .dead }
                if now == nil { TimeSource.setSystem(to: found.time, at: (began + TimeSource.system.steady) / 2) }
                if found.state != .dead { try db.beat(life, within: limit, at: now) }
                return found.state
            }
        }
    }

    /// The timeline, which is the first part of the name of a segment of the server's log.
    public func serverHistory() throws(JobStoreError) -> String {
        try keeping.use { try $0.row("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)") { $0.text(0) } ?? "" }
    }

    /// Two transactions: the declaration, which is final, and then what the dead ones had. Whoever comes next does the second if
    /// this one ends between them.
    public func reapDead(
        by life: Incarnation, within limit: Int64, maxCrashes: Int, at now: Milliseconds?
    ) throws(JobStoreError) -> [ReapedLife] {
        try keeping.use { connection in
            try connection.transaction { try $0.declareDead(by: life, within: limit, at: now) }
            let dead = try connection.rows(
                """
                SELECT DISTINCT d.incarnation FROM daemons d JOIN leases l USING (incarnation)
                WHERE d.declared_dead_ms IS NOT NULL ORDER BY d.incarnation
                """
            ) { $0.id(0, as: Incarnation.self) }
            return try dead.compactMap { dead in
                do {
                    return try connection.transaction { db in
                        // Meanwhile this life says nothing of itself: what others have locked is for the next time.
                        try db.execute("SET LOCAL lock_timeout = 100")
                        return try db.takeBack(from: dead, maxCrashes: maxCrashes, at: now)
                    }
                } catch let error as PostgresError where error.state == .lockTimeout {
                    return nil
                }
            }
        }
    }

    /// Looks at the leases.
    public func othersHoldJobs(than life: Incarnation, among: Set<BatchID>?) throws(JobStoreError) -> Bool {
        let ids = among.map { PostgresArray($0.map(\.rawValue)) }
        return try read { db in
            try db.row(
                """
                SELECT EXISTS (SELECT FROM leases WHERE incarnation <> $1 AND ($2 IS NULL OR batch_id = ANY($2)))
                """, life, ids
            ) { $0.bool(0) } ?? false
        }
    }

    /// Updates one row.
    public func noteScoped(_ life: Incarnation) throws(JobStoreError) {
        _ = try keeping.use { try $0.run("UPDATE daemons SET scoped = true WHERE incarnation = $1", life) }
    }

    /// Looks at the last life of each identity.
    public func hosts() throws(JobStoreError) -> [HostSummary] {
        try read { db in
            try db.rows(
                """
                SELECT * FROM (
                    SELECT DISTINCT ON (d.identity) d.incarnation, d.pid, d.host, d.version, d.model, d.device, d.started_ms,
                        d.stopped_ms, d.declared_dead_ms, d.draining, d.loaded,
                        (SELECT coalesce(sum(cardinality(lines)), 0)::int8 FROM leases WHERE incarnation = d.incarnation),
                        (SELECT coalesce(sum(tokens_per_second), 0) FROM progress WHERE incarnation = d.incarnation),
                        \(serverTime) - coalesce(h.seen_ms, d.started_ms), coalesce(nullif(h.limit_ms, 0), 15000), d.removed
                    FROM daemons d LEFT JOIN heartbeats h USING (incarnation) ORDER BY d.identity, d.incarnation DESC
                ) lives
                WHERE NOT removed AND greatest(stopped_ms, declared_dead_ms, 0) + 86400000 >
                    CASE WHEN greatest(stopped_ms, declared_dead_ms) IS NULL THEN 0 ELSE \(serverTime) END
                ORDER BY host, incarnation
                """, read: Self.host)
        }
    }

    private static func host(_ row: PostgresRow) -> HostSummary {
        let life = IncarnationSummary(row)
        let silentMS = max(0, row.int64(13))
        let state: HostSummary.State =
            if life.stopped != nil {
                .stopped
            } else if !row.isNull(8) {
                .dead
            } else if silentMS > row.int64(14) / 2 {
                .silent
            } else if row.bool(9) {
                .draining
            } else {
                .running
            }
        return HostSummary(
            life: life, state: state, loadedModel: row.optionalText(10), running: row.int64(11),
            tokensPerSecond: row.double(12), silentMS: silentMS)
    }

    /// Updates one row, and tells the daemon.
    public func setDraining(_ isDraining: Bool, of life: Incarnation) throws(JobStoreError) {
        try act { db in
            let changed = try db.run(
                "UPDATE daemons SET draining = $2 WHERE incarnation = $1", life, isDraining)
            guard changed == 1 else { throw JobStoreError.hostNotFound("\(life)") }
            try db.tellChange()
        }
    }

    /// Two transactions, as in `reapDead`.
    public func remove(
        _ life: Incarnation, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> ReapedLife {
        try act { db in
            let changed = try db.run(
                """
                UPDATE daemons SET removed = true,
                    declared_dead_ms = CASE WHEN stopped_ms IS NULL THEN coalesce(declared_dead_ms, $2) END
                WHERE incarnation = $1
                """, life, now)
            guard changed == 1 else { throw JobStoreError.hostNotFound("\(life)") }
        }
        return try act { try $0.takeBack(from: life, maxCrashes: maxCrashes, at: now) }
    }

    /// Reads the leases of a life.
    public func held(by incarnation: Incarnation) throws(JobStoreError) -> [ClaimTicket] {
        try read { try $0.tickets(of: incarnation) }
    }
}

/// The server's time in milliseconds.
let serverTime = "(extract(epoch FROM clock_timestamp()) * 1000)::int8"

extension PostgresConnection {
    /// Notes that a life was heard of. After a gap of half of `limit` it is not steady any more.
    ///
    /// - Parameter now: nil: by the server's clock.
    mutating func beat(_ life: Incarnation, within limit: Int64, at now: Milliseconds?) throws {
        try runLater(
            """
            WITH time AS (SELECT coalesce($2, \(serverTime)) AS now)
            INSERT INTO heartbeats (incarnation, seen_ms, steady_ms, limit_ms) SELECT $1, now, now, $3 FROM time
            ON CONFLICT (incarnation) DO UPDATE SET seen_ms = excluded.seen_ms, limit_ms = excluded.limit_ms,
                steady_ms = CASE WHEN abs(excluded.seen_ms - heartbeats.seen_ms) > $3 / 2 THEN excluded.seen_ms
                    ELSE heartbeats.steady_ms END
            """, life, now, limit)
    }

    fileprivate mutating func declareDead(by judge: Incarnation, within limit: Int64, at now: Milliseconds?) throws {
        // After a crash of the server nobody was heard of: the time of all that live begins anew.
        try runLater(
            """
            INSERT INTO heartbeats (incarnation, seen_ms, steady_ms, limit_ms)
            SELECT incarnation, coalesce($1, \(serverTime)), coalesce($1, \(serverTime)), $2 FROM daemons
            WHERE stopped_ms IS NULL AND declared_dead_ms IS NULL
            ON CONFLICT DO NOTHING
            """, now, limit)
        try runLater(
            """
            WITH time AS (SELECT coalesce($2, \(serverTime)) AS now)
            UPDATE daemons d SET declared_dead_ms = now FROM heartbeats h, heartbeats judge, time
            WHERE h.incarnation = d.incarnation AND judge.incarnation = $1 AND d.incarnation <> $1
              AND d.stopped_ms IS NULL AND d.declared_dead_ms IS NULL
              AND h.seen_ms < now - greatest($3, h.limit_ms)
              AND judge.steady_ms <= now - $3 AND judge.seen_ms >= now - $3 / 2
            """, judge, now, limit)
    }

    /// Makes the jobs of a life pending that was declared dead.
    fileprivate mutating func takeBack(
        from dead: Incarnation, maxCrashes: Int, at now: Milliseconds?
    ) throws -> ReapedLife {
        let time = try now ?? row("SELECT \(serverTime)") { $0.id(0, as: Milliseconds.self) }!
        try run("DELETE FROM progress WHERE incarnation = $1", dead)
        let jobs = try release(
            try tickets(of: dead), incarnation: dead, because: .stopping,
            death: .suspectAfterAnother(maxCrashes: maxCrashes), at: time)
        let host = try row("SELECT host FROM daemons WHERE incarnation = $1", dead) { $0.text(0) }
        return ReapedLife(incarnation: dead, host: host ?? "?", jobs: jobs)
    }

    /// Sets the program's clock by the server's, so that all hosts of a queue have one time.
    mutating func setClock() throws {
        let began = TimeSource.system.steady
        let time = try row("SELECT \(serverTime)") { $0.id(0, as: Milliseconds.self) }!
        TimeSource.setSystem(to: time, at: (began + TimeSource.system.steady) / 2)
    }
}
