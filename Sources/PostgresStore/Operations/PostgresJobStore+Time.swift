// What changes in the queue as time passes: deadlines, and postponed jobs and batches.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// A look at the open batches and at what came back, if nothing is due; else short transactions.
    public func advanceTime(to now: Milliseconds) throws(JobStoreError) -> TimeAdvance {
        var passed = TimeAdvance()
        while true {
            passed.next = try read { try $0.nextChange() }
            guard let next = passed.next, next <= now else { return passed }
            let (expired, closed) = try act { db in
                try db.wakeJobs(Self.chunkRows, at: now)
                try db.wakeBatches(at: now)
                try db.makeUrgent(at: now)
                return try db.expireJobs(Self.chunkRows, at: now)
            }
            passed.expired += expired
            passed.closedBatches += closed
        }
    }

    /// Looks at what is postponed, which is little.
    public func nextAttempt(
        among: Set<BatchID>?, for life: Incarnation?
    ) throws(JobStoreError) -> Milliseconds? {
        let ids = among.map { PostgresArray($0.map(\.rawValue)) }
        return try read { db in
            try db.row(
                """
                SELECT least(
                    (SELECT min(t.not_before_ms) FROM returned t JOIN batches b ON b.id = t.batch_id
                     WHERE t.not_before_ms IS NOT NULL AND b.paused_ms IS NULL AND ($1 IS NULL OR b.id = ANY($1))),
                    (SELECT min(t.not_before_ms) FROM open_batches o JOIN counters c USING (batch_id)
                        JOIN batches b ON b.id = c.batch_id JOIN model_troubles t ON t.batch_id = b.id
                     WHERE c.status = 'in_progress' AND b.paused_ms IS NULL AND ($1 IS NULL OR b.id = ANY($1))
                       AND ($2 IS NULL OR t.incarnation = $2)))
                WHERE (SELECT paused_ms FROM meta) IS NULL
                """, ids, life
            ) { $0.optionalID(0, as: Milliseconds.self) } ?? nil
        }
    }
}

extension PostgresConnection {
    fileprivate mutating func nextChange() throws -> Milliseconds? {
        try row(
            """
            SELECT least(
                (SELECT min(not_before_ms) FROM returned WHERE not_before_ms IS NOT NULL),
                (SELECT min(not_before_ms) FROM model_troubles JOIN open_batches USING (batch_id)),
                min(b.deadline_ms) FILTER (WHERE c.ready > 0), min(b.urgent_ms) FILTER (WHERE NOT c.urgent))
            FROM open_batches o JOIN counters c USING (batch_id) JOIN batches b ON b.id = c.batch_id
            WHERE c.status = 'in_progress'
            """
        ) { $0.optionalID(0) } ?? nil
    }

    fileprivate mutating func wakeJobs(_ limit: Int, at now: Milliseconds) throws {
        let due = try rows(
            """
            SELECT DISTINCT batch_id FROM (
                SELECT batch_id FROM returned WHERE not_before_ms <= $1 ORDER BY not_before_ms LIMIT $2) d
            ORDER BY batch_id
            """, now, limit
        ) { $0.id(0, as: BatchID.self) }
        for batch in due {
            guard var counters = try LockedCounters(batch, &self) else { continue }
            counters.ready += Int64(
                try run(
                    """
                    UPDATE returned SET not_before_ms = NULL WHERE batch_id = $1 AND line IN (
                        SELECT line FROM returned WHERE batch_id = $1 AND not_before_ms <= $2
                        ORDER BY not_before_ms LIMIT $3)
                    """, batch, now, limit))
            _ = try counters.write(&self, at: now)
        }
    }

    /// Batches that were postponed by a life join the others of their priority, behind whose turns they have fallen.
    fileprivate mutating func wakeBatches(at now: Milliseconds) throws {
        let due = try rows(
            """
            UPDATE model_troubles SET not_before_ms = NULL WHERE not_before_ms <= $1 RETURNING batch_id
            """, now
        ) { $0.id(0, as: BatchID.self) }
        for batch in Set(due).sorted() {
            try run(
                """
                UPDATE counters c SET turn = greatest(c.turn, coalesce((
                    SELECT min(c.turn) FROM open_batches o JOIN counters c USING (batch_id) JOIN batches b ON b.id = c.batch_id
                    WHERE \(claimableCondition) AND b.id <> $1 AND NOT c.urgent
                      AND b.priority = (SELECT priority FROM batches WHERE id = $1)), c.turn))
                WHERE c.batch_id = $1 AND NOT c.urgent
                """, batch)
        }
    }

    fileprivate mutating func makeUrgent(at now: Milliseconds) throws {
        try run(
            """
            UPDATE counters c SET urgent = true, turn = b.deadline_ms FROM open_batches o JOIN batches b ON b.id = o.batch_id
            WHERE c.batch_id = o.batch_id AND c.status = 'in_progress' AND NOT c.urgent AND b.urgent_ms <= $1
            """, now)
    }

    /// Expires jobs of one batch whose deadline has come.
    fileprivate mutating func expireJobs(_ limit: Int, at now: Milliseconds) throws -> (jobs: Int64, closed: [BatchID])
    {
        let due = try row(
            """
            SELECT b.id FROM open_batches o JOIN counters c USING (batch_id) JOIN batches b ON b.id = c.batch_id
            WHERE c.status = 'in_progress' AND c.ready > 0 AND b.deadline_ms <= $1 ORDER BY b.deadline_ms, b.id LIMIT 1
            """, now
        ) { $0.id(0, as: BatchID.self) }
        guard let batch = due, let counters = try LockedCounters(batch, &self), counters.readyBefore > 0 else {
            return (0, [])
        }
        let expired = try endPending(counters, as: .expired, limit: limit, at: now)
        // None: nothing is left, whatever was counted.
        try run(
            "UPDATE counters SET ready = CASE WHEN $2 = 0 THEN 0 ELSE ready - $2 END WHERE batch_id = $1", batch,
            expired)
        return (expired, try batchStatus(batch) == .expired ? [batch] : [])
    }
}
