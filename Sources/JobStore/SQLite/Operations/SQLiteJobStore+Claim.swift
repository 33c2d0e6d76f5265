// Handing jobs to the daemon, and taking them back.

import GRDB

extension SQLiteJobStore {
    /// A walk over the open batches, with one look at the partial index for each.
    public func claimableBatch(among: Set<BatchID>?) throws(JobStoreError) -> ClaimableBatch? {
        try read { db in
            let open = try db.rows(
                "SELECT id, model FROM batches INDEXED BY batches_open WHERE status = 'in_progress' ORDER BY id"
            ) { ClaimableBatch(id: $0.id(0), model: $0.optionalText(1)) }
            return try open.first { batch in
                guard among?.contains(batch.id) ?? true else { return false }
                return try db.number(
                    """
                    SELECT EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_pending WHERE batch_id = ? AND state = 'pending')
                    """, batch.id) == 1
            }
        }
    }

    /// One transaction; it costs a walk over a partial index, however many jobs have ended.
    public func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> [ClaimedJob] {
        guard limit > 0 else { return [] }
        return try write { db in
            guard try db.batchStatus(batch) == .inProgress else { return [] }
            let fitting = try db.withinBodyBudget(limit, jobs: Database.claimedJobsSQL, batch)
            return try db.claim(fitting, of: batch, incarnation: incarnation, at: now)
        }
    }

    /// One transaction for all.
    public func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws(JobStoreError) -> ReleaseReport {
        try write { try $0.release(tickets, incarnation: incarnation, because: reason, at: now) }
    }

    /// One look at each job, by its key.
    public func revoked(
        among tickets: [ClaimTicket], incarnation: Incarnation
    ) throws(JobStoreError) -> [ClaimTicket] {
        try read { db in
            try tickets.filter { ticket in
                try db.number(
                    """
                    SELECT count(*) FROM jobs
                    WHERE id = ? AND state = 'running' AND incarnation = ? AND attempt = ?
                    """, ticket.job, incarnation, ticket.attempt) == 0
            }
        }
    }
}

extension Database {
    /// The jobs of one batch whose turn it is.
    static let claimedJobsSQL = """
        SELECT id FROM jobs INDEXED BY jobs_pending WHERE batch_id = ? AND state = 'pending'
        ORDER BY claim_rank, id LIMIT ?
        """

    /// The statement that claims jobs of one batch; a test looks at its plan.
    static let claimSQL = """
        UPDATE jobs SET state = 'running', attempt = attempt + 1, incarnation = ?, claimed_ms = ?
        WHERE id IN (\(claimedJobsSQL))
        RETURNING id, line, custom_id, attempt, crashes, created_ms, claim_rank
        """

    fileprivate func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws -> [ClaimedJob] {
        var heads = try rows(Self.claimSQL, incarnation, now, batch, limit) { row in
            let job = ClaimedJob(
                ticket: ClaimTicket(job: row.id(0), batch: batch, attempt: row.int(3)),
                line: row.int64(1), customID: row.text(2), endpoint: "", body: [], crashes: row.int(4),
                created: row.id(5))
            return (rank: row.int64(6), job: job)
        }
        guard !heads.isEmpty else { return [] }
        try run("UPDATE batches SET started_ms = ? WHERE id = ? AND started_ms IS NULL", now, batch)
        // RETURNING promises no order.
        heads.sort { ($0.rank, $0.job.ticket.job) < ($1.rank, $1.job.ticket.job) }
        return try heads.map { try withBody($0.job) }
    }

    /// A job whose body was deleted by hand stays without one: it will fail alone, instead of stopping the queue.
    private func withBody(_ job: ClaimedJob) throws -> ClaimedJob {
        try row("SELECT endpoint, body FROM job_bodies WHERE job_id = ?", job.ticket.job) {
            ClaimedJob(
                ticket: job.ticket, line: job.line, customID: job.customID, endpoint: $0.text(0), body: $0.bytes(1),
                crashes: job.crashes, created: job.created)
        } ?? job
    }

    /// Puts running jobs back, or fails those that were in flight at too many crashes.
    func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws -> ReleaseReport {
        var report = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
        var tallies = BatchTallies()
        for ticket in tickets {
            if case .crash(let maxCrashes) = reason,
                try failSuspect(ticket, incarnation: incarnation, maxCrashes: maxCrashes, &tallies, at: now)
            {
                report.failed += 1
                continue
            }
            report.requeued += try run(
                """
                UPDATE jobs SET state = 'pending', incarnation = NULL, claimed_ms = NULL, crashes = crashes + ?
                WHERE id = ? AND state = 'running' AND incarnation = ? AND attempt = ?
                """, reason == .stopping ? 0 : 1, ticket.job, incarnation, ticket.attempt)
        }
        report.closedBatches = try tallies.write(self, at: now)
        return report
    }

    /// Fails a running job if this crash is one too many. Returns whether it was.
    private func failSuspect(
        _ ticket: ClaimTicket, incarnation: Incarnation, maxCrashes: Int, _ tallies: inout BatchTallies,
        at now: Milliseconds
    ) throws -> Bool {
        try tallies.update(ticket.batch, self) { tally in
            let isFailed = try run(
                """
                UPDATE jobs SET state = 'failed', crashes = crashes + 1, finished_ms = ?, finish_seq = ?
                WHERE id = ? AND state = 'running' AND incarnation = ? AND attempt = ? AND crashes + 1 >= ?
                """, now, tally.nextSequence, ticket.job, incarnation, ticket.attempt, maxCrashes)
            guard isFailed == 1 else { return false }
            tally.add(.failed)
            let error = JobError(
                code: JobError.crashedDaemonRepeatedly,
                message: "the daemon or its device crashed \(maxCrashes) times while this job was in flight; "
                    + "it is not tried again by itself, but can be retried",
                status: 500)
            try insertError(error, of: ticket.job)
            return true
        }
    }
}
