// Writes a batch: its jobs by COPY, invisible to daemons until one small transaction hands it over.

import PostgresClient
import Runtime
import StoreContract

/// A draft in a PostgreSQL store. Its owner's session holds an advisory lock with the batch's number. If nobody holds it, the
/// draft has no owner.
final class PostgresBatchDraft: BatchDraft {
    let id: BatchID
    private let store: PostgresJobStore
    private let batch: NewBatch
    private let created: Milliseconds
    private let session: PostgresSession
    /// The endpoints of the jobs so far.
    private var endpoints: Set<String> = []
    private var isOpen = true
    /// Whether the session has ended, and with it the lock on the draft; the server may not have what was not synced yet.
    private var isLost = false

    init(_ batch: NewBatch, in store: PostgresJobStore, at now: Milliseconds) throws(JobStoreError) {
        let session = PostgresSession(store.address, for: "enqueue", patience: .seconds(60))
        let location = store.location
        id = try session.use { connection in
            try connection.transaction { db in
                // Whoever deletes the original looks for its retries when he begins, and then deletes it in peace.
                if let original = batch.retryOf, try db.batchStatus(original) ?? .validating == .validating {
                    throw JobStoreError.batchNotFound(original)
                }
                let id = try batch.submitted ?? db.insert(batch, submitted: nil, at: now)
                // The lock is taken before the row is visible, so a draft never looks abandoned while its writer lives.
                guard try db.tryLockWriter(of: id) else { throw JobStoreError.busy(path: location) }
                guard batch.submitted != nil else { return id }
                let isOpen = try db.run(
                    """
                    UPDATE batches b SET model = $2, model_name = $3 FROM counters c
                    WHERE b.id = $1 AND c.batch_id = b.id AND c.status = 'validating' AND b.submitted_ms IS NOT NULL
                    """, id, batch.model?.stored, batch.modelName?.stored)
                guard isOpen == 1 else { throw JobStoreError.draftClosed(id) }
                return id
            }
        }
        self.session = session
        self.store = store
        self.batch = batch
        self.created = now
        // What a writer before this one left of the submission.
        if batch.submitted != nil { try store.deleteJobs(ofDraft: id) }
    }

    func append(_ jobs: [NewJob], rejected: [RejectedLine]) throws(JobStoreError) -> [DuplicateCustomID] {
        try checkOpen()
        var duplicates: [DuplicateCustomID] = []
        for start in stride(from: 0, to: jobs.count, by: PostgresJobStore.chunkRows) {
            let chunk = jobs[start..<min(start + PostgresJobStore.chunkRows, jobs.count)]
            duplicates += try insert(chunk)
        }
        let left = Set(duplicates.map(\.line))
        for job in jobs where !left.contains(job.line) { endpoints.insert(job.endpoint) }
        if !rejected.isEmpty {
            try use { [id, created] connection in
                try connection.transaction { try $0.insert(rejected, into: id, at: created) }
            }
        }
        return duplicates
    }

    private func use<Result: Sendable>(
        _ body: (inout PostgresConnection) throws -> Result
    ) throws(JobStoreError) -> Result {
        guard !isLost else { throw .draftClosed(id) }
        do { return try session.use(body) } catch {
            if case .unreachable = error { isLost = true }
            throw error
        }
    }

    /// COPY knows no exceptions: a chunk with a `custom_id` that is taken goes through a table of its own.
    ///
    /// Chunks are not synced. The commit is, and all before it with it; if the server forgets a chunk, the session has ended.
    private func insert(_ jobs: ArraySlice<NewJob>) throws(JobStoreError) -> [DuplicateCustomID] {
        try use { [id, created] connection in
            do {
                try connection.transaction { db in
                    try db.runLater("SET LOCAL synchronous_commit = off")
                    try db.copy(jobs, into: "jobs", of: id, at: created)
                    try db.addTotal(jobs.count, to: id)
                }
                return []
            } catch let error as PostgresError
                where error.state == .uniqueViolation && error.constraint == "jobs_custom_id"
            {
                return try connection.transaction { try $0.insertSomeOf(jobs, into: id, at: created) }
            }
        }
    }

    func commit(at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try checkOpen()
        let (id, batch) = (id, batch)
        let endpoint = endpoints.count == 1 ? endpoints.first : nil
        try use { connection in
            do {
                try connection.transaction { try $0.commit(id, batch, endpoint: endpoint, at: now) }
            } catch let error as PostgresError where error.constraint == "batches_unique_name" {
                guard let name = batch.uniqueName, let other = try connection.batch(named: name) else { throw error }
                throw JobStoreError.nameTaken(name, by: other)
            }
        }
        isOpen = false
        session.close()
        return id
    }

    func discard() throws(JobStoreError) {
        try checkOpen()
        isOpen = false
        defer { session.close() }
        if batch.submitted == nil { try store.deleteDraft(id) } else { try store.deleteJobs(ofDraft: id) }
    }

    private func checkOpen() throws(JobStoreError) {
        guard isOpen else { throw .draftClosed(id) }
    }
}

extension PostgresConnection {
    /// Takes the lock of whoever writes, cancels or deletes a batch. It ends with this session.
    mutating func tryLockWriter(of batch: BatchID) throws -> Bool {
        try row("SELECT pg_try_advisory_lock($1)", writerKey(batch)) { $0.bool(0) } ?? false
    }

    mutating func unlockWriter(of batch: BatchID) throws {
        try row("SELECT pg_advisory_unlock($1)", writerKey(batch)) { _ in }
    }

    private func writerKey(_ batch: BatchID) -> Int64 { 0x7474_0000_0000_0000 | batch.rawValue }

