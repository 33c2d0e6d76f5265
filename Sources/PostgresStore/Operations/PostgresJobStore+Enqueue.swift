// Drafts: how they begin, how abandoned ones are deleted, and retries of earlier batches.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore: EnqueuingAgain {
    /// An advisory lock of a session marks the owner of the draft.
    public func beginBatch(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> any BatchDraft {
        try PostgresBatchDraft(batch, in: self, at: now)
    }

    /// A draft is an orphan if nobody holds its lock.
    public func sweepOrphanedDrafts() throws(JobStoreError) -> [BatchID] {
        var swept: [BatchID] = []
        for draft in try read({ try $0.drafts() }) {
            let isOrphan = try keeping.use { db in
                guard try db.tryLockWriter(of: draft) else { return false }
                // It may have been committed between the query and the lock.
                if try db.batchStatus(draft) == .validating { return true }
                try db.unlockWriter(of: draft)
                return false
            }
            guard isOrphan else { continue }
            defer { try? keeping.use { try $0.unlockWriter(of: draft) } }
            try deleteDraft(draft)
            swept.append(draft)
        }
        return swept
    }

    /// Reads one row.
    public func promptTime(of batch: BatchID) throws(JobStoreError) -> Milliseconds? {
        try read { db in
            try db.row("SELECT prompt_ms FROM batches WHERE id = $1", batch) { $0.optionalID(0) } ?? nil
        }
    }

    /// A statement for each page.
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
        _ = try keeping.use { db in
            try db.run(
                """
                DELETE FROM batches b USING counters c WHERE b.id = $1 AND c.batch_id = b.id AND c.status = 'validating'
                """, draft)
        }
    }

    /// Deletes the jobs of a draft in short transactions. The caller holds its lock.
    func deleteJobs(ofDraft draft: BatchID) throws(JobStoreError) {
        for table in ["choices", "results", "returned", "jobs"] {
            var deleted = 1
            while deleted > 0 {
                deleted = try keeping.use { db in
                    try db.run(
                        """
                        DELETE FROM \(table) WHERE batch_id = $1 AND line IN (
                            SELECT line FROM \(table) WHERE batch_id = $1 ORDER BY line LIMIT $2)
                        """, draft, Self.chunkRows)
                }
            }
        }
        _ = try keeping.use { db in
            try db.run(
                """
                UPDATE counters c SET total = 0, rejected = 0, failed = 0 FROM batches b
                WHERE c.batch_id = $1 AND b.id = $1 AND c.status = 'validating' AND b.submitted_ms IS NOT NULL
                """, draft)
        }
    }
}

extension PostgresConnection {
    mutating func batch(named name: String) throws -> BatchID? {
        try row("SELECT id FROM batches WHERE unique_name = $1", name.stored) { $0.id(0) }
    }

    /// The batches with a status that does not last.
    mutating func batchIDs(_ status: BatchStatus) throws -> [BatchID] {
        try rows(
            """
            SELECT c.batch_id FROM open_batches o JOIN counters c USING (batch_id) WHERE c.status = $1 ORDER BY c.batch_id
            """, status
        ) { $0.id(0) }
    }

    /// Drafts that end with their writers.
    fileprivate mutating func drafts() throws -> [BatchID] {
        try rows(
            """
            SELECT b.id FROM open_batches o JOIN counters c USING (batch_id) JOIN batches b ON b.id = c.batch_id
            WHERE c.status = 'validating' AND b.submitted_ms IS NULL ORDER BY b.id
            """
        ) { $0.id(0) }
    }

    private static func newJob(_ row: PostgresRow) -> NewJob {
        NewJob(
            line: row.int64(0), customID: row.text(1), endpoint: row.text(2), body: row.bytes(3),
            modelName: row.optionalText(4), claimRank: row.int64(5))
    }

    fileprivate mutating func jobToRerun(
        _ customID: String, of batch: BatchID
    ) throws -> (job: NewJob, promptTime: Milliseconds)? {
        try row(
            """
            SELECT j.line, j.custom_id, j.endpoint, j.body, j.model_name, j.claim_rank,
                coalesce(b.prompt_ms, j.created_ms)
            FROM jobs j JOIN batches b ON b.id = j.batch_id
            WHERE j.batch_id = $1 AND j.custom_id = $2 AND j.claim_rank IS NOT NULL
            """, batch, customID.stored
        ) { (Self.newJob($0), $0.id(6)) }
    }

    fileprivate mutating func jobsToRetry(
        _ batch: BatchID, states: Set<JobState>, errorCode: String?, after line: Int64
    ) throws -> [NewJob] {
        // Jobs that did not fail have no code.
        try rows(
            """
            SELECT j.line, j.custom_id, j.endpoint, j.body, j.model_name, j.claim_rank
            FROM results r JOIN jobs j USING (batch_id, line)
            WHERE r.batch_id = $1 AND r.line > $2 AND r.state = ANY($3) AND j.claim_rank IS NOT NULL
              AND ($4 IS NULL OR r.error_code = $4)
            ORDER BY r.line LIMIT 500
            """, batch, line, PostgresArray(states.map(\.rawValue)), errorCode?.stored, read: Self.newJob)
    }
}
