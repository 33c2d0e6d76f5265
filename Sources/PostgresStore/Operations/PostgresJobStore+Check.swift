// Checks the rows of a whole queue: whether its counters are what its jobs add up to, and every job is in one place only. The
// server's pages are for its own tools to check.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore: DatabaseUpkeep {
    /// Reads all rows in one snapshot. Others may write meanwhile.
    public func check() throws(JobStoreError) -> StoreCheck {
        try reading.use { connection in
            connection.patience = .seconds(24 * 3600)
            defer { connection.patience = patience }
            return try connection.transaction { db in
                try db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0")
                var check = StoreCheck()
                check.engine = "PostgreSQL"
                check.engineVersion = db.parameter("server_version") ?? ""
                check.schemaVersion = Int(try db.number("SELECT schema_version FROM meta"))
                check.databaseBytes = try db.number("SELECT pg_database_size(current_database())")
                check.batches = try db.number("SELECT count(*) FROM counters WHERE status <> 'validating'")
                check.jobs = try db.number("SELECT count(*) FROM jobs")
                check.problems = try db.wrongCounters() + db.wrongPlaces() + db.wrongResults()
                let drafts = try db.number("SELECT count(*) FROM counters WHERE status = 'validating'")
                if drafts > 0 {
                    check.remarks.append("\(drafts) batches are being written or deleted, or wait for their removal")
                }
                check.remarks.append("pages, indexes and checksums are for pg_amcheck and pg_checksums to look at")
                return check
            }
        }
    }

    /// The server's administrator makes backups.
    public func backup(to target: String) throws(JobStoreError) {
        throw .notForThisStore(
            path: location,
            remedy:
                "PostgreSQL makes its backups itself: pg_dump --format=custom --file=\(target) … while daemons run, and "
                + "pg_restore into an empty database; or `ttbatch db copy` into a SQLite file")
    }

    /// The server returns space by itself.
    public func vacuum() throws(JobStoreError) -> VacuumReport {
        throw .notForThisStore(
            path: location,
            remedy:
                "PostgreSQL uses the space of deleted rows again by itself (autovacuum); VACUUM FULL in psql gives it back "
                + "to the disk, and locks the tables meanwhile")
    }

    /// Reads counters, and the batches that are due.
    public func prunable(finishedBefore limit: Milliseconds) throws(JobStoreError) -> [BatchSummary] {
        try read { try $0.batchSummaries("WHERE c.finished_ms < $1 ORDER BY b.id", [limit]) }
    }

    /// The server's log is not this queue's.
    public func walBytes() throws(JobStoreError) -> Int64 { 0 }
}

extension PostgresConnection {
    /// Batches whose counters differ from the sums over their jobs. Drafts are left out.
    fileprivate mutating func wrongCounters() throws -> [String] {
        try rows(
            """
            SELECT c.batch_id FROM counters c LEFT JOIN (
                SELECT batch_id, count(*) AS ended, max(finish_seq) AS last, count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
                    count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
                    count(*) FILTER (WHERE state = 'expired') AS expired, sum(prompt_tokens) AS prompt_tokens,
                    sum(cached_tokens) AS cached_tokens, sum(completion_tokens) AS completion_tokens,
                    count(total_ms) AS timed_jobs, coalesce(sum(queued_ms), 0) AS queued_ms,
                    coalesce(sum(prefill_ms), 0) AS prefill_ms, coalesce(sum(decode_ms), 0) AS decode_ms,
                    coalesce(sum(total_ms), 0) AS total_ms
                FROM results GROUP BY batch_id
            ) r USING (batch_id) LEFT JOIN (
                SELECT batch_id, count(*) AS total, count(*) FILTER (WHERE claim_rank IS NULL) AS rejected
                FROM jobs GROUP BY batch_id
            ) j USING (batch_id)
            WHERE c.status <> 'validating' AND (
                (c.total, c.rejected) IS DISTINCT FROM (coalesce(j.total, 0), coalesce(j.rejected, 0))
                OR (c.succeeded, c.failed, c.cancelled, c.expired, c.prompt_tokens, c.cached_tokens, c.completion_tokens,
                    c.timed_jobs, c.queued_ms, c.prefill_ms, c.decode_ms, c.total_ms)
                  IS DISTINCT FROM
                   (coalesce(r.succeeded, 0), coalesce(r.failed, 0), coalesce(r.cancelled, 0), coalesce(r.expired, 0),
                    coalesce(r.prompt_tokens, 0), coalesce(r.cached_tokens, 0), coalesce(r.completion_tokens, 0),
                    coalesce(r.timed_jobs, 0), coalesce(r.queued_ms, 0), coalesce(r.prefill_ms, 0),
                    coalesce(r.decode_ms, 0), coalesce(r.total_ms, 0))
                OR coalesce(r.last, 0) <> coalesce(r.ended, 0)
                OR (c.total = coalesce(r.ended, 0)) <> (c.finished_ms IS NOT NULL))
            ORDER BY c.batch_id LIMIT 20
            """
        ) { "\($0.id(0, as: BatchID.self)): its counters are not what its jobs add up to" }
    }

