// Stores the ends of attempts.

import PostgresClient
public import Runtime
import Sampling
public import StoreContract

extension PostgresJobStore {
    /// One transaction for the whole group. It may be repeated: what this life has finished at the same attempt is finished.
    public func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> FinishReport {
        guard !completions.isEmpty else { return FinishReport(finished: 0, stale: [], closedBatches: []) }
        return try self.completions.use { connection in
            try connection.transaction { try $0.finish(completions, incarnation: incarnation, at: now) }
        }
    }
}

extension PostgresConnection {
    fileprivate mutating func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws -> FinishReport {
        var report = FinishReport(finished: 0, stale: [], closedBatches: [])
        let groups = Dictionary(grouping: completions, by: \.ticket.batch).sorted { $0.key < $1.key }
        for (batch, completions) in groups {
            guard var counters = try LockedCounters(batch, &self) else {
                report.stale += completions.map(\.ticket)
                continue
            }
            let before = try leases(of: batch, incarnation: incarnation, isLocked: true)
            var leases = before
            for completion in completions {
                let ticket = completion.ticket
                guard let index = leases.firstIndex(where: { $0.holds(ticket) }) else {
                    if try hasEnded(completion, incarnation) {
                        report.finished += 1
                    } else {
                        report.stale.append(ticket)
                    }
                    continue
                }
                leases[index].drop(ticket.job.line)
                try insert(completion, incarnation, sequence: counters.nextSequence, at: now)
                counters.add(completion)
                report.finished += 1
            }
            try write(leases, before: before)
            if counters.hasSuccess { try forgetModelTrouble(batch, of: incarnation) }
            if try counters.write(&self, at: now) { report.closedBatches.append(batch) }
        }
        return report
    }

    /// Whether this attempt has stored its result, and did not hear of it.
    private mutating func hasEnded(_ completion: JobCompletion, _ incarnation: Incarnation) throws -> Bool {
        let ticket = completion.ticket
        return try number(
            """
            SELECT count(*) FROM results WHERE batch_id = $1 AND line = $2 AND incarnation = $3 AND attempt = $4
              AND state = $5
            """, ticket.batch, ticket.job.line, incarnation, ticket.attempt, completion.outcome.state) == 1
    }

    private mutating func insert(
        _ completion: JobCompletion, _ incarnation: Incarnation, sequence: Int64, at now: Milliseconds
    ) throws {
        let (ticket, usage, timings) = (completion.ticket, completion.usage, completion.timings)
        var (error, generation): (JobError?, Generation?)
        switch completion.outcome {
        case .succeeded(let found): generation = found
        case .failed(let found): error = found
        case .expired: break
        }
        try run(
            """
            INSERT INTO results (batch_id, line, finish_seq, state, incarnation, attempt, finished_ms, prompt_tokens,
                cached_tokens, completion_tokens, queued_ms, prefill_ms, decode_ms, total_ms, error_code, error_message,
                error_status, error_param, seed, fingerprint, choices)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
            """,
            ticket.batch, ticket.job.line, sequence, completion.outcome.state, incarnation, ticket.attempt, now,
            usage.promptTokens, usage.cachedTokens, usage.completionTokens, timings?.queuedMS, timings?.prefillMS,
            timings?.decodeMS, timings?.totalMS, error?.code.stored, error?.message.stored, error?.status,
            error?.param?.stored, generation?.seed, generation?.fingerprint?.stored, generation?.choices.count ?? 0)
        for (index, choice) in (generation?.choices ?? []).enumerated() { try insert(choice, index, of: ticket) }
    }

    private mutating func insert(_ choice: Choice, _ index: Int, of ticket: ClaimTicket) throws {
        var stop: (string: String?, token: Int64?)
        switch choice.stopReason {
        case .string(let string): stop.string = string
        case .token(let token): stop.token = Int64(token)
        case nil: break
        }
        try run(
            """
            INSERT INTO choices (batch_id, line, choice, text, reasoning, tool_calls, unread, scores, confidence,
                finish_reason, complete, stop_string, stop_token, prompt_token_ids, token_ids, logprobs, prompt_logprobs)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
            """,
            ticket.batch, ticket.job.line, index, choice.text.stored, choice.reasoning?.stored,
            choice.toolCalls?.stored,
            choice.unread?.stored, choice.scores?.stored, choice.confidence?.stored, choice.finishReason.stored,
            choice.isComplete, stop.string?.stored, stop.token, choice.promptTokenIDs.map(tokenBytes),
            choice.tokenIDs.map(tokenBytes), choice.logprobs?.encoded, choice.promptLogprobs?.encoded)
    }

    /// Stores the error of an attempt that is the last.
    mutating func insertError(
        _ error: JobError, of ticket: ClaimTicket, _ incarnation: Incarnation, sequence: Int64, at now: Milliseconds
    ) throws {
        try run(
            """
            INSERT INTO results (batch_id, line, finish_seq, state, incarnation, attempt, finished_ms, error_code,
                error_message, error_status, error_param)
            VALUES ($1, $2, $3, 'failed', $4, $5, $6, $7, $8, $9, $10)
            """,
            ticket.batch, ticket.job.line, sequence, incarnation, ticket.attempt, now, error.code.stored,
            error.message.stored, error.status, error.param?.stored)
    }
}
