// Queries about batches and the whole system. They do not count the jobs of a batch: its row has the counters.

import GRDB
import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// Reads one row of counters; counts only the jobs in flight.
    public func batch(_ id: BatchID) throws(JobStoreError) -> BatchSummary {
        guard let summary = try read({ try $0.batchSummaries("WHERE b.id = ? LIMIT ?", id, 1).first }) else {
            throw .batchNotFound(id)
        }
        return summary
    }

    /// One index lookup.
    public func batch(named name: String) throws(JobStoreError) -> BatchID? {
        try read { try $0.batch(named: name) }
    }

    /// Scans the batch's failed jobs.
    public func failures(of batch: BatchID) throws(JobStoreError) -> [FailureGroup] {
        try read { db in
            try db.rows(
                """
                SELECT code, jobs, attempts, first_line, (
                    SELECT r.error_message FROM jobs j JOIN job_results r ON r.job_id = j.id
                    WHERE j.batch_id = ?1 AND j.line = first_line)
                FROM (
                    SELECT r.error_code AS code, count(*) AS jobs, max(j.attempt) AS attempts, min(j.line) AS first_line
                    FROM jobs j INDEXED BY jobs_failed JOIN job_results r ON r.job_id = j.id
                    WHERE j.batch_id = ?1 AND j.state = 'failed' GROUP BY r.error_code)
                ORDER BY jobs DESC, code
                """, batch
            ) { row in
                FailureGroup(
                    code: row.text(0), jobs: row.int64(1), attempts: row.int(2), line: row.int64(3),
                    message: row.text(4))
            }
        }
    }

    /// Scans the jobs of all batches that wait for a retry; there are few.
    public func anotherAttempt(of batch: BatchID) throws(JobStoreError) -> AnotherAttempt? {
        try read { db in
            try db.row(
                """
                SELECT count(*), min(not_before_ms) FROM jobs INDEXED BY jobs_delayed
                WHERE state = 'pending' AND not_before_ms IS NOT NULL AND batch_id = ?
                """, batch
            ) { $0.isNull(1) ? nil : AnotherAttempt(jobs: $0.int64(0), next: $0.id(1)) } ?? nil
        }
    }

    /// Reads rows of counters by their key, the last first.
    public func batches(
        before: BatchID?, limit: Int, includingDrafts: Bool, of tenant: Tenant?
    ) throws(JobStoreError) -> [BatchSummary] {
        let drafts = includingDrafts ? "" : "AND (b.status <> 'validating' OR b.submitted_ms IS NOT NULL)"
        let before = before ?? BatchID(rawValue: .max)
        return try read { db in
            guard let tenant else {
                return try db.batchSummaries("WHERE b.id < ? \(drafts) ORDER BY b.id DESC LIMIT ?", before, limit)
            }
            return try db.batchSummaries(
                indexedBy: "batches_tenant", "WHERE b.tenant = ? AND b.id < ? \(drafts) ORDER BY b.id DESC LIMIT ?",
                tenant, before, limit)
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
                SELECT finished_ms FROM jobs INDEXED BY jobs_finished
                WHERE batch_id = ? AND finish_seq IS NOT NULL AND (finish_seq = ? OR finish_seq = ?)
                ORDER BY finish_seq
                """, batch, first, last
            ) { $0.id(0, as: Milliseconds.self) }
            guard times.count == 2 else { return nil }
            return RecentCompletions(jobs: last - first, from: times[0], to: times[1])
        }
    }

    /// Reads only open batches and jobs in flight.
    public func systemStatus() throws(JobStoreError) -> SystemStatus {
        let daemon = try daemonPresence()
        return try read { db in
            let running = try db.number("SELECT count(*) FROM jobs INDEXED BY jobs_running WHERE state = 'running'")
            let open = try db.row(
                """
                SELECT count(*), coalesce(sum(total - succeeded - failed - cancelled - expired), 0)
                FROM batches INDEXED BY batches_open WHERE status = 'in_progress'
                """
            ) { (batches: $0.int64(0), jobs: $0.int64(1)) }
            return SystemStatus(
                daemon: daemon,
                latestIncarnation: try db.incarnations(limit: 1).first,
                paused: try db.row("SELECT paused_ms FROM queue") { $0.optionalID(0) } ?? nil,
                openBatches: open?.batches ?? 0,
                drafts: Int64(try db.batchIDs(.validating).count),
                pendingJobs: (open?.jobs ?? 0) - running,
                runningJobs: running,
                latestMetrics: try db.metricsIntervals("ORDER BY id DESC LIMIT 1").first)
        }
    }

    /// Reads each batch's row, and of the jobs only those in flight or waiting for another attempt.
    public func queueState() throws(JobStoreError) -> QueueState {
        let logBytes = try walBytes()
        return try read { db in
            var state = QueueState(
                paused: try db.row("SELECT paused_ms FROM queue") { $0.optionalID(0) } ?? nil, logBytes: logBytes)
            let running = try db.number("SELECT count(*) FROM jobs INDEXED BY jobs_running WHERE state = 'running'")
            state.delayedJobs = try db.number(
                """
                SELECT count(*) FROM jobs INDEXED BY jobs_delayed WHERE state = 'pending' AND not_before_ms IS NOT NULL
                """)
            var pending: Int64 = 0
            _ = try db.rows(
                """
                SELECT status, priority, count(*), sum(total), sum(succeeded), sum(failed), sum(cancelled), sum(expired),
                    min(CASE WHEN ready > 0 AND paused_ms IS NULL THEN created_ms END)
                FROM batches GROUP BY status, priority
                """
            ) { row in
                let status: BatchStatus = try row.word(0)
                state.batches[status, default: 0] += row.int64(2)
                guard status != .validating else { return }
                let ended: [JobState: Int64] = [
                    .succeeded: row.int64(4), .failed: row.int64(5), .cancelled: row.int64(6), .expired: row.int64(7),
                ]
                state.jobs.merge(ended, uniquingKeysWith: +)
                pending += row.int64(3) - ended.values.reduce(0, +)
                if status == .inProgress { state.oldestPending[row.priority(1)] = row.optionalID(8) }
            }
            state.jobs[.running] = running
            state.jobs[.pending] = pending - running
            return state
        }
    }
}

extension Database {
    func batch(named name: String) throws -> BatchID? {
        try row("SELECT id FROM batches WHERE unique_name = ?", name) { $0.id(0) }
    }

    /// `condition` follows `FROM batches b`, and `values` are for its ?s.
    fileprivate func batchSummaries(
        indexedBy index: String? = nil, _ condition: String, _ values: any SQLValue...
    ) throws -> [BatchSummary] {
        let columns = BatchSummary.columns(
            counters: "b",
            running: """
                (SELECT count(*) FROM jobs INDEXED BY jobs_running
                 WHERE jobs.batch_id = b.id AND jobs.state = 'running')
                """, trouble: "b.model_errors, b.model_error, b.not_before_ms")
        let sql = """
            SELECT \(columns)
            FROM batches b \(index.map { "INDEXED BY \($0)" } ?? "") LEFT JOIN progress p ON p.batch_id = b.id AND b.status = 'in_progress' \(condition)
            """
        return try rows(sql, all: values) { row in
            BatchSummary(row, status: try row.word(BatchSummary.statusColumn))
        }
    }
}
