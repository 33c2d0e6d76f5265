// One page of results after a place in an index. No transaction stays open between pages.

import PostgresClient
import Sampling
public import StoreContract

extension PostgresJobStore {
    /// One statement along an index, and one for the texts.
    public func results(
        _ query: ResultQuery, after position: Int64, limit: Int
    ) throws(JobStoreError) -> [JobResult] {
        try read { db in
            guard let status = try db.batchStatus(query.batch) else { throw JobStoreError.batchNotFound(query.batch) }
            guard status != .validating else { throw JobStoreError.batchIsDraft(query.batch) }
            let page = try db.page(query, after: position, limit: limit)
            let choices = try db.choices(
                of: page.filter { $0.result.state == .succeeded }.map(\.result.line), query.batch)
            return page.map { $0.result(with: choices[$0.result.line] ?? []) }
        }
    }

    /// Finds the line of the job, and reads it as a page of one.
    public func result(of customID: String, in batch: BatchID) throws(JobStoreError) -> JobResult? {
        let line = try read { db in
            try db.row(
                "SELECT line FROM jobs WHERE batch_id = $1 AND custom_id = $2 AND claim_rank IS NOT NULL", batch,
                customID.stored
            ) { $0.int64(0) }
        }
        let query = ResultQuery(batch: batch, states: Set(JobState.allCases))
        // A batch that is no more is named even if the job is not found.
        let page = try results(query, after: (line ?? .max) - 1, limit: 1)
        return page.first { $0.line == line }
    }

    /// The places are looked up in the index of the order of completion; the texts are not read.
    public func sampleOfJobs(of batch: BatchID, limit: Int) throws(JobStoreError) -> [SampledJob] {
        let finished = try self.batch(batch).counts.finished
        let places = SampledJob.places(of: finished, limit: limit)
        return try read { db in
            try db.rows(
                """
                SELECT finish_seq, state, prompt_tokens, cached_tokens, completion_tokens, queued_ms, prefill_ms, decode_ms,
                    total_ms
                FROM results WHERE batch_id = $1 AND finish_seq = ANY($2) AND total_ms IS NOT NULL ORDER BY finish_seq
                """, batch, PostgresArray(places)
            ) { row in
                SampledJob(
                    finishSequence: row.int64(0), state: row.state(1),
                    usage: TokenUsage(
                        promptTokens: row.int(2), cachedTokens: row.int(3), completionTokens: row.int(4)),
                    timings: JobTimings(
                        queuedMS: row.int64(5), prefillMS: row.int64(6), decodeMS: row.int64(7),
                        totalMS: row.int64(8)))
            }
        }
    }

    /// One lookup by key.
    public func requestBody(of job: JobID) throws(JobStoreError) -> [UInt8]? {
        try read { db in
            try db.row("SELECT body FROM jobs WHERE batch_id = $1 AND line = $2", job.batch, job.line) {
                $0.optionalBytes(0)
            } ?? nil
        }
    }
}

extension PostgresConnection {
    /// A page of results without their texts.
    fileprivate mutating func page(
        _ query: ResultQuery, after position: Int64, limit: Int
    ) throws -> [ResultHead] {
        let columns = """
            j.batch_id, j.line, j.custom_id, j.endpoint, r.attempt, r.prompt_tokens, r.completion_tokens, r.queued_ms,
            r.prefill_ms, r.decode_ms, r.total_ms, j.created_ms, r.finished_ms, r.finish_seq, r.cached_tokens, j.model_name,
            r.error_code, r.error_message, r.error_status, r.error_param, r.seed, r.fingerprint
            """
        let states = PostgresArray(query.states.map(\.rawValue))
        switch query.order {
        case .completion:
            return try rows(
                """
                SELECT r.state, \(columns) FROM results r JOIN jobs j USING (batch_id, line)
                WHERE r.batch_id = $1 AND r.finish_seq > $2 AND r.state = ANY($3) ORDER BY r.finish_seq LIMIT $4
                """, query.batch, position, states, limit, read: Self.resultHead)
        case .input where query.states.isSubset(of: JobState.terminal):
            return try rows(
                """
                SELECT r.state, \(columns) FROM results r JOIN jobs j USING (batch_id, line)
                WHERE r.batch_id = $1 AND r.line > $2 AND r.state = ANY($3) ORDER BY r.line LIMIT $4
                """, query.batch, position, states, limit, read: Self.resultHead)
        case .input:
            let unfinished = columns.replacing("r.attempt", with: "coalesce(r.attempt, l.attempt, t.attempt, 0)")
                .replacing("r.prompt_tokens", with: "coalesce(r.prompt_tokens, 0)")
                .replacing("r.completion_tokens", with: "coalesce(r.completion_tokens, 0)")
                .replacing("r.cached_tokens", with: "coalesce(r.cached_tokens, 0)")
            return try rows(
                """
                SELECT coalesce(r.state, CASE WHEN l.attempt IS NULL THEN 'pending' ELSE 'running' END), \(unfinished)
                FROM jobs j LEFT JOIN results r ON r.batch_id = j.batch_id AND r.line = j.line
                LEFT JOIN LATERAL (
                    SELECT attempt FROM leases WHERE batch_id = j.batch_id AND j.line = ANY(lines) LIMIT 1
                ) l ON r.line IS NULL
                LEFT JOIN returned t ON t.batch_id = j.batch_id AND t.line = j.line AND r.line IS NULL
                WHERE j.batch_id = $1 AND j.line > $2
                  AND coalesce(r.state, CASE WHEN l.attempt IS NULL THEN 'pending' ELSE 'running' END) = ANY($3)
                ORDER BY j.line LIMIT $4
                """, query.batch, position, states, limit, read: Self.resultHead)
        }
    }

