// The counters in a batch's row: how they change with its jobs, and when a batch has ended.

import GRDB
import Runtime
import StoreContract

/// The changes of one transaction to the counters of a batch.
///
/// The number of ended jobs also gives the next `finish_seq`, so the order of completion needs no other counter.
struct BatchTally {
    let batch: BatchID
    private let finishedBefore: Int64
    private var tally = EndTally()
    /// The change in the number of jobs that can be claimed now.
    var ready: Int64 = 0

    init(_ batch: BatchID, _ db: Database) throws {
        self.batch = batch
        self.finishedBefore = try db.number(
            "SELECT succeeded + failed + cancelled + expired FROM batches WHERE id = ?", batch)
    }

    /// The `finish_seq` of the next job that ends.
    var nextSequence: Int64 { finishedBefore + tally.count + 1 }

    mutating func add(_ state: JobState, jobs: Int64 = 1) { tally.add(state, jobs: jobs) }

    mutating func add(_ completion: JobCompletion) { tally.add(completion) }

    /// Writes the counters, and ends the batch if no unfinished job is left. Returns whether it ended.
    func write(_ db: Database, at now: Milliseconds) throws -> Bool {
        let (ended, usage, timings) = (tally.ended, tally.usage, tally.timings)
        guard !ended.isEmpty || ready != 0 else { return false }
        try db.run(
            """
            UPDATE batches SET
                succeeded = succeeded + ?, failed = failed + ?, cancelled = cancelled + ?, expired = expired + ?,
                prompt_tokens = prompt_tokens + ?, cached_tokens = cached_tokens + ?,
                completion_tokens = completion_tokens + ?,
                timed_jobs = timed_jobs + ?, queued_ms = queued_ms + ?, prefill_ms = prefill_ms + ?,
                decode_ms = decode_ms + ?, total_ms = total_ms + ?, ready = ready + ?
            WHERE id = ?
            """,
            ended[.succeeded] ?? 0, ended[.failed] ?? 0, ended[.cancelled] ?? 0, ended[.expired] ?? 0,
            usage.promptTokens, usage.cachedTokens, usage.completionTokens,
            tally.timedJobs, timings.queuedMS, timings.prefillMS, timings.decodeMS, timings.totalMS, ready,
            batch)
        if ended[.succeeded, default: 0] > 0 { try db.forgetModelTrouble(batch) }
        return try Self.closeIfDone(batch, db, at: now)
    }

    /// Ends a batch without unfinished jobs: as `cancelled` if it was being cancelled, as `expired` if a job expired,
    /// else as `completed`.
    static func closeIfDone(_ batch: BatchID, _ db: Database, at now: Milliseconds) throws -> Bool {
        try db.run(
            """
            UPDATE batches
            SET finished_ms = ?, status = CASE
                WHEN status = 'cancelling' THEN 'cancelled' WHEN expired > 0 THEN 'expired' ELSE 'completed' END
            WHERE id = ? AND status IN ('in_progress', 'cancelling')
              AND succeeded + failed + cancelled + expired = total
            """, now, batch) == 1
    }
}

/// The tallies of one transaction that changes several batches.
struct BatchTallies {
    private var tallies: [BatchID: BatchTally] = [:]

    /// Changes the tally of a batch; reads its counters at the first change.
    mutating func update<T>(_ batch: BatchID, _ db: Database, _ change: (inout BatchTally) throws -> T) throws -> T {
        if tallies[batch] == nil {
            tallies[batch] = try BatchTally(batch, db)
        }
        return try change(&tallies[batch]!)
    }

    /// Writes all tallies; returns the batches that ended.
    func write(_ db: Database, at now: Milliseconds) throws -> [BatchID] {
        try tallies.values.sorted { $0.batch < $1.batch }.filter { try $0.write(db, at: now) }.map(\.batch)
    }
}
