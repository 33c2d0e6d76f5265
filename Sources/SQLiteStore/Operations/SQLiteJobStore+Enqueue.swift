// Drafts: how they begin, how abandoned ones are deleted, and retries of earlier batches.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore: EnqueuingAgain {
    /// A kernel lock on `<database>-enqueue.lock` marks the owner of the draft.
    public func beginBatch(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> any BatchDraft {
        try SQLiteBatchDraft(batch, in: self, at: now)
    }

    /// A draft is an orphan if its kernel lock is free. That is certain, without any timeout.
    public func sweepOrphanedDrafts() throws(JobStoreError) -> [BatchID] {
        var swept: [BatchID] = []
        for draft in try read({ try $0.drafts() }) {
            guard let lock = try writerLock(of: draft) else { continue }
            defer { lock.release() }
            // It may have been committed between the query and the lock.
            guard try read({ try $0.batchStatus(draft) }) == .validating else { continue }
            try deleteDraft(draft)
            swept.append(draft)
        }
        return swept
    }

    /// The lock of whoever writes, cancels or deletes a batch; nil if another has it.
    func writerLock(of batch: BatchID) throws(JobStoreError) -> ByteLock? {
        try ByteLock.tryAcquire(path: SQLiteBatchDraft.lockPath(database: path), offset: batch.rawValue)
    }

    /// Reads one row.
    public func promptTime(of batch: BatchID) throws(JobStoreError) -> Milliseconds? {
        try read { try $0.promptTime(of: batch) }
    }

    /// One read transaction for each page.
    public func jobsToRetry(
        of batch: BatchID, states: Set<JobState>, errorCode: String?, after line: Int64
    ) throws(JobStoreError) -> [NewJob] {
        try read { try $0.jobsToRetry(batch, states: states, errorCode: errorCode, after: line) }
    }

    /// Looks the job up by its `custom_id`.
    public func jobToRerun(
        _ customID: String, of batch: BatchID
    ) throws(JobStoreError) -> (job: NewJob, promptTime: Milliseconds)? {
        try read { try $0.jobToRerun(customID, of: batch) }
    }

    /// Deletes a draft in short transactions, its batch row last. The caller holds its lock.
    func deleteDraft(_ draft: BatchID) throws(JobStoreError) {
        try deleteJobs(ofDraft: draft)
        _ = try write { try $0.run("DELETE FROM batches WHERE id = ? AND status = 'validating'", draft) }
    }

    /// Deletes the jobs of a draft in short transactions. The caller holds its lock.
    func deleteJobs(ofDraft draft: BatchID) throws(JobStoreError) {
        var deleted = 1
        while deleted > 0 {
            deleted = try write { db in
                let jobs = "SELECT id FROM jobs WHERE batch_id = ? ORDER BY line LIMIT ?"
                let count = try db.withinBodyBudget(options.enqueueChunkRows, jobs: jobs, draft)
                return try db.run("DELETE FROM jobs WHERE id IN (\(jobs))", draft, count)
            }
            try checkpointWithoutDaemon()
        }
        _ = try write {
            try $0.run(
                """
                UPDATE batches SET total = 0, rejected = 0, failed = 0
                WHERE id = ? AND status = 'validating' AND submitted_ms IS NOT NULL
                """, draft)
        }
    }
}

extension Database {
    func batchStatus(_ batch: BatchID) throws -> BatchStatus? {
        try row("SELECT status FROM batches WHERE id = ?", batch) { try $0.word(0) }
    }

    /// Drafts that end with their writers.
    func drafts() throws -> [BatchID] {
        try rows(
            """
            SELECT id FROM batches INDEXED BY batches_unsettled
            WHERE status IN ('validating', 'cancelling') AND status = 'validating' AND submitted_ms IS NULL ORDER BY id
            """
        ) { $0.id(0) }
    }

    /// The time that the prompts of a repeated job see; nil for other batches.
    func promptTime(of batch: BatchID) throws -> Milliseconds? {
        try row("SELECT prompt_ms FROM batches WHERE id = ?", batch) { $0.optionalID(0) } ?? nil
    }

    /// The batches with a rare status: `validating` or `cancelling`.
    func batchIDs(_ status: BatchStatus) throws -> [BatchID] {
        try rows(
            """
            SELECT id FROM batches INDEXED BY batches_unsettled
            WHERE status IN ('validating', 'cancelling') AND status = ? ORDER BY id
            """, status
        ) { $0.id(0) }
    }

    fileprivate func jobToRerun(
        _ customID: String, of batch: BatchID
    ) throws -> (job: NewJob, promptTime: Milliseconds)? {
        try row(
            """
            SELECT j.line, j.custom_id, b.endpoint, b.body, b.model_name, j.claim_rank,
                coalesce(o.prompt_ms, j.created_ms)
            FROM jobs j JOIN job_bodies b ON b.job_id = j.id JOIN batches o ON o.id = j.batch_id
            WHERE j.batch_id = ? AND j.custom_id = ? AND j.rejected = 0
            """, batch, customID
        ) { (newJob($0), $0.id(6)) }
    }

    private func newJob(_ row: SQLRow) -> NewJob {
        NewJob(
            line: row.int64(0), customID: row.text(1), endpoint: row.text(2), body: row.bytes(3),
            modelName: row.optionalText(4), claimRank: row.int64(5))
    }

    fileprivate func jobsToRetry(
        _ batch: BatchID, states: Set<JobState>, errorCode: String?, after line: Int64
    ) throws -> [NewJob] {
        // Jobs that did not fail have no code.
        let condition = """
            j.batch_id = ?1 AND \(stateCondition(states)) AND j.rejected = 0 AND j.line > ?2
            AND (?3 IS NULL OR (SELECT r.error_code FROM job_results r WHERE r.job_id = j.id) = ?3)
            """
        let limit = try withinBodyBudget(
            500, jobs: "SELECT j.id FROM jobs j WHERE \(condition) ORDER BY j.line LIMIT ?4", batch, line, errorCode)
        return try rows(
            """
            SELECT j.line, j.custom_id, b.endpoint, b.body, b.model_name, j.claim_rank
            FROM jobs j JOIN job_bodies b ON b.job_id = j.id
            WHERE \(condition) ORDER BY j.line LIMIT ?4
            """, batch, line, errorCode, limit
        ) { newJob($0) }
    }
}

/// A condition on `j.state`. A single state is written with `=`, because only then can SQLite use the partial indexes.
func stateCondition(_ states: Set<JobState>) -> String {
    if let only = states.first, states.count == 1 {
        return "j.state = '\(only.rawValue)'"
    }
    return "j.state IN (\(states.map { "'\($0.rawValue)'" }.sorted().joined(separator: ", ")))"
}
