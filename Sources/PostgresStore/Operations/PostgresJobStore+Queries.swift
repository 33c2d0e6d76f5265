// Queries about batches and the whole system. They do not count the jobs of a batch: its row has the counters.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// Reads one row of counters; counts only the jobs in flight.
    public func batch(_ id: BatchID) throws(JobStoreError) -> BatchSummary {
        guard let summary = try read({ try $0.batchSummaries("WHERE b.id = $1", [id]).first }) else {
            throw .batchNotFound(id)
        }
        return summary
    }

    /// One index lookup.
    public func batch(named name: String) throws(JobStoreError) -> BatchID? { try read { try $0.batch(named: name) } }

    /// Scans the batch's failed jobs.
    public func failures(of batch: BatchID) throws(JobStoreError) -> [FailureGroup] {
        try read { db in
            try db.rows(
                """
                SELECT f.error_code, f.jobs, f.attempts, f.line, r.error_message FROM (
                    SELECT error_code, count(*) AS jobs, max(attempt) AS attempts, min(line) AS line
                    FROM results WHERE batch_id = $1 AND state = 'failed' GROUP BY error_code) f
                JOIN results r ON r.batch_id = $1 AND r.line = f.line
                ORDER BY f.jobs DESC, f.error_code
                """, batch
            ) { row in
                FailureGroup(
                    code: row.text(0), jobs: row.int64(1), attempts: row.int(2), line: row.int64(3),
                    message: row.text(4))
            }
        }
    }

    /// Looks at the jobs that came back; there are few.
    public func anotherAttempt(of batch: BatchID) throws(JobStoreError) -> AnotherAttempt? {
        try read { db in
            try db.row(
                """
                SELECT count(*), min(not_before_ms) FROM returned WHERE batch_id = $1 AND not_before_ms IS NOT NULL
                """, batch
            ) { $0.isNull(1) ? nil : AnotherAttempt(jobs: $0.int64(0), next: $0.id(1)) } ?? nil
        }
    }

    /// Reads rows of counters by their key, the last first.
    public func batches(
        before: BatchID?, limit: Int, includingDrafts: Bool, of tenant: Tenant?
    ) throws(JobStoreError) -> [BatchSummary] {
        let drafts = includingDrafts ? "" : "AND (c.status <> 'validating' OR b.submitted_ms IS NOT NULL)"
        return try read { db in
            try db.batchSummaries(
                "WHERE b.id < $1 AND ($2 IS NULL OR b.tenant = $2) \(drafts) ORDER BY b.id DESC LIMIT $3",
                [before ?? BatchID(rawValue: .max), tenant?.rawValue.stored, limit])
        }
    }

    /// Two index lookups.
    public func recentCompletions(
        of batch: BatchID, limit: Int
    ) throws(JobStoreError) -> RecentCompletions? {
        let counts = try self.batch(batch).counts
        // Rejected lines ended before the batch began; they come first in the order of completion.
        let last = counts.finished
        let first = max(counts.rejected + 1, last - Int64(max(limit, 0)))
        guard first < last else { return nil }
        return try read { db in
            let times = try db.rows(
                """
                SELECT finished_ms FROM results WHERE batch_id = $1 AND finish_seq IN ($2, $3) ORDER BY finish_seq
                """, batch, first, last
            ) { $0.id(0, as: Milliseconds.self) }
            guard times.count == 2 else { return nil }
            return RecentCompletions(jobs: last - first, from: times[0], to: times[1])
        }
    }

    /// Reads one row.
    public func pausedSince() throws(JobStoreError) -> Milliseconds? {
        try read { try $0.row("SELECT paused_ms FROM meta") { $0.optionalID(0) } ?? nil }
    }

    /// Reads only open batches and jobs in flight.
    public func systemStatus() throws(JobStoreError) -> SystemStatus {
        let (daemon, paused, hosts) = (try daemonPresence(), try pausedSince(), try hosts())
        return try read { db in
            let cluster = ClusterStatus(
                hosts: hosts, server: "PostgreSQL \(db.parameter("server_version") ?? "")",
                synchronousCommit: try db.row("SHOW synchronous_commit") { $0.text(0) } ?? "",
                synchronousStandbys: try db.row("SHOW synchronous_standby_names") { $0.text(0) } ?? "")
            let running = try db.number("SELECT coalesce(sum(cardinality(lines)), 0)::int8 FROM leases")
            let open = try db.row(
                """
                SELECT count(*) FILTER (WHERE status = 'in_progress'), count(*) FILTER (WHERE status = 'validating'),
                    coalesce(sum(total - succeeded - failed - cancelled - expired) FILTER (WHERE status = 'in_progress'), 0)::int8
                FROM open_batches JOIN counters USING (batch_id)
                """
            ) { (batches: $0.int64(0), drafts: $0.int64(1), jobs: $0.int64(2)) }!
            return SystemStatus(
                daemon: daemon, latestIncarnation: try db.incarnations(limit: 1).first, paused: paused,
                openBatches: open.batches, drafts: open.drafts, pendingJobs: open.jobs - running, runningJobs: running,
                latestMetrics: try db.metricsIntervals("ORDER BY end_ms DESC, start_ms DESC LIMIT 1", []).first,
                cluster: cluster)
        }
    }

    /// Reads each batch's row, and of the jobs only those in flight or waiting for another attempt.
    public func queueState() throws(JobStoreError) -> QueueState {
        let paused = try pausedSince()
        return try read { db in
            var state = QueueState(paused: paused)
            let running = try db.number("SELECT coalesce(sum(cardinality(lines)), 0)::int8 FROM leases")
            state.delayedJobs = try db.number("SELECT count(*) FROM returned WHERE not_before_ms IS NOT NULL")
            var pending: Int64 = 0
            let groups = try db.rows(
                """
                SELECT c.status, b.priority, count(*), sum(total)::int8, sum(succeeded)::int8, sum(failed)::int8,
                    sum(cancelled)::int8, sum(expired)::int8,
                    min(CASE WHEN c.ready > 0 AND b.paused_ms IS NULL THEN b.created_ms END)
                FROM counters c JOIN batches b ON b.id = c.batch_id GROUP BY c.status, b.priority
                """
            ) { row in
                (
                    status: row.status(0), priority: row.priority(1), batches: row.int64(2), total: row.int64(3),
                    ended: [
                        JobState.succeeded: row.int64(4), .failed: row.int64(5), .cancelled: row.int64(6),
                        .expired: row.int64(7),
                    ], oldest: row.optionalID(8, as: Milliseconds.self)
                )
            }
            for group in groups {
                state.batches[group.status, default: 0] += group.batches
                guard group.status != .validating else { continue }
                state.jobs.merge(group.ended, uniquingKeysWith: +)
                pending += group.total - group.ended.values.reduce(0, +)
                if group.status == .inProgress { state.oldestPending[group.priority] = group.oldest }
            }
            state.jobs[.running] = running
            state.jobs[.pending] = pending - running
            return state
        }
    }
}

