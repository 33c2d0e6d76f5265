// The rows of a queue in SQLite as they are copied, one by one along an index.

import GRDB
import GRDBSQLite
import StoreContract

/// Reads within a transaction that is open.
struct SQLiteQueueRows: QueueRows {
    let location: String
    let db: Database

    func read(
        _ relation: CopiedRelation, _ columns: [CopiedColumn], take: ([CopiedValue]) throws(JobStoreError) -> Void
    ) throws(JobStoreError) {
        do {
            let sql = relation.sqliteSelect(columns)
            guard relation.isByBatch else { return try db.forEachRow(sql, all: []) { try take($0.copied(columns)) } }
            let batches = try db.rows("SELECT id FROM batches WHERE status <> 'validating' ORDER BY id") { $0.int64(0) }
            for batch in batches { try db.forEachRow(sql, all: [batch]) { try take($0.copied(columns)) } }
        } catch {
            throw JobStoreError(error, path: location, connection: db)
        }
    }
}

extension CopiedRelation {
    /// The statement that reads columns, of one batch if it is read batch by batch. A test checks the plans.
    func sqliteSelect(_ columns: [CopiedColumn]) -> String {
        let batch = isByBatch ? "WHERE batch_id = ?" : ""
        let order = order.map { "ORDER BY \($0)" } ?? ""
        return "SELECT \(columns.list) FROM (\(sqliteQuery)) \(batch) \(order)"
    }

    /// A query that has the relation's columns, by their names.
    private var sqliteQuery: String {
        switch self {
        case .queue:
            """
            SELECT paused_ms, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'batches'), 0) AS last_batch,
                coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'incarnations'), 0) AS last_incarnation
            FROM queue
            """
        case .incarnations: "SELECT *, NULL AS identity, NULL AS declared_dead_ms FROM incarnations"
        case .batches:
            // A submission that was half filled is filled anew.
            """
            SELECT id, name, unique_name, endpoint, model, model_name, priority, deadline_ms, urgent_ms, paused_ms,
                retry_of, created_ms, prompt_ms, tenant, input_file, completion_window, metadata, submitted_ms, input_errors,
                output_file, error_file, output_expires_ms, status, turn, urgent, ready, started_ms, finished_ms,
                iif(status = 'validating', 0, total) AS total, iif(status = 'validating', 0, rejected) AS rejected,
                succeeded, iif(status = 'validating', 0, failed) AS failed, cancelled, expired, prompt_tokens,
                cached_tokens, completion_tokens, timed_jobs, queued_ms, prefill_ms, decode_ms, total_ms
            FROM batches WHERE status <> 'validating' OR submitted_ms IS NOT NULL
            """
        case .jobs:
            // A job in flight is a suspect if the life before its owner has died, too. A body may have been deleted by hand.
            """
            SELECT j.batch_id, j.line, iif(j.rejected, NULL, j.claim_rank) AS claim_rank, j.created_ms, j.attempt,
                j.state = 'running' AND EXISTS (
                    SELECT 1 FROM incarnations WHERE id = j.incarnation - 1 AND stopped_ms IS NULL) AS deaths,
                j.crashes, j.bad_outputs, j.not_before_ms, j.incarnation, j.claimed_ms, j.finished_ms, j.finish_seq,
                j.prompt_tokens, j.cached_tokens, j.completion_tokens, j.queued_ms, j.prefill_ms, j.decode_ms, j.total_ms,
                r.error_status, r.seed, iif(r.text IS NULL, 0, r.further_choices + 1) AS choices,
                j.state, j.custom_id, iif(j.rejected, NULL, coalesce(b.endpoint, '')) AS endpoint, b.model_name,
                r.error_code, r.error_message, r.error_param, r.fingerprint,
                iif(j.rejected, NULL, coalesce(b.body, x'')) AS body
            FROM jobs j LEFT JOIN job_bodies b ON b.job_id = j.id LEFT JOIN job_results r ON r.job_id = j.id
            """
        case .choices:
            """
            SELECT j.batch_id, j.line, 0 AS choice, \(texts("r")), r.seed, r.fingerprint, r.further_choices + 1 AS choices
            FROM jobs j JOIN job_results r ON r.job_id = j.id WHERE r.text IS NOT NULL
            UNION ALL
            SELECT j.batch_id, j.line, c.choice, \(texts("c")), r.seed, r.fingerprint, r.further_choices + 1
            FROM jobs j JOIN job_results r ON r.job_id = j.id JOIN job_choices c ON c.job_id = j.id
            WHERE r.further_choices > 0
            """
        case .systems, .metrics, .files, .keys: "SELECT * FROM \(rawValue)"
        }
    }

    private func texts(_ table: String) -> String {
        [
            "text", "reasoning", "tool_calls", "unread", "scores", "confidence", "finish_reason", "complete",
            "stop_string", "stop_token", "prompt_token_ids", "token_ids", "logprobs", "prompt_logprobs",
        ].map { "\(table).\($0)" }.joined(separator: ", ")
    }
}

/// With the type that its column has.
extension CopiedValue: SQLValue {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        switch self {
        case .null: sqlite3_bind_null(statement, index)
        case .integer(let number): number.bind(to: statement, at: index)
        case .real(let number): number.bind(to: statement, at: index)
        case .flag(let flag): Int64(flag ? 1 : 0).bind(to: statement, at: index)
        case .text(let text): bindText(text, to: statement, at: index)
        case .bytes(let bytes): bytes.bind(to: statement, at: index)
        }
    }
}
