// What daemons write beside results: progress, metrics, what makes results.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// One transaction.
    public func record(_ progress: [BatchProgress], incarnation: Incarnation) throws(JobStoreError) {
        try completions.use { connection in
            try connection.transaction { db in
                try db.run("DELETE FROM progress WHERE incarnation = $1", incarnation)
                for batch in progress {
                    // Otherwise the tokens of jobs that end before the next report would be counted twice.
                    try db.run(
                        """
                        INSERT INTO progress (batch_id, incarnation, updated_ms, generated_tokens, tokens_per_second,
                            token_ms, token_ms_growth, running, running_tokens, running_limit)
                        SELECT batch_id, $2, $3, completion_tokens + $4, $5, $6, $7, $8, $9, $10 FROM counters
                        WHERE batch_id = $1 AND status = 'in_progress'
                        """,
                        batch.batch, incarnation, batch.updated, batch.unfinishedTokens, batch.pace?.tokensPerSecond,
                        batch.pace?.tokenMS, batch.pace?.tokenMSGrowth ?? 0, batch.running, batch.runningTokens,
                        batch.runningLimit)
                }
            }
        }
    }

    /// One round trip.
    public func record(_ system: SystemRecord) throws(JobStoreError) {
        let rows = system.members.map { key, value in
            PostgresStatement(
                "INSERT INTO systems (fingerprint, key, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                system.fingerprint.stored, key.stored, value.stored)
        }
        _ = try completions.use { try $0.run(together: rows) }
    }

    /// Reads rows by their key.
    public func system(_ fingerprint: String) throws(JobStoreError) -> SystemRecord? {
        let members = try read { db in
            try db.rows("SELECT key, value FROM systems WHERE fingerprint = $1", fingerprint.stored) {
                ($0.text(0), $0.text(1))
            }
        }
        return members.isEmpty ? nil : SystemRecord(Dictionary(members) { first, _ in first })
    }

    // MARK: - Metrics

    /// Inserts one row, once.
    public func record(_ interval: MetricsInterval) throws(JobStoreError) {
        _ = try completions.use { db in
            try db.run(
                """
                INSERT INTO metrics (incarnation, start_ms, end_ms, prompt_tokens, generated_tokens, prefill_steps,
                    decode_steps, decode_rows, preemptions, slots, kv_blocks_mean, kv_blocks_max, kv_blocks_total,
                    queue_depth, jobs_succeeded, jobs_failed, cached_tokens)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
                ON CONFLICT DO NOTHING
                """,
                interval.incarnation, interval.start, interval.end, interval.promptTokens, interval.generatedTokens,
                interval.prefillSteps, interval.decodeSteps, interval.decodeRows, interval.preemptions, interval.slots,
                interval.kvBlocksMean, interval.kvBlocksMax, interval.kvBlocksTotal, interval.queueDepth,
                interval.jobsSucceeded, interval.jobsFailed, interval.cachedTokens)
        }
    }

    /// Reads rows in order of their start.
    public func metrics(_ scope: MetricsScope, limit: Int) throws(JobStoreError) -> [MetricsInterval] {
        try read { db in
            let (condition, values) = scope.condition
            return try db.metricsIntervals(
                "WHERE \(condition) ORDER BY start_ms, incarnation LIMIT $3", [values.0, values.1, limit])
        }
    }

    /// The database computes the sums.
    public func metricsSummary(_ scope: MetricsScope) throws(JobStoreError) -> MetricsSummary {
        try read { db in
            let (condition, values) = scope.condition
            // A query of aggregates always returns exactly one row.
            return try db.row(
                "SELECT \(metricsSums) FROM (SELECT *, \(newlyCovered) FROM metrics WHERE \(condition)) m", values.0,
                values.1,
                read: { MetricsSummary($0) })!
        }
    }

    /// The database computes the sums, along the index by time.
    public func metricsHistory(
        from: Milliseconds, to: Milliseconds, parts: Int
    ) throws(JobStoreError) -> [MetricsPart] {
        guard to > from, parts > 0 else { return [] }
        return try read { db in
            try db.rows(
                """
                SELECT \(metricsSums), coalesce(max(queue_depth), 0), (start_ms - $1) * $3 / ($2 - $1) AS part
                FROM (SELECT *, \(newlyCovered) FROM metrics WHERE start_ms >= $1 AND start_ms < $2) m
                GROUP BY part ORDER BY part
                """, from, to, parts
            ) { MetricsPart(index: $0.int(16), summary: MetricsSummary($0), queueDepth: $0.int64(15)) }
        }
    }
}

extension MetricsScope {
    /// A condition on `metrics`, with the values of $1 and $2.
    fileprivate var condition: (sql: String, values: (Int64, Int64)) {
        switch self {
        case .incarnation(let incarnation): ("incarnation = $1 AND $2 = 0", (incarnation.rawValue, 0))
        case .period(let from, let to): ("start_ms >= $1 AND start_ms < $2", (from.rawValue, to.rawValue))
        case .batch(let batch):
            (
                """
                end_ms > (SELECT started_ms FROM counters WHERE batch_id = $1)
                AND start_ms < coalesce((SELECT finished_ms FROM counters WHERE batch_id = $1), \(Int64.max)) AND $2 = 0
                """, (batch.rawValue, 0)
            )
        }
    }
}

/// Milliseconds of an interval that no earlier one covers: hosts work at the same time, and their tokens are of that time.
private let newlyCovered = """
    end_ms - least(end_ms, greatest(start_ms, max(end_ms) OVER (
        ORDER BY start_ms, incarnation ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))) AS covered_ms
    """

/// The columns of a `MetricsSummary`.
private let metricsSums = """
    count(*), coalesce(sum(covered_ms), 0)::int8, coalesce(sum(prompt_tokens), 0)::int8,
    coalesce(sum(generated_tokens), 0)::int8, coalesce(sum(prefill_steps), 0)::int8,
    coalesce(sum(decode_steps), 0)::int8, coalesce(sum(decode_rows), 0)::int8,
    coalesce(sum(decode_steps * slots), 0)::int8,
    coalesce(sum(kv_blocks_mean * (end_ms - start_ms)) / nullif(sum(end_ms - start_ms), 0)::float8, 0.0),
    coalesce(max(kv_blocks_max), 0), coalesce(max(kv_blocks_total), 0),
    coalesce(sum(jobs_succeeded), 0)::int8, coalesce(sum(jobs_failed), 0)::int8, coalesce(sum(preemptions), 0)::int8,
    coalesce(sum(cached_tokens), 0)::int8
    """

extension PostgresConnection {
    /// `condition` follows `FROM metrics`.
    mutating func metricsIntervals(_ condition: String, _ values: [any PostgresValue]) throws -> [MetricsInterval] {
        try rows("SELECT \(MetricsInterval.columns) FROM metrics \(condition)", all: values) { MetricsInterval($0) }
    }
}
