// One page of results after a place in an index. No transaction stays open between pages.

import GRDB
import Sampling
public import StoreContract

extension SQLiteJobStore {
    /// One short read transaction along an index.
    public func results(
        _ query: ResultQuery, after position: Int64, limit: Int
    ) throws(JobStoreError) -> [JobResult] {
        try read { db in
            guard let status = try db.batchStatus(query.batch) else { throw JobStoreError.batchNotFound(query.batch) }
            guard status != .validating else { throw JobStoreError.batchIsDraft(query.batch) }
            // The results of a page are read before further choices: one statement runs at a time.
            var results = try db.rows(Database.resultsSQL(query), query.batch, position, limit, read: db.jobResult)
            for index in results.indices where results[index].furtherChoices > 0 {
                try db.addFurtherChoices(to: &results[index].result)
            }
            return results.map(\.result)
        }
    }

    /// Finds the line of the job, and reads it as a page of one.
    public func result(of customID: String, in batch: BatchID) throws(JobStoreError) -> JobResult? {
        let line = try read { db in
            try db.row("SELECT line FROM jobs WHERE batch_id = ? AND custom_id = ? AND rejected = 0", batch, customID) {
                $0.int64(0)
            }
        }
        let query = ResultQuery(batch: batch, states: Set(JobState.allCases))
        // A batch that is no more is named even if the job is not found.
        let page = try results(query, after: (line ?? .max) - 1, limit: 1)
        return page.first { $0.line == line }
    }

    /// One index lookup for each place; the texts are not read.
    public func sampleOfJobs(of batch: BatchID, limit: Int) throws(JobStoreError) -> [SampledJob] {
        let finished = try self.batch(batch).counts.finished
        let places = SampledJob.places(of: finished, limit: limit)
        return try read { db in
            try places.compactMap { place in
                try db.row(Database.sampledJobSQL, batch, place) { row in
                    SampledJob(
                        finishSequence: place, state: try row.word(0),
                        usage: TokenUsage(
                            promptTokens: row.int(1), cachedTokens: row.int(2), completionTokens: row.int(3)),
                        timings: JobTimings(
                            queuedMS: row.int64(4), prefillMS: row.int64(5), decodeMS: row.int64(6),
                            totalMS: row.int64(7)))
                }
            }
        }
    }

    /// One lookup by key.
    public func requestBody(of job: JobID) throws(JobStoreError) -> [UInt8]? {
        try read { try $0.row("SELECT body FROM job_bodies WHERE job_id = ?", job) { $0.bytes(0) } }
    }
}

extension Database {
    /// The job at a place of the order of completion, if it ran. A test checks the plan.
    static let sampledJobSQL = """
        SELECT state, prompt_tokens, cached_tokens, completion_tokens, queued_ms, prefill_ms, decode_ms, total_ms
        FROM jobs WHERE batch_id = ? AND finish_seq = ? AND total_ms IS NOT NULL
        """

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
                j.cached_tokens, b.model_name, r.error_code, r.error_message, r.error_status, r.error_param,
                r.further_choices, r.seed, r.fingerprint, \(choiceColumns("r"))
            FROM jobs j
            LEFT JOIN job_bodies b ON b.job_id = j.id
            LEFT JOIN job_results r ON r.job_id = j.id
            WHERE j.batch_id = ? AND \(place) > ? AND \(condition)
            ORDER BY \(place) LIMIT ?
            """
    }

    /// The columns of a choice that table `name` has.
    private static func choiceColumns(_ name: String) -> String {
        [
            "text", "reasoning", "tool_calls", "unread", "scores", "confidence", "finish_reason", "complete",
            "stop_string", "stop_token",
            "prompt_token_ids", "token_ids", "logprobs", "prompt_logprobs",
        ].map { "\(name).\($0)" }.joined(separator: ", ")
    }

    /// The choice in a row whose columns for it begin with `first`.
    private func choice(_ row: SQLRow, from first: Int32) throws -> Choice {
        func logprobs(_ column: Int32) throws -> [ScoredPosition]? {
            guard let bytes = row.optionalBytes(column) else { return nil }
            guard let positions = [ScoredPosition](encoded: bytes) else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "logprobs that cannot be read")
            }
            return positions
        }
        return Choice(
            text: row.text(first), reasoning: row.optionalText(first + 1), toolCalls: row.optionalText(first + 2),
            confidence: row.optionalText(first + 5), scores: row.optionalText(first + 4),
            unread: row.optionalText(first + 3), finishReason: row.text(first + 6),
            isComplete: row.optionalInt64(first + 7).map { $0 != 0 },
            stopReason: row.optionalText(first + 8).map { .string($0) }
                ?? row.optionalInt64(first + 9).map { .token(Int32(truncatingIfNeeded: $0)) },
            promptTokenIDs: row.optionalBytes(first + 10).map(tokenIDs),
            tokenIDs: row.optionalBytes(first + 11).map(tokenIDs), logprobs: try logprobs(first + 12),
            promptLogprobs: try logprobs(first + 13))
    }

    fileprivate func addFurtherChoices(to result: inout JobResult) throws {
        guard case .succeeded(var generation) = result.outcome else { return }
        generation.choices += try rows(
            "SELECT \(Self.choiceColumns("c")) FROM job_choices c WHERE c.job_id = ? ORDER BY c.choice", result.id
        ) { try choice($0, from: 0) }
        result.outcome = .succeeded(generation)
    }

    fileprivate func jobResult(_ row: SQLRow) throws -> (result: JobResult, furtherChoices: Int) {
        let state: JobState = try row.word(5)
        let timings = row.optionalInt64(9).map {
            JobTimings(queuedMS: $0, prefillMS: row.int64(10), decodeMS: row.int64(11), totalMS: row.int64(12))
        }
        let result = JobResult(
            id: row.id(0), batch: row.id(1), line: row.int64(2), customID: row.optionalText(3),
            endpoint: row.optionalText(4), modelName: row.optionalText(17), state: state, attempt: row.int(6),
            outcome: try outcome(state, row),
            usage: TokenUsage(promptTokens: row.int(7), cachedTokens: row.int(16), completionTokens: row.int(8)),
            timings: timings,
            created: row.id(13), finished: row.optionalID(14), finishSequence: row.optionalInt64(15))
        return (result, state == .succeeded ? row.int(22) : 0)
    }

    private func outcome(_ state: JobState, _ row: SQLRow) throws -> JobResult.Outcome {
        switch state {
        case .pending, .running: .unfinished
        case .cancelled: .cancelled
        case .expired: .expired
        case .failed:
            .failed(
                JobError(code: row.text(18), message: row.text(19), status: row.int(20), param: row.optionalText(21)))
        case .succeeded:
            .succeeded(
                Generation(
                    [try choice(row, from: 25)], seed: row.optionalInt64(23), fingerprint: row.optionalText(24)))
        }
    }
}