    private static func resultHead(_ row: PostgresRow) -> ResultHead {
        let state = row.state(0)
        let timings = row.optionalInt64(8).map {
            JobTimings(queuedMS: $0, prefillMS: row.int64(9), decodeMS: row.int64(10), totalMS: row.int64(11))
        }
        let outcome: JobResult.Outcome =
            switch state {
            // The texts of one that succeeded come later.
            case .pending, .running, .succeeded: .unfinished
            case .cancelled: .cancelled
            case .expired: .expired
            case .failed:
                .failed(
                    JobError(
                        code: row.text(17), message: row.text(18), status: row.int(19), param: row.optionalText(20)))
            }
        let batch: BatchID = row.id(1)
        let result = JobResult(
            id: JobID(batch, line: row.int64(2)), batch: batch, line: row.int64(2), customID: row.optionalText(3),
            endpoint: row.optionalText(4), modelName: row.optionalText(16), state: state, attempt: row.int(5),
            outcome: outcome,
            usage: TokenUsage(promptTokens: row.int(6), cachedTokens: row.int(15), completionTokens: row.int(7)),
            timings: timings, created: row.id(12), finished: row.optionalID(13),
            finishSequence: row.optionalInt64(14))
        return ResultHead(result: result, seed: row.optionalInt64(21), fingerprint: row.optionalText(22))
    }

    /// The texts of jobs, by line.
    fileprivate mutating func choices(of lines: [Int64], _ batch: BatchID) throws -> [Int64: [Choice]] {
        guard !lines.isEmpty else { return [:] }
        let choices = try rows(
            """
            SELECT line, text, reasoning, tool_calls, unread, scores, confidence, finish_reason, complete, stop_string,
                stop_token, prompt_token_ids, token_ids, logprobs, prompt_logprobs
            FROM choices WHERE batch_id = $1 AND line = ANY($2) ORDER BY line, choice
            """, batch, PostgresArray(lines)
        ) { (line: $0.int64(0), choice: Self.choice($0)) }
        return Dictionary(grouping: choices, by: \.line).mapValues { $0.map(\.choice) }
    }

    private static func choice(_ row: PostgresRow) -> Choice {
        Choice(
            text: row.text(1), reasoning: row.optionalText(2), toolCalls: row.optionalText(3),
            confidence: row.optionalText(6), scores: row.optionalText(5), unread: row.optionalText(4),
            finishReason: row.text(7), isComplete: row.isNull(8) ? nil : row.bool(8),
            stopReason: row.optionalText(9).map { .string($0) }
                ?? row.optionalInt64(10).map { .token(Int32(truncatingIfNeeded: $0)) },
            promptTokenIDs: row.optionalBytes(11).map(tokenIDs), tokenIDs: row.optionalBytes(12).map(tokenIDs),
            logprobs: row.optionalBytes(13).flatMap { [ScoredPosition](encoded: $0) },
            promptLogprobs: row.optionalBytes(14).flatMap { [ScoredPosition](encoded: $0) })
    }
}

/// A result without its texts.
private struct ResultHead {
    var result: JobResult
    let seed: Int64?
    let fingerprint: String?

    func result(with choices: [Choice]) -> JobResult {
        guard result.state == .succeeded else { return result }
        var whole = result
        whole.outcome = .succeeded(Generation(choices, seed: seed, fingerprint: fingerprint))
        return whole
    }
}
