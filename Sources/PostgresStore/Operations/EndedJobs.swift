// The results of jobs that end together: a statement for all of them, and one for all of their texts.

import PostgresClient
import Runtime
import StoreContract

/// A job of a batch, whose counters are locked, that ends now.
struct EndedJob {
    let completion: JobCompletion
    /// Its `finish_seq`.
    let sequence: Int64

    fileprivate var ticket: ClaimTicket { completion.ticket }
    fileprivate var generation: Generation? {
        if case .succeeded(let generation) = completion.outcome { generation } else { nil }
    }
    fileprivate var error: JobError? { if case .failed(let error) = completion.outcome { error } else { nil } }
}

extension PostgresConnection {
    /// Stores results, each column as an array. Nobody waits for it.
    ///
    /// - Parameter incarnation: the life that ends them; nil: they were never claimed.
    mutating func insert(
        _ ended: [EndedJob], incarnation: Incarnation?, at now: Milliseconds
    ) throws {
        guard let batch = ended.first?.ticket.batch else { return }
        func column<Value: PostgresElement>(_ value: (EndedJob) -> Value) -> PostgresArray<Value> {
            PostgresArray(ended.map(value))
        }
        try runLater(
            """
            INSERT INTO results (batch_id, incarnation, finished_ms, line, finish_seq, state, attempt, prompt_tokens,
                cached_tokens, completion_tokens, queued_ms, prefill_ms, decode_ms, total_ms, error_code, error_message,
                error_status, error_param, seed, fingerprint, choices)
            SELECT $1, $2, $3, * FROM
                unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
            """,
            batch, incarnation, now, column(\.ticket.job.line), column(\.sequence),
            column(\.completion.outcome.state.rawValue), column { Int64($0.ticket.attempt) },
            column { Int64($0.completion.usage.promptTokens) }, column { Int64($0.completion.usage.cachedTokens) },
            column { Int64($0.completion.usage.completionTokens) }, column(\.completion.timings?.queuedMS),
            column(\.completion.timings?.prefillMS), column(\.completion.timings?.decodeMS),
            column(\.completion.timings?.totalMS), column(\.error?.code.stored), column(\.error?.message.stored),
            column { $0.error.map { Int64($0.status) } }, column(\.error?.param?.stored),
            column(\.generation?.seed), column(\.generation?.fingerprint?.stored),
            column { Int64($0.generation?.choices.count ?? 0) })
        try insertChoices(
            of: ended.flatMap { job in
                (job.generation?.choices ?? []).enumerated().map { (job.ticket.job.line, Int64($0.offset), $0.element) }
            }, in: batch)
    }

    private mutating func insertChoices(
        of choices: [(line: Int64, index: Int64, choice: Choice)], in batch: BatchID
    ) throws {
        guard !choices.isEmpty else { return }
        func column<Value: PostgresElement>(_ value: (Choice) -> Value) -> PostgresArray<Value> {
            PostgresArray(choices.map { value($0.choice) })
        }
        try runLater(
            """
            INSERT INTO choices (batch_id, line, choice, text, reasoning, tool_calls, unread, scores, confidence,
                finish_reason, complete, stop_string, stop_token, prompt_token_ids, token_ids, logprobs, prompt_logprobs)
            SELECT $1, * FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
            """,
            batch, PostgresArray(choices.map(\.line)), PostgresArray(choices.map(\.index)), column(\.text.stored),
            column(\.reasoning?.stored), column(\.toolCalls?.stored), column(\.unread?.stored),
            column(\.scores?.stored), column(\.confidence?.stored), column(\.finishReason.stored),
            column(\.isComplete), column(\.stopString?.stored), column(\.stopToken),
            column { $0.promptTokenIDs.map(tokenBytes) }, column { $0.tokenIDs.map(tokenBytes) },
            column(\.logprobs?.encoded), column(\.promptLogprobs?.encoded))
    }
}

extension Choice {
    fileprivate var stopString: String? { if case .string(let string) = stopReason { string } else { nil } }
    fileprivate var stopToken: Int64? { if case .token(let token) = stopReason { Int64(token) } else { nil } }
}
