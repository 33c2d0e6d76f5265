// Cancels a batch: its leases are gone at once, and nothing of it can be stored any more; pending jobs are marked in chunks.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// One transaction stops the batch and withdraws its leases. The pending jobs follow in chunks. Meanwhile the lock of the
    /// batch's writer is held, so that nobody takes the cancellation for an abandoned one.
    public func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport {
        let isLocked = try keeping.use { try $0.tryLockWriter(of: batch) }
        defer { if isLocked { try? keeping.use { try $0.unlockWriter(of: batch) } } }
        var report = try act { db in
            guard var counters = try LockedCounters(batch, &db) else { throw JobStoreError.batchNotFound(batch) }
            let isSubmission = try db.isSubmission(batch)
            if counters.status == .validating, isSubmission {
                try db.insertSegment(of: batch)
            } else {
                try db.checkOpen(batch)
            }
            try db.run(
                "UPDATE counters SET status = 'cancelling', ready = 0 WHERE batch_id = $1", batch)
            try db.run("UPDATE batches SET submitted_ms = NULL WHERE id = $1 AND submitted_ms IS NOT NULL", batch)
            try db.run("UPDATE returned SET not_before_ms = NULL WHERE batch_id = $1", batch)
            let kept = counters.finishedBefore
            let withdrawn = try db.run(
                """
                WITH gone AS (DELETE FROM leases WHERE batch_id = $1 RETURNING attempt, incarnation, lines)
                INSERT INTO results (batch_id, line, finish_seq, state, incarnation, attempt, finished_ms)
                SELECT $1, line, $2 + row_number() OVER (ORDER BY line), 'cancelled', incarnation, attempt, $3
                FROM gone, unnest(lines) AS line
                """, batch, kept, now)
            if withdrawn > 0 { counters.add(.cancelled, jobs: Int64(withdrawn)) }
            _ = try counters.write(&db, at: now)
            try db.tellChange()
            return CancelReport(cancelled: Int64(withdrawn), keptFinished: kept)
        }
        report.cancelled += try cancelPending(batch, at: now)
        return report
    }

    /// Finds batches that are still `cancelling` although nobody holds their lock, and marks their pending jobs in chunks.
    public func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID] {
        var completed: [BatchID] = []
        for batch in try read({ try $0.batchIDs(.cancelling) }) {
            guard try keeping.use({ try $0.tryLockWriter(of: batch) }) else { continue }
            defer { try? keeping.use { try $0.unlockWriter(of: batch) } }
            _ = try cancelPending(batch, at: now)
            completed.append(batch)
        }
        return completed
    }

    /// Marks the pending jobs of a `cancelling` batch; the last transaction ends the batch.
    private func cancelPending(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> Int64 {
        var sum: Int64 = 0
        while true {
            let cancelled = try act { db in
                guard let counters = try LockedCounters(batch, &db), counters.status == .cancelling else {
                    return Int64(0)
                }
                return try db.endPending(counters, as: .cancelled, limit: Self.chunkRows, at: now)
            }
            guard cancelled > 0 else { return sum }
            sum += cancelled
        }
    }
}

extension PostgresConnection {
    fileprivate mutating func isSubmission(_ batch: BatchID) throws -> Bool {
        try number("SELECT count(*) FROM batches WHERE id = $1 AND submitted_ms IS NOT NULL", batch) == 1
    }

    /// Ends up to `limit` pending jobs of a batch that wait for no time, without results, as state `end`. Returns how many; 0: none
    /// is left.
    mutating func endPending(
        _ locked: LockedCounters, as end: JobState, limit: Int, at now: Milliseconds
    ) throws -> Int64 {
        var counters = locked
        var ended = 0
        // One piece of the batch at a time; those that have nothing left are deleted.
        while true {
            let segment =
                try row(
                    "SELECT \(BatchSegment.columns) FROM segments s WHERE batch_id = $1 ORDER BY id LIMIT 1",
                    counters.batch
                ) { BatchSegment($0, from: 0) } ?? nil
            ended = try endPending(of: segment, counters, as: end, limit: limit, at: now)
            guard ended == 0, let segment else { break }
            try delete(segment)
        }
        if ended > 0 { counters.add(end, jobs: Int64(ended)) }
        _ = try counters.write(&self, at: now)
        return Int64(ended)
    }

    private mutating func endPending(
        of segment: BatchSegment?, _ counters: LockedCounters, as state: JobState, limit: Int, at now: Milliseconds
    ) throws -> Int {
        let batch = counters.batch
        let (next, end) = (segment?.next ?? .last, segment?.end ?? .last)
        let ended = try rows(
            """
            WITH chosen AS (
                SELECT * FROM (
                    (SELECT line, claim_rank, attempt FROM returned
                     WHERE batch_id = $1 AND not_before_ms IS NULL ORDER BY claim_rank, line LIMIT $6)
                    UNION ALL
                    (SELECT line, claim_rank, 0 FROM jobs
                     WHERE batch_id = $1 AND \(inSegment) ORDER BY claim_rank, line LIMIT $6)
                ) f ORDER BY claim_rank, line LIMIT $6
            ), gone AS (
                DELETE FROM returned WHERE batch_id = $1 AND line IN (SELECT line FROM chosen)
            ), ended AS (
                INSERT INTO results (batch_id, line, finish_seq, state, attempt, finished_ms)
                SELECT $1, line, $7 + row_number() OVER (ORDER BY line), $8, attempt, $9 FROM chosen
            )
            SELECT claim_rank, line, attempt FROM chosen ORDER BY claim_rank, line
            """, batch, next.rank, next.line, end.rank, end.line, limit, counters.nextSequence - 1, state, now
        ) { (place: ClaimPlace(rank: $0.int64(0), line: $0.int64(1)), attempt: $0.int64(2)) }
        if let segment, let last = ended.last(where: { $0.attempt == 0 }) { try advance(segment, to: last.place) }
        return ended.count
    }
}
