// Daemons of several hosts: who lives, who is declared dead, and what becomes of the jobs that dead ones had.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// One row, unsynced: a heartbeat that is lost is soon followed by another.
    public func renew(
        _ incarnation: Incarnation, within limit: Int64, at now: Milliseconds
    ) throws(JobStoreError) -> Bool {
        try keeping.use { connection in
            try connection.transaction { db in
                try db.execute("SET LOCAL synchronous_commit = off")
                let isAlive =
                    try db.number(
                        """
                        SELECT count(*) FROM daemons WHERE incarnation = $1 AND stopped_ms IS NULL AND declared_dead_ms IS NULL
                        """, incarnation) == 1
                if isAlive { try db.beat(incarnation, within: limit, at: now) }
                return isAlive
            }
        }
    }

    /// Two transactions: the declaration, which is final, and then what the dead ones had. Whoever comes next does the second if
    /// this one ends between them.
    public func reapDead(
        by incarnation: Incarnation, within limit: Int64, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> [ReapedLife] {
        try act { try $0.declareDead(by: incarnation, within: limit, at: now) }
        let dead = try read { db in
            try db.rows(
                """
                SELECT DISTINCT d.incarnation FROM daemons d JOIN leases l USING (incarnation)
                WHERE d.declared_dead_ms IS NOT NULL ORDER BY d.incarnation
                """
            ) { $0.id(0, as: Incarnation.self) }
        }
        var reaped: [ReapedLife] = []
        for life in dead {
            let jobs = try act { db in
                try db.run("DELETE FROM progress WHERE incarnation = $1", life)
                return try db.release(
                    try db.tickets(of: life), incarnation: life, because: .stopping,
                    death: .suspectAfterAnother(maxCrashes: maxCrashes), at: now)
            }
            reaped.append(ReapedLife(incarnation: life, jobs: jobs))
        }
        return reaped
    }

    /// Reads the leases of a life.
    public func held(by incarnation: Incarnation) throws(JobStoreError) -> [ClaimTicket] {
        try read { try $0.tickets(of: incarnation) }
    }
}

extension PostgresConnection {
    /// Notes that a life was heard of. After a gap of half of `limit` it is not steady any more.
    mutating func beat(_ incarnation: Incarnation, within limit: Int64, at now: Milliseconds) throws {
        try run(
            """
            INSERT INTO heartbeats (incarnation, seen_ms, steady_ms) VALUES ($1, $2, $2)
            ON CONFLICT (incarnation) DO UPDATE SET seen_ms = $2,
                steady_ms = CASE WHEN $2 - heartbeats.seen_ms > $3 / 2 THEN $2 ELSE heartbeats.steady_ms END
            """, incarnation, now, limit)
    }

    fileprivate mutating func declareDead(by judge: Incarnation, within limit: Int64, at now: Milliseconds) throws {
        // After a crash of the server nobody was heard of: the time of all that live begins anew.
        try run(
            """
            INSERT INTO heartbeats (incarnation, seen_ms, steady_ms)
            SELECT incarnation, $1, $1 FROM daemons WHERE stopped_ms IS NULL AND declared_dead_ms IS NULL
            ON CONFLICT DO NOTHING
            """, now)
        try run(
            """
            UPDATE daemons d SET declared_dead_ms = $2 FROM heartbeats h, heartbeats judge
            WHERE h.incarnation = d.incarnation AND judge.incarnation = $1 AND d.incarnation <> $1
              AND d.stopped_ms IS NULL AND d.declared_dead_ms IS NULL
              AND h.seen_ms < $2 - $3 AND judge.steady_ms <= $2 - $3 AND judge.seen_ms >= $2 - $3 / 2
            """, judge, now, limit)
    }
}
