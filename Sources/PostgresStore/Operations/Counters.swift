// The hot row of a batch: whoever changes its jobs locks it first, and writes it last.

import PostgresClient
import Runtime
import StoreContract

/// A batch's counters, locked until the end of the transaction, and what the transaction changes of them.
///
/// The number of ended jobs also gives the next `finish_seq`: whoever reads in the order of completion misses nothing, since the
/// lock is held to the commit.
struct LockedCounters {
    let batch: BatchID
    let status: BatchStatus
    let readyBefore: Int64
    let finishedBefore: Int64
    let total: Int64
    private var tally = EndTally()
    /// The change in the number of jobs that can be claimed now.
    var ready: Int64 = 0

    /// Locks the row; nil if there is no such batch.
    init?(_ batch: BatchID, _ db: inout PostgresConnection) throws {
        let found = try db.row(Self.lockSQL, batch) { Self(batch, $0) }
        guard let found else { return nil }
        self = found
    }

    /// The statement that locks the row; `$1`: the batch.
    static let lockSQL = """
        SELECT status, ready, succeeded + failed + cancelled + expired, total
        FROM counters WHERE batch_id = $1 FOR UPDATE
        """

    /// What that statement has found.
    init(_ batch: BatchID, _ row: PostgresRow) {
        self.batch = batch
        (status, readyBefore) = (row.status(0), row.int64(1))
        (finishedBefore, total) = (row.int64(2), row.int64(3))
    }

    /// The `finish_seq` of the next job that ends.
    var nextSequence: Int64 { finishedBefore + tally.count + 1 }

    /// Whether a job has succeeded.
    var hasSuccess: Bool { tally.ended[.succeeded, default: 0] > 0 }

    mutating func add(_ state: JobState, jobs: Int64 = 1) { tally.add(state, jobs: jobs) }

    mutating func add(_ completion: JobCompletion) { tally.add(completion) }

    /// Writes the changes, and ends the batch if no unfinished job is left. Returns whether it ended.
    ///
    /// Nobody waits for the server here: what this returns is known from the locked row.
    func write(_ db: inout PostgresConnection, at now: Milliseconds) throws -> Bool {
        let (ended, usage, timings) = (tally.ended, tally.usage, tally.timings)
        if !ended.isEmpty || ready != 0 {
            try db.runLater(
                """
                UPDATE counters SET
                    succeeded = succeeded + $2, failed = failed + $3, cancelled = cancelled + $4, expired = expired + $5,
                    prompt_tokens = prompt_tokens + $6, cached_tokens = cached_tokens + $7,
                    completion_tokens = completion_tokens + $8, timed_jobs = timed_jobs + $9,
                    queued_ms = queued_ms + $10, prefill_ms = prefill_ms + $11, decode_ms = decode_ms + $12,
                    total_ms = total_ms + $13, ready = ready + $14
                WHERE batch_id = $1
                """,
                batch, ended[.succeeded] ?? 0, ended[.failed] ?? 0, ended[.cancelled] ?? 0, ended[.expired] ?? 0,
                usage.promptTokens, usage.cachedTokens, usage.completionTokens, tally.timedJobs, timings.queuedMS,
                timings.prefillMS, timings.decodeMS, timings.totalMS, ready)
        }
        guard finishedBefore + tally.count == total else { return false }
        try db.runLater(Self.closeSQL, batch, now)
        try db.runLater(
            """
            DELETE FROM open_batches o USING counters c
            WHERE o.batch_id = $1 AND c.batch_id = o.batch_id AND c.finished_ms IS NOT NULL
            """, batch)
        try db.runLater("DELETE FROM segments WHERE batch_id = $1", batch)
        return status == .inProgress || status == .cancelling
    }

    /// Ends a batch without unfinished jobs: as `cancelled` if it was being cancelled, as `expired` if a job expired,
    /// else as `completed`.
    static func closeIfDone(_ batch: BatchID, _ db: inout PostgresConnection, at now: Milliseconds) throws -> Bool {
        guard try db.run(closeSQL, batch, now) == 1 else { return false }
        try db.runLater("DELETE FROM segments WHERE batch_id = $1", batch)
        try db.run("DELETE FROM open_batches WHERE batch_id = $1", batch)
        return true
    }

    private static let closeSQL = """
        UPDATE counters
        SET finished_ms = $2, status = CASE
            WHEN status = 'cancelling' THEN 'cancelled' WHEN expired > 0 THEN 'expired' ELSE 'completed' END
        WHERE batch_id = $1 AND status IN ('in_progress', 'cancelling')
          AND succeeded + failed + cancelled + expired = total
        """
}

extension PostgresConnection {
    mutating func batchStatus(_ batch: BatchID) throws -> BatchStatus? {
        try row("SELECT status FROM counters WHERE batch_id = $1", batch) { $0.status(0) }
    }

    /// Throws unless the batch exists and has not ended.
    mutating func checkOpen(_ batch: BatchID) throws {
        guard let status = try batchStatus(batch) else { throw JobStoreError.batchNotFound(batch) }
        guard status != .validating else { throw JobStoreError.batchIsDraft(batch) }
        guard !status.isTerminal else { throw JobStoreError.batchAlreadyFinished(batch, status) }
    }

    /// The turn at which a batch joins the others of its priority: the lowest of theirs.
    mutating func nextTurn(_ priority: BatchPriority) throws -> Int64 {
        try number(
            """
            SELECT coalesce(min(c.turn), 0) FROM open_batches o JOIN counters c USING (batch_id) JOIN batches b ON b.id = c.batch_id
            WHERE \(claimableCondition) AND b.priority = $1 AND NOT c.urgent
            """, priority)
    }

    /// Says that a person has done something: daemons that listen look at once.
    mutating func tellChange() throws {
        try runLater("UPDATE meta SET changes = changes + 1")
        try row("SELECT pg_notify('ttbatch', '')") { _ in }
    }
}

/// What makes a batch claimable, of `counters c` and `batches b`.
let claimableCondition = "c.status = 'in_progress' AND b.paused_ms IS NULL AND c.ready > 0"