    /// Adds the rows of a draft, or of a submission if `submitted` is not nil.
    mutating func insert(_ batch: NewBatch, submitted: Milliseconds?, at now: Milliseconds) throws -> BatchID {
        let submission = batch.submission
        let id = try row(
            """
            INSERT INTO batches (name, model, model_name, retry_of, created_ms, priority, deadline_ms, urgent_ms, prompt_ms,
                tenant, output_file, error_file, output_expires_ms, endpoint, input_file, completion_window, metadata,
                submitted_ms, unique_name)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) RETURNING id
            """,
            batch.name.stored, batch.model?.stored, batch.modelName?.stored, batch.retryOf, now, batch.priority,
            batch.deadline, batch.urgent(from: now), batch.promptTime, batch.tenant?.rawValue.stored,
            batch.files.output,
            batch.files.errors, batch.files.expires, submission?.endpoint.stored, submission?.inputFile,
            submission?.window.stored, submission?.metadata?.stored, submitted,
            submitted == nil ? nil : batch.uniqueName?.stored
        ) { $0.id(0, as: BatchID.self) }!
        try run("INSERT INTO counters (batch_id, status) VALUES ($1, 'validating')", id)
        try run("INSERT INTO open_batches (batch_id) VALUES ($1)", id)
        return id
    }

    fileprivate mutating func copy(
        _ jobs: ArraySlice<NewJob>, into table: String, of batch: BatchID, at created: Milliseconds
    ) throws {
        var rest = jobs
        let columns = "batch_id, line, claim_rank, custom_id, created_ms, endpoint, model_name, body"
        _ = try copy(into: "\(table) (\(columns))") { rows in
            for job in rest.prefix(64) {
                rows.append(
                    batch, job.line, job.claimRank, job.customID.stored, created, job.endpoint.stored,
                    job.modelName?.stored, job.body)
            }
            rest = rest.dropFirst(64)
            return !rest.isEmpty
        }
    }

    /// A submission may have been cancelled meanwhile.
    fileprivate mutating func addTotal(_ count: Int, to batch: BatchID) throws {
        let isDraft = try run(
            "UPDATE counters SET total = total + $2 WHERE batch_id = $1 AND status = 'validating'", batch, count)
        guard isDraft == 1 else { throw JobStoreError.draftClosed(batch) }
    }

    fileprivate mutating func insertSomeOf(
        _ jobs: ArraySlice<NewJob>, into batch: BatchID, at created: Milliseconds
    ) throws -> [DuplicateCustomID] {
        try execute("CREATE TEMPORARY TABLE new_jobs (LIKE jobs) ON COMMIT DROP")
        try copy(jobs, into: "new_jobs", of: batch, at: created)
        let inserted = Set(
            try rows(
                """
                INSERT INTO jobs SELECT * FROM new_jobs ORDER BY line
                ON CONFLICT (batch_id, custom_id) WHERE claim_rank IS NOT NULL DO NOTHING RETURNING line
                """
            ) { $0.int64(0) })
        try addTotal(inserted.count, to: batch)
        let left = jobs.filter { !inserted.contains($0.line) }
        // By their bytes: strings that look alike are equal in Swift.
        let first = Dictionary(
            uniqueKeysWithValues: try rows(
                """
                SELECT custom_id, line FROM jobs WHERE batch_id = $1 AND custom_id = ANY($2) AND claim_rank IS NOT NULL
                """, batch, PostgresArray(left.map(\.customID.stored))
            ) { ($0.bytes(0), $0.int64(1)) })
        return left.map {
            DuplicateCustomID(line: $0.line, firstLine: first[$0.customID.stored]!, customID: $0.customID)
        }
    }

    fileprivate mutating func insert(_ lines: [RejectedLine], into batch: BatchID, at created: Milliseconds) throws {
        guard var counters = try LockedCounters(batch, &self), counters.status == .validating else {
            throw JobStoreError.draftClosed(batch)
        }
        try runLater(
            "INSERT INTO jobs (batch_id, created_ms, line, custom_id) SELECT $1, $2, * FROM unnest($3, $4)", batch,
            created, PostgresArray(lines.map(\.line)), PostgresArray(lines.map(\.customID?.stored)))
        try insert(
            lines.map { line in
                counters.add(.failed)
                let ticket = ClaimTicket(job: JobID(batch, line: line.line), batch: batch, attempt: 0)
                let completion = JobCompletion(ticket: ticket, outcome: .failed(line.error))
                return EndedJob(completion: completion, sequence: counters.nextSequence - 1)
            }, incarnation: nil, at: created)
        try run(
            "UPDATE counters SET total = total + $2, rejected = rejected + $2, failed = failed + $2 WHERE batch_id = $1",
            batch, lines.count)
    }

    fileprivate mutating func commit(
        _ id: BatchID, _ batch: NewBatch, endpoint: String?, at now: Milliseconds
    ) throws {
        if let name = batch.uniqueName, let other = try self.batch(named: name), other != id {
            throw JobStoreError.nameTaken(name, by: other)
        }
        let isOurs = try run(
            """
            UPDATE counters SET status = 'in_progress', turn = $2, ready = total - failed
            WHERE batch_id = $1 AND status = 'validating' AND total > 0
            """, id, try nextTurn(batch.priority))
        guard isOurs == 1 else {
            // A submission may have been cancelled since its last line.
            throw try batchStatus(id) == .validating ? JobStoreError.emptyBatch : .draftClosed(id)
        }
        try run(
            "UPDATE batches SET endpoint = $2, unique_name = coalesce(unique_name, $3), submitted_ms = NULL WHERE id = $1",
            id, endpoint?.stored, batch.uniqueName?.stored)
        try insertSegment(of: id)
        // All lines may have been rejected.
        _ = try LockedCounters.closeIfDone(id, &self, at: now)
        try tellChange()
    }
}
