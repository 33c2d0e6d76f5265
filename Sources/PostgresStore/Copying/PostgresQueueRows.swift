// The rows of a queue in PostgreSQL as they are copied: a cursor for each relation, which takes no memory.

import PostgresClient
import StoreContract

/// Reads within a transaction that is open.
final class PostgresQueueRows: QueueRows {
    let location: String
    private let address: PostgresAddress
    private var connection: PostgresConnection
    /// The name of the cursor for a query: what the server has prepared to fetch from it can be used again.
    private var cursors: [String: String] = [:]

    init(_ connection: consuming PostgresConnection, _ address: PostgresAddress) {
        self.connection = connection
        self.address = address
        location = "\(address)"
    }

    /// Ends the transaction, which has changed nothing.
    func end() { try? connection.execute("ROLLBACK") }

    func read(
        _ relation: CopiedRelation, _ columns: [CopiedColumn], take: ([CopiedValue]) throws(JobStoreError) -> Void
    ) throws(JobStoreError) {
        guard relation.isByBatch else { return try read(relation, columns, condition: "", take) }
        var batches: [Int64] = []
        try read(.batches, CopiedRelation.batches.columns("id"), condition: "WHERE status <> 'validating'") {
            batches.append($0[0].number ?? 0)
        }
        for batch in batches { try read(relation, columns, condition: "WHERE batch_id = \(batch)", take) }
    }

    private func read(
        _ relation: CopiedRelation, _ columns: [CopiedColumn], condition: String,
        _ take: ([CopiedValue]) throws(JobStoreError) -> Void
    ) throws(JobStoreError) {
        let query = "SELECT \(columns.list) FROM (\(relation.postgresQuery)) r"
        let order = relation.order.map { "ORDER BY \($0)" } ?? ""
        let cursor = cursors[query] ?? "copied_\(cursors.count)"
        cursors[query] = cursor
        do {
            try connection.execute("DECLARE \(cursor) NO SCROLL CURSOR FOR \(query) \(condition) \(order)")
            var failure: JobStoreError?
            var count: Int
            repeat {
                count = 0
                try connection.forEachRow("FETCH 512 FROM \(cursor)") { row in
                    count += 1
                    guard failure == nil else { return }
                    do throws(JobStoreError) { try take(row.copied(columns)) } catch { failure = error }
                }
                if let failure { throw failure }
            } while count > 0
            try connection.execute("CLOSE \(cursor)")
        } catch {
            throw JobStoreError(error, at: address)
        }
    }
}

extension CopiedRelation {
    /// A query that has the relation's columns, by their names.
    var postgresQuery: String {
        switch self {
        case .queue:
            """
            SELECT paused_ms, coalesce(pg_sequence_last_value(pg_get_serial_sequence('batches', 'id')), 0) AS last_batch,
                coalesce(pg_sequence_last_value(pg_get_serial_sequence('daemons', 'incarnation')), 0) AS last_incarnation
            FROM meta
            """
        case .incarnations: "SELECT *, incarnation AS id FROM daemons"
        case .batches:
            // A submission that was half filled is filled anew.
            """
            SELECT b.id, name, unique_name, endpoint, model, model_name, priority, deadline_ms, urgent_ms, paused_ms,
                retry_of, created_ms, prompt_ms, tenant, input_file, completion_window, metadata, submitted_ms, input_errors,
                output_file, error_file, output_expires_ms, status, turn, urgent, ready, started_ms, finished_ms,
                CASE WHEN status = 'validating' THEN 0 ELSE total END AS total,
                CASE WHEN status = 'validating' THEN 0 ELSE rejected END AS rejected, succeeded,
                CASE WHEN status = 'validating' THEN 0 ELSE failed END AS failed, cancelled, expired, prompt_tokens,
                cached_tokens, completion_tokens, timed_jobs, queued_ms, prefill_ms, decode_ms, total_ms
            FROM batches b JOIN counters c ON c.batch_id = b.id WHERE status <> 'validating' OR submitted_ms IS NOT NULL
            """
        case .jobs:
            // The next life of a host would find that the last two have died, and take their jobs for suspects.
            """
            SELECT j.batch_id, j.line, j.claim_rank, j.created_ms, coalesce(r.attempt, l.attempt, t.attempt, 0) AS attempt,
                coalesce(l.deaths, t.deaths, 0) AS deaths, coalesce(l.crashes, t.crashes, 0) AS crashes,
                coalesce(l.bad_outputs, t.bad_outputs, 0) AS bad_outputs, t.not_before_ms,
                coalesce(r.incarnation, l.incarnation) AS incarnation, l.claimed_ms, r.finished_ms, r.finish_seq,
                coalesce(r.prompt_tokens, 0) AS prompt_tokens, coalesce(r.cached_tokens, 0) AS cached_tokens,
                coalesce(r.completion_tokens, 0) AS completion_tokens, r.queued_ms, r.prefill_ms, r.decode_ms, r.total_ms,
                r.error_status, r.seed, coalesce(r.choices, 0) AS choices,
                coalesce(r.state, CASE WHEN l.attempt IS NULL THEN 'pending' ELSE 'running' END) AS state,
                j.custom_id, j.endpoint, j.model_name, r.error_code, r.error_message, r.error_param, r.fingerprint, j.body
            FROM jobs j LEFT JOIN results r ON r.batch_id = j.batch_id AND r.line = j.line
            LEFT JOIN returned t ON t.batch_id = j.batch_id AND t.line = j.line
            LEFT JOIN (
                SELECT batch_id, unnest(lines) AS line, attempt, crashes, bad_outputs, incarnation, claimed_ms,
                    CASE WHEN declared_dead_ms IS NULL AND (
                        SELECT a.stopped_ms IS NULL FROM daemons a
                        WHERE a.identity = d.identity AND a.incarnation < d.incarnation
                        ORDER BY a.incarnation DESC LIMIT 1) THEN greatest(deaths, 1) ELSE deaths END AS deaths
                FROM leases JOIN daemons d USING (incarnation)
            ) l ON l.batch_id = j.batch_id AND l.line = j.line
            """
        case .choices:
            """
            SELECT c.*, r.seed, r.fingerprint, r.choices FROM choices c
            JOIN results r ON r.batch_id = c.batch_id AND r.line = c.line
            """
        case .systems, .metrics, .files, .keys: "SELECT * FROM \(rawValue)"
        }
    }
}
