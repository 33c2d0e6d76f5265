// What changes in the queue as time passes: deadlines, and postponed jobs and batches.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// Four lookups in partial indexes if nothing is due; else short transactions.
    public func advanceTime(to now: Milliseconds) throws(JobStoreError) -> TimeAdvance {
        var passed = TimeAdvance()
        while true {
            passed.next = try read { try $0.nextChange() }
            guard let next = passed.next, next <= now else { return passed }
            let limit = options.enqueueChunkRows
            try write { db in
                try db.wakeJobs(limit, at: now)
                try db.wakeBatches(at: now)
                try db.makeUrgent(at: now)
                let (expired, closed) = try db.expireJobs(limit, at: now)
                passed.expired += expired
                passed.closedBatches += closed
            }
            try checkpointWithoutDaemon()
        }
    }

    /// Scans what is postponed, which is little.
    public func nextAttempt(among: Set<BatchID>?, for life: Incarnation?) throws(JobStoreError) -> Milliseconds? {
        try read { db in
            let isPaused = try db.number("SELECT count(*) FROM queue WHERE paused_ms IS NOT NULL") > 0
            let putOff = try db.rows(
                """
                SELECT b.id, j.not_before_ms FROM jobs j INDEXED BY jobs_delayed JOIN batches b ON b.id = j.batch_id
                WHERE j.state = 'pending' AND j.not_before_ms IS NOT NULL AND b.paused_ms IS NULL
                UNION ALL
                SELECT id, not_before_ms FROM batches INDEXED BY batches_postponed
                WHERE status = 'in_progress' AND not_before_ms IS NOT NULL AND paused_ms IS NULL
                """
            ) { (batch: $0.id(0, as: BatchID.self), due: $0.id(1, as: Milliseconds.self)) }
            return isPaused ? nil : putOff.filter { among?.contains($0.batch) ?? true }.map(\.due).min()
        }
    }
}

extension Database {
    /// The time of the next change. A test checks the statement's plan.
    static let nextChangeSQL = """
        SELECT min(due) FROM (
            SELECT (SELECT min(not_before_ms) FROM jobs INDEXED BY jobs_delayed
                    WHERE state = 'pending' AND not_before_ms IS NOT NULL) AS due
            UNION ALL
            SELECT (SELECT min(deadline_ms) FROM batches INDEXED BY batches_deadline
                    WHERE status = 'in_progress' AND ready > 0 AND deadline_ms IS NOT NULL)
            UNION ALL
            SELECT (SELECT min(urgent_ms) FROM batches INDEXED BY batches_urgent
                    WHERE status = 'in_progress' AND urgent = 0 AND urgent_ms IS NOT NULL)
            UNION ALL
            SELECT (SELECT min(not_before_ms) FROM batches INDEXED BY batches_postponed
                    WHERE status = 'in_progress' AND not_before_ms IS NOT NULL))
        """

    fileprivate func nextChange() throws -> Milliseconds? {
        try row(Self.nextChangeSQL) { $0.optionalID(0) } ?? nil
    }

    fileprivate func wakeJobs(_ limit: Int, at now: Milliseconds) throws {
        let batches = try rows(
            """
            UPDATE jobs SET not_before_ms = NULL WHERE id IN (
                SELECT id FROM jobs INDEXED BY jobs_delayed
                WHERE state = 'pending' AND not_before_ms <= ? ORDER BY not_before_ms LIMIT ?)
            RETURNING batch_id
            """, now, limit
        ) { $0.id(0, as: BatchID.self) }
        for (batch, jobs) in Dictionary(grouping: batches, by: \.self) {
            try run("UPDATE batches SET ready = ready + ? WHERE id = ?", jobs.count, batch)
        }
    }

    fileprivate func wakeBatches(at now: Milliseconds) throws {
        let due = try rows(
            """
            SELECT id, priority FROM batches INDEXED BY batches_postponed
            WHERE status = 'in_progress' AND not_before_ms <= ? ORDER BY not_before_ms
            """, now
        ) { (batch: $0.id(0, as: BatchID.self), priority: $0.priority(1)) }
        for (batch, priority) in due {
            try join(batch, priority, "not_before_ms = NULL")
        }
    }

    /// Makes a batch take part in the fair share again, with the turn of the others, and applies `change` to its row.
    func join(_ batch: BatchID, _ priority: BatchPriority, _ change: String) throws {
        let turn = try nextTurn(priority)
        try run("UPDATE batches SET turn = iif(urgent, turn, ?), \(change) WHERE id = ?", turn, batch)
    }

    fileprivate func makeUrgent(at now: Milliseconds) throws {
        try run(
            """
            UPDATE batches SET urgent = 1, turn = deadline_ms WHERE id IN (
                SELECT id FROM batches INDEXED BY batches_urgent
                WHERE status = 'in_progress' AND urgent = 0 AND urgent_ms <= ?)
            """, now)
    }

    /// Expires jobs of one batch whose deadline has come.
    fileprivate func expireJobs(_ limit: Int, at now: Milliseconds) throws -> (jobs: Int64, closed: [BatchID]) {
        let due = try row(
            """
            SELECT id FROM batches INDEXED BY batches_deadline
            WHERE status = 'in_progress' AND ready > 0 AND deadline_ms <= ? ORDER BY deadline_ms, id LIMIT 1
            """, now
        ) { $0.id(0, as: BatchID.self) }
        guard let batch = due else { return (0, []) }
        let expired = try endJobs(of: batch, in: .pending, as: .expired, limit: limit, at: now)
        // Fewer than the limit: these were the last.
        try run(
            "UPDATE batches SET ready = iif(?1 < ?2, 0, ready - ?1) WHERE id = ?3", expired, limit, batch)
        return (expired, try batchStatus(batch) == .expired ? [batch] : [])
    }
}
