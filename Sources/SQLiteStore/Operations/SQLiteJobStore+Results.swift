// One page of results after a place in an index. No transaction stays open between pages.

import GRDB
public import StoreContract

extension SQLiteJobStore {
    /// One short read transaction along an index.
    public func results(
        _ query: ResultQuery, after position: Int64, limit: Int
    ) throws(JobStoreError) -> [JobResult] {
        try read { db in
            guard let status = try db.batchStatus(query.batch) else { throw JobStoreError.batchNotFound(query.batch) }
            guard status != .validating else { throw JobStoreError.batchIsDraft(query.batch) }
            return try db.rows(Database.resultsSQL(query), query.batch, position, limit, read: db.jobResult)
        }
    }
}

extension Database {
    /// The statement for a page. A test checks its plan.
    static func resultsSQL(_ query: ResultQuery) -> String {
        let place =
            switch query.order {
            case .input: "j.line"
            case .completion: "j.finish_seq"
            }
        // If all states of the kind are wanted, no filter beyond the order's condition is needed.
        let condition =
            switch query.order {
            case .completion where query.states.isSuperset(of: JobState.terminal): "j.finish_seq IS NOT NULL"
            case .completion: "j.finish_seq IS NOT NULL AND \(stateCondition(query.states))"
            case .input: stateCondition(query.states)
            }
        return """
            SELECT j.id, j.batch_id, j.line, j.custom_id, b.endpoint, j.state, j.attempt,
                j.prompt_tokens, j.completion_tokens, j.queued_ms, j.prefill_ms, j.decode_ms, j.total_ms,
                j.created_ms, j.finished_ms, j.finish_seq,
                r.text, r.finish_reason, r.prompt_token_ids, r.token_ids,
                r.error_code, r.error_message, r.error_status, j.cached_tokens, r.stop_string, r.stop_token,
                b.model_name, r.error_param
            FROM jobs j
            LEFT JOIN job_bodies b ON b.job_id = j.id
            LEFT JOIN job_results r ON r.job_id = j.id
            WHERE j.batch_id = ? AND \(place) > ? AND \(condition)
            ORDER BY \(place) LIMIT ?
            """
    }

    fileprivate func jobResult(_ row: SQLRow) throws -> JobResult {
        let state: JobState = try row.word(5)
        let timings = row.optionalInt64(9).map {
            JobTimings(queuedMS: $0, prefillMS: row.int64(10), decodeMS: row.int64(11), totalMS: row.int64(12))
        }
        return JobResult(
            id: row.id(0), batch: row.id(1), line: row.int64(2), customID: row.optionalText(3),
            endpoint: row.optionalText(4), modelName: row.optionalText(26), state: state, attempt: row.int(6),
            outcome: outcome(state, row),
            usage: TokenUsage(promptTokens: row.int(7), cachedTokens: row.int(23), completionTokens: row.int(8)),
            timings: timings,
            created: row.id(13), finished: row.optionalID(14), finishSequence: row.optionalInt64(15))
    }

    private func outcome(_ state: JobState, _ row: SQLRow) -> JobResult.Outcome {
        switch state {
        case .pending, .running: .unfinished
        case .cancelled: .cancelled
        case .expired: .expired
        case .failed:
            .failed(
                JobError(code: row.text(20), message: row.text(21), status: row.int(22), param: row.optionalText(27)))
        case .succeeded:
            .succeeded(
                Generation(
                    text: row.text(16), finishReason: row.text(17),
                    stopReason: row.optionalText(24).map { .string($0) }
                        ?? row.optionalInt64(25).map { .token(Int32(truncatingIfNeeded: $0)) },
                    promptTokenIDs: row.optionalBytes(18).map(tokenIDs), tokenIDs: row.optionalBytes(19).map(tokenIDs)))
        }
    }
}
