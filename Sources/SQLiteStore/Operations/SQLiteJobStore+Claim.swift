// Claims jobs for the daemon, and releases them.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// Reads the first row of a partial index, for any number of batches and jobs.
    public func claimableBatch(
        among: Set<BatchID>?, fitting model: String?, for life: Incarnation?
    ) throws(JobStoreError) -> ClaimableBatch? {
        if let among, among.isEmpty { return nil }
        return try read { try $0.claimableBatch(among: among, fitting: model) }
    }

    /// One transaction that walks along a partial index, so its cost does not grow with the number of ended jobs. A
    /// power cut may undo it: the jobs are pending then, as after any death of the daemon.
    public func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> [ClaimedJob] {
        guard limit > 0 else { return [] }
        return try write(isSynced: false) { db in
            guard try db.isClaimable(batch, at: now) else { return [] }
            let fitting = try db.withinBodyBudget(limit, jobs: Database.claimedJobsSQL, batch)
            return try db.claim(fitting, of: batch, incarnation: incarnation, at: now)
        }
    }

    /// One transaction for all tickets.
    public func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws(JobStoreError) -> ReleaseReport {
        try write { try $0.release(tickets, incarnation: incarnation, because: reason, at: now) }
    }

    /// Looks up each job by its key.
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
    /// The condition that makes a batch claimable, exactly as in its index.
    static let claimableCondition =
        "status = 'in_progress' AND paused_ms IS NULL AND not_before_ms IS NULL AND ready > 0"

    /// The statement that finds the batch whose turn it is, restricted by `condition`. A test checks its plan.
    static func claimableSQL(_ condition: String) -> String {
        """
        SELECT id, model, priority, urgent FROM batches INDEXED BY batches_claimable
        WHERE \(claimableCondition) AND (SELECT paused_ms FROM queue) IS NULL \(condition)
        ORDER BY priority DESC, urgent DESC, turn, id LIMIT 1
        """
    }

    fileprivate func claimableBatch(among: Set<BatchID>?, fitting model: String?) throws -> ClaimableBatch? {
        var condition = ""
        if let among {
            condition = "AND id IN (\(among.map { String($0.rawValue) }.sorted().joined(separator: ", ")))"
        }
        if let model {
            return try row(Self.claimableSQL(condition + " AND (model IS NULL OR model = ?)"), model, read: claimable)
        }
        return try row(Self.claimableSQL(condition), read: claimable)
    }

    private func claimable(_ row: SQLRow) -> ClaimableBatch {
        ClaimableBatch(
            id: row.id(0), model: row.optionalText(1),
            rank: ClaimableBatch.Rank(priority: row.priority(2), isUrgent: row.int64(3) == 1))
    }

    /// Whether jobs of a batch may be claimed. It is checked in the claim's transaction, so no job is claimed after a
    /// pause was acknowledged or a deadline has come.
    fileprivate func isClaimable(_ batch: BatchID, at now: Milliseconds) throws -> Bool {
        try number(
            """
            SELECT count(*) FROM batches
            WHERE id = ? AND \(Self.claimableCondition) AND (SELECT paused_ms FROM queue) IS NULL
              AND (deadline_ms IS NULL OR deadline_ms > ?)
            """, batch, now) == 1
    }

    /// The turn at which a batch joins the others of its priority: the lowest of theirs.
    func nextTurn(_ priority: BatchPriority) throws -> Int64 {
        try number(
            """
            SELECT coalesce(min(turn), 0) FROM batches INDEXED BY batches_claimable
            WHERE \(Self.claimableCondition) AND priority = ? AND urgent = 0
            """, priority)
    }

    /// The next jobs of one batch.
    static let claimedJobsSQL = """
        SELECT id FROM jobs INDEXED BY jobs_pending
        WHERE batch_id = ? AND state = 'pending' AND not_before_ms IS NULL ORDER BY claim_rank, id LIMIT ?
        """

    /// The statement that claims jobs of one batch. A test checks its plan.
    static let claimSQL = """
        UPDATE jobs SET state = 'running', attempt = attempt + 1, incarnation = ?, claimed_ms = ?
        WHERE id IN (\(claimedJobsSQL))
        RETURNING id, line, custom_id, attempt, crashes, created_ms, claim_rank
        """

    fileprivate func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws -> [ClaimedJob] {
        let promptTime = try promptTime(of: batch)
        var heads = try rows(Self.claimSQL, incarnation, now, batch, limit) { row in
            let job = ClaimedJob(
                ticket: ClaimTicket(job: row.id(0), batch: batch, attempt: row.int(3)),
                line: row.int64(1), customID: row.text(2), endpoint: "", body: [], crashes: row.int(4),
                created: row.id(5), promptTime: promptTime)
            return (rank: row.int64(6), job: job)
        }
        guard !heads.isEmpty else { return [] }
        try run(
            """
            UPDATE batches SET ready = ready - ?1, turn = turn + iif(urgent, 0, ?1), started_ms = coalesce(started_ms, ?2)
            WHERE id = ?3
            """, heads.count, now, batch)
        // RETURNING guarantees no order.
        heads.sort { ($0.rank, $0.job.ticket.job) < ($1.rank, $1.job.ticket.job) }
        return try heads.map { try withBody($0.job) }
    }

    /// If a job's body was deleted by hand, it is claimed without one. Then it fails alone, instead of stopping the
    /// queue.
    private func withBody(_ job: ClaimedJob) throws -> ClaimedJob {
        try row("SELECT endpoint, body FROM job_bodies WHERE job_id = ?", job.ticket.job) {
            ClaimedJob(
                ticket: job.ticket, line: job.line, customID: job.customID, endpoint: $0.text(0), body: $0.bytes(1),
                crashes: job.crashes, created: job.created, promptTime: job.promptTime)
        } ?? job
    }

    /// Makes running jobs pending again, or fails those that reached a limit.
    func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws -> ReleaseReport {
        var report = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
        var tallies = BatchTallies()
        for ticket in tickets {
            let known = try row(
                """
                SELECT crashes, bad_outputs FROM jobs
                WHERE id = ? AND state = 'running' AND incarnation = ? AND attempt = ?
                """, ticket.job, incarnation, ticket.attempt
            ) { JobFaults(crashes: $0.int(0), badOutputs: $0.int(1)) }
            guard var faults = known else { continue }
            try tallies.update(ticket.batch, self) { tally in
                switch faults.add(reason) {
                case .again(let delay):
                    try putBack(ticket.job, faults, notBefore: delay > 0 ? now + delay : nil)
                    if delay == 0 { tally.ready += 1 }
                    report.requeued += 1
                case .fail(let error):
                    try run(
                        """
                        UPDATE jobs SET state = 'failed', crashes = ?, bad_outputs = ?, finished_ms = ?, finish_seq = ?
                        WHERE id = ?
                        """, faults.crashes, faults.badOutputs, now, tally.nextSequence, ticket.job)
                    try insertError(error, of: ticket.job)
                    tally.add(.failed)
                    report.failed += 1
                }
            }
        }
        report.closedBatches = try tallies.write(self, at: now)
        return report
    }

    private func putBack(_ job: JobID, _ faults: JobFaults, notBefore: Milliseconds?) throws {
        try run(
            """
            UPDATE jobs SET state = 'pending', incarnation = NULL, claimed_ms = NULL, crashes = ?, bad_outputs = ?,
                not_before_ms = ?
            WHERE id = ?
            """, faults.crashes, faults.badOutputs, notBefore, job)
    }
}