    /// Jobs that are nowhere or in two places: ended, in flight, waiting for another attempt, or not claimed yet.
    fileprivate mutating func wrongPlaces() throws -> [String] {
        let misplaced = try rows(
            """
            SELECT j.batch_id, j.line, p.places FROM jobs j JOIN counters c USING (batch_id), LATERAL (
                SELECT (SELECT count(*) FROM results WHERE batch_id = j.batch_id AND line = j.line)
                    + (SELECT count(*) FROM leases WHERE batch_id = j.batch_id AND j.line = ANY(lines))
                    + (SELECT count(*) FROM returned WHERE batch_id = j.batch_id AND line = j.line)
                    + (SELECT count(*) FROM segments WHERE batch_id = j.batch_id AND c.status = 'in_progress'
                       AND (j.claim_rank, j.line) > (next_rank, next_line) AND (j.claim_rank, j.line) <= (end_rank, end_line))
                    AS places
            ) p
            WHERE c.status NOT IN ('validating', 'cancelling') AND p.places <> 1 ORDER BY j.batch_id, j.line LIMIT 20
            """
        ) { row in
            "line \(row.int64(1)) of \(row.id(0, as: BatchID.self)) is "
                + (row.int64(2) == 0 ? "neither waiting, in flight nor ended" : "in \(row.int64(2)) places at once")
        }
        let ready = try rows(
            """
            SELECT c.batch_id FROM counters c WHERE c.status = 'in_progress' AND c.ready <>
                (SELECT count(*) FROM jobs j JOIN segments s ON s.batch_id = j.batch_id
                 AND (j.claim_rank, j.line) > (s.next_rank, s.next_line) AND (j.claim_rank, j.line) <= (s.end_rank, s.end_line)
                 WHERE j.batch_id = c.batch_id)
                + (SELECT count(*) FROM returned WHERE batch_id = c.batch_id AND not_before_ms IS NULL)
            ORDER BY c.batch_id LIMIT 20
            """
        ) { "\($0.id(0, as: BatchID.self)): the number of its jobs to claim is not what its counters say" }
        let foreign = try rows(
            """
            SELECT l.id FROM leases l CROSS JOIN LATERAL unnest(l.lines) AS leased
            LEFT JOIN jobs j ON j.batch_id = l.batch_id AND j.line = leased WHERE j.line IS NULL ORDER BY l.id LIMIT 20
            """
        ) { "lease \($0.int64(0)) is of jobs that do not exist" }
        return misplaced + ready + foreign
    }

    /// Jobs whose result is of the wrong kind, or without all its texts.
    fileprivate mutating func wrongResults() throws -> [String] {
        try rows(
            """
            SELECT r.batch_id, r.line, r.state FROM results r
            WHERE (r.state = 'failed') <> (r.error_code IS NOT NULL) OR (r.state = 'succeeded') <> (r.choices > 0)
               OR r.choices <> (SELECT count(*) FROM choices c WHERE c.batch_id = r.batch_id AND c.line = r.line)
            ORDER BY r.batch_id, r.line LIMIT 20
            """
        ) { row in
            "line \(row.int64(1)) of \(row.id(0, as: BatchID.self)) has \(row.text(2)), and its result is not that of such a job"
        }
    }
}
