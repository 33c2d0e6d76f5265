// Stores the ends of attempts: states, results and counters of a group in one transaction.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// One transaction and one sync of the disk for the whole group.
    public func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> FinishReport {
        guard !completions.isEmpty else { return FinishReport(finished: 0, stale: [], closedBatches: []) }
        return try write { db in
            var report = FinishReport(finished: 0, stale: [], closedBatches: [])
            var tallies = BatchTallies()
            for completion in completions {
                let isCurrent = try tallies.update(completion.ticket.batch, db) { tally in
                    let sequence = tally.nextSequence
                    guard try db.end(completion, incarnation: incarnation, sequence: sequence, at: now) else {
                        return false
                    }
                    tally.add(completion)
                    return true
                }
                if try isCurrent || db.hasEnded(completion, incarnation: incarnation) {
                    report.finished += 1
                } else {
                    report.stale.append(completion.ticket)
                }
            }
            report.closedBatches = try tallies.write(db, at: now)
            return report
        }
    }
}

extension Database {
    /// Whether this attempt has ended its job so already.
    fileprivate func hasEnded(_ completion: JobCompletion, incarnation: Incarnation) throws -> Bool {
        try number(
            "SELECT count(*) FROM jobs WHERE id = ? AND incarnation = ? AND attempt = ? AND state = ?",
            completion.ticket.job, incarnation, completion.ticket.attempt, completion.outcome.state) == 1
    }

    /// Ends a job if this attempt still has it. Returns whether it did.
    fileprivate func end(
        _ completion: JobCompletion, incarnation: Incarnation, sequence: Int64, at now: Milliseconds
    ) throws -> Bool {
        let ticket = completion.ticket
        let timings = completion.timings
        let changed = try run(
            """
            UPDATE jobs SET
                state = ?, finished_ms = ?, finish_seq = ?, prompt_tokens = ?, cached_tokens = ?, completion_tokens = ?,
                queued_ms = ?, prefill_ms = ?, decode_ms = ?, total_ms = ?
            WHERE id = ? AND batch_id = ? AND state = 'running' AND incarnation = ? AND attempt = ?
            """,
            completion.outcome.state, now, sequence, completion.usage.promptTokens, completion.usage.cachedTokens,
            completion.usage.completionTokens,
            timings?.queuedMS, timings?.prefillMS, timings?.decodeMS, timings?.totalMS,
            ticket.job, ticket.batch, incarnation, ticket.attempt)
        guard changed == 1 else { return false }
        switch completion.outcome {
        case .succeeded(let generation): try insertGeneration(generation, of: ticket.job)
        case .failed(let error): try insertError(error, of: ticket.job)
        case .expired: break
        }
        return true
    }

    private func insertGeneration(_ generation: Generation, of job: JobID) throws {
        try run(
            """
            INSERT INTO job_results (
                further_choices, text, reasoning, tool_calls, unread, scores, confidence, finish_reason,
                complete, stop_string, stop_token, prompt_token_ids, token_ids, logprobs, prompt_logprobs, seed, fingerprint, job_id)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            all: [generation.choices.count - 1] + values(of: generation.choices[0])
                + [generation.seed, generation.fingerprint, job])
        for (index, choice) in generation.choices.enumerated().dropFirst() {
            try run(
                """
                INSERT INTO job_choices (
                    choice, text, reasoning, tool_calls, unread, scores, confidence, finish_reason,
                    complete, stop_string, stop_token, prompt_token_ids, token_ids, logprobs, prompt_logprobs, job_id)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                all: [index] + values(of: choice) + [job])
        }
    }

    /// A choice's columns, from its text on.
    private func values(of choice: Choice) -> [any SQLValue] {
        var stop: (string: String?, token: Int64?)
        switch choice.stopReason {
        case .string(let string): stop.string = string
        case .token(let token): stop.token = Int64(token)
        case nil: break
        }
        return [
            choice.text, choice.reasoning, choice.toolCalls, choice.unread, choice.scores, choice.confidence,
            choice.finishReason,
            choice.isComplete.map { $0 ? 1 : 0 }, stop.string, stop.token,
            choice.promptTokenIDs.map(tokenBytes), choice.tokenIDs.map(tokenBytes), choice.logprobs?.encoded,
            choice.promptLogprobs?.encoded,
        ]
    }
}