extension PostgresConnection {
    /// `condition` follows `FROM batches b JOIN counters c`, and `values` are for its $1 ….
    mutating func batchSummaries(
        _ condition: String, _ values: [any PostgresValue]
    ) throws -> [BatchSummary] {
        let columns = BatchSummary.columns(
            counters: "c",
            running: "(SELECT coalesce(sum(cardinality(lines)), 0)::int8 FROM leases l WHERE l.batch_id = b.id)",
            trouble: "t.times, t.reason, t.not_before_ms")
        // Several daemons may have jobs of a batch in flight: their speeds add up.
        return try rows(
            """
            SELECT \(columns)
            FROM batches b JOIN counters c ON c.batch_id = b.id LEFT JOIN LATERAL (
                SELECT max(updated_ms) AS updated_ms,
                    (c.completion_tokens + sum(greatest(generated_tokens - c.completion_tokens, 0)))::int8 AS generated_tokens,
                    sum(tokens_per_second) AS tokens_per_second, 1 / nullif(sum(1 / nullif(token_ms, 0)), 0) AS token_ms,
                    avg(token_ms_growth) AS token_ms_growth, sum(running)::int8 AS running,
                    sum(running_tokens)::int8 AS running_tokens, sum(running_limit)::int8 AS running_limit
                FROM progress WHERE batch_id = b.id HAVING c.status = 'in_progress'
            ) p ON true LEFT JOIN LATERAL (
                SELECT t.times, t.not_before_ms, CASE WHEN EXISTS (
                        SELECT 1 FROM daemons other WHERE other.identity <> d.identity AND other.stopped_ms IS NULL
                          AND other.declared_dead_ms IS NULL) THEN d.host || ': '::bytea || t.reason ELSE t.reason END AS reason
                FROM model_troubles t JOIN daemons d USING (incarnation)
                WHERE t.batch_id = b.id AND d.declared_dead_ms IS NULL AND c.status = 'in_progress'
                ORDER BY t.times DESC, t.incarnation LIMIT 1
            ) t ON true \(condition)
            """, all: values
        ) { BatchSummary($0, status: $0.status(BatchSummary.statusColumn)) }
    }
}
