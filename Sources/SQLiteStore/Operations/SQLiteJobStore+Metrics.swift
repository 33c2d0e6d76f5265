// Metrics rows: the daemon writes one per interval; they are read one by one or summed.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// Inserts one row.
    public func record(_ interval: MetricsInterval) throws(JobStoreError) {
        _ = try write { db in
            try db.run(
                """
                INSERT INTO metrics (
                    incarnation, start_ms, end_ms, prompt_tokens, generated_tokens, prefill_steps, decode_steps,
                    decode_rows, preemptions, slots, kv_blocks_mean, kv_blocks_max, kv_blocks_total, queue_depth,
                    jobs_succeeded, jobs_failed, cached_tokens)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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
                "WHERE \(condition) ORDER BY start_ms, id LIMIT ?3", values.0, values.1, limit)
        }
    }

    /// The database computes the sums.
    public func metricsSummary(_ scope: MetricsScope) throws(JobStoreError) -> MetricsSummary {
        try read { db in
            let (condition, values) = scope.condition
            let summary = try db.row(
                "SELECT \(Database.metricsSums) FROM metrics WHERE \(condition)", values.0, values.1
            ) { MetricsSummary($0) }
            // A query of aggregates always returns exactly one row.
            return summary!
        }
    }

    /// The database computes the sums, along the index by time.
    public func metricsHistory(
        from: Milliseconds, to: Milliseconds, parts: Int
    ) throws(JobStoreError) -> [MetricsPart] {
        guard to > from, parts > 0 else { return [] }
        return try read { db in
            try db.rows(Database.metricsHistorySQL, from, to, parts) { row in
                MetricsPart(index: row.int(16), summary: MetricsSummary(row), queueDepth: row.int64(15))
            }
        }
    }
}

extension MetricsScope {
    /// A condition on `metrics`, with the values of ?1 and ?2.
    fileprivate var condition: (sql: String, values: (Int64, Int64)) {
        switch self {
        case .incarnation(let incarnation):
            ("incarnation = ?1 AND ?2 = 0", (incarnation.rawValue, 0))
        case .period(let from, let to):
            ("start_ms >= ?1 AND start_ms < ?2", (from.rawValue, to.rawValue))
        case .batch(let batch):
            (
                """
                end_ms > (SELECT started_ms FROM batches WHERE id = ?1)
                AND start_ms < coalesce((SELECT finished_ms FROM batches WHERE id = ?1), \(Int64.max)) AND ?2 = 0
                """, (batch.rawValue, 0)
            )
        }
    }
}

extension Database {
    /// The sums over parts of a time. A test checks the plan.
    static let metricsHistorySQL = """
        SELECT \(metricsSums), coalesce(max(queue_depth), 0), (start_ms - ?1) * ?3 / (?2 - ?1) AS part
        FROM metrics WHERE start_ms >= ?1 AND start_ms < ?2 GROUP BY part ORDER BY part
        """

    /// The columns of a `MetricsSummary`.
    fileprivate static let metricsSums = """
        count(*), coalesce(sum(end_ms - start_ms), 0), coalesce(sum(prompt_tokens), 0),
        coalesce(sum(generated_tokens), 0), coalesce(sum(prefill_steps), 0),
        coalesce(sum(decode_steps), 0), coalesce(sum(decode_rows), 0),
        coalesce(sum(decode_steps * slots), 0),
        coalesce(sum(kv_blocks_mean * (end_ms - start_ms)) / nullif(sum(end_ms - start_ms), 0), 0.0),
        coalesce(max(kv_blocks_max), 0), coalesce(max(kv_blocks_total), 0),
        coalesce(sum(jobs_succeeded), 0), coalesce(sum(jobs_failed), 0), coalesce(sum(preemptions), 0),
        coalesce(sum(cached_tokens), 0)
        """

    /// `condition` follows `FROM metrics`.
    func metricsIntervals(
        _ condition: String, _ first: Int64, _ second: Int64, _ limit: Int
    ) throws -> [MetricsInterval] {
        try rows(Self.metricsSQL + condition, first, second, limit) { MetricsInterval($0) }
    }

    /// `condition` follows `FROM metrics` and has no `?`.
    func metricsIntervals(_ condition: String) throws -> [MetricsInterval] {
        try rows(Self.metricsSQL + condition) { MetricsInterval($0) }
    }

    private static let metricsSQL = "SELECT \(MetricsInterval.columns) FROM metrics "
}
