// Writes a batch: in chunks, invisible to the daemon until one small transaction hands it over.

import GRDB
import Runtime
import StoreContract

/// A draft in a SQLite store. Its owner holds a kernel lock on the byte `batch id` of `<database>-enqueue.lock`. If
/// that byte is not locked, the draft has no owner.
final class SQLiteBatchDraft: BatchDraft {
    let id: BatchID
    private let store: SQLiteJobStore
    private let batch: NewBatch
    private let created: Milliseconds
    private let ownership: ByteLock
    /// The endpoints of the jobs so far.
    private var endpoints: Set<String> = []
    private var isOpen = true

    init(_ batch: NewBatch, in store: SQLiteJobStore, at now: Milliseconds) throws(JobStoreError) {
        let lockPath = Self.lockPath(database: store.path)
        try store.undoStatementsInMemory()
        // The lock is taken before the row is visible, so a draft never looks abandoned while its writer lives.
        (id, ownership) = try store.write(in: "beginBatch") { db in
            // Whoever deletes the original looks for its retries when he begins, and then deletes it in peace.
            if let original = batch.retryOf, try db.batchStatus(original) ?? .validating == .validating {
                throw JobStoreError.batchNotFound(original)
            }
            let id = try batch.submitted ?? db.insert(batch, submitted: nil, at: now)
            guard let lock = try ByteLock.tryAcquire(path: lockPath, offset: id.rawValue) else {
                throw JobStoreError.busy(path: lockPath)
            }
            guard batch.submitted != nil else { return (id, lock) }
            let isOpen = try db.run(
                """
                UPDATE batches SET model = ?, model_name = ?
                WHERE id = ? AND status = 'validating' AND submitted_ms IS NOT NULL
                """, batch.model, batch.modelName, id)
            guard isOpen == 1 else { throw JobStoreError.draftClosed(id) }
            return (id, lock)
        }
        self.store = store
        self.batch = batch
        self.created = now
        // What a writer before this one left of the submission.
        if batch.submitted != nil { try store.deleteJobs(ofDraft: id) }
    }

    static func lockPath(database: String) -> String { database + "-enqueue.lock" }

    /// Chunks are not synced one by one. The commit is synced, and it comes after them in the write-ahead log.
    func append(_ jobs: [NewJob], rejected: [RejectedLine]) throws(JobStoreError) -> [DuplicateCustomID] {
        try checkOpen()
        var duplicates: [DuplicateCustomID] = []
        for chunk in chunks(of: jobs) {
            duplicates += try store.write(isSynced: false) { try insert(chunk, $0) }
            try store.checkpointWithoutDaemon()
        }
        for start in stride(from: 0, to: rejected.count, by: store.options.enqueueChunkRows) {
            let chunk = rejected[start..<min(start + store.options.enqueueChunkRows, rejected.count)]
            try store.write(isSynced: false) { try insert(chunk, $0) }
            try store.checkpointWithoutDaemon()
        }
        return duplicates
    }

    func commit(at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try checkOpen()
        try store.write { db in
            if let name = batch.uniqueName, let other = try db.batch(named: name) {
                throw JobStoreError.nameTaken(name, by: other)
            }
            let isOurs = try db.run(
                """
                UPDATE batches SET status = ?, endpoint = ?, unique_name = coalesce(unique_name, ?), turn = ?,
                    ready = total - failed, submitted_ms = NULL
                WHERE id = ? AND status = ? AND total > 0
                """,
                BatchStatus.inProgress, endpoints.count == 1 ? endpoints.first : nil, batch.uniqueName,
                try db.nextTurn(batch.priority), id, BatchStatus.validating)
            guard isOurs == 1 else {
                // A submission may have been cancelled since its last line.
                throw try db.batchStatus(id) == .validating ? JobStoreError.emptyBatch : .draftClosed(id)
            }
            // All lines may have been rejected.
            _ = try BatchTally.closeIfDone(id, db, at: now)
        }
        isOpen = false
        ownership.release()
        WakeUp.send(database: store.path)
        return id
    }

    func discard() throws(JobStoreError) {
        try checkOpen()
        isOpen = false
        defer { ownership.release() }
        if batch.submitted == nil { try store.deleteDraft(id) } else { try store.deleteJobs(ofDraft: id) }
    }

    private func checkOpen() throws(JobStoreError) {
        guard isOpen else { throw .draftClosed(id) }
    }

    /// Divides jobs into chunks, each for one short transaction.
    private func chunks(of jobs: [NewJob]) -> [ArraySlice<NewJob>] {
        var chunks: [ArraySlice<NewJob>] = []
        var start = 0
        var bytes = 0
        for index in jobs.indices {
            bytes += jobs[index].body.count
            if index + 1 - start >= store.options.enqueueChunkRows || bytes >= store.options.enqueueChunkBytes {
                chunks.append(jobs[start...index])
                start = index + 1
                bytes = 0
            }
        }
        if start < jobs.count {
            chunks.append(jobs[start...])
        }
        return chunks
    }

    private func insert(_ jobs: ArraySlice<NewJob>, _ db: Database) throws -> [DuplicateCustomID] {
        let duplicates = try db.insert(jobs, into: id, at: created)
        let left = Set(duplicates.map(\.line))
        for job in jobs where !left.contains(job.line) { endpoints.insert(job.endpoint) }
        // A submission may have been cancelled meanwhile.
        let isDraft = try db.run(
            "UPDATE batches SET total = total + ? WHERE id = ? AND status = 'validating'",
            jobs.count - duplicates.count, id)
        guard isDraft == 1 else { throw JobStoreError.draftClosed(id) }
        return duplicates
    }

    private func insert(_ lines: ArraySlice<RejectedLine>, _ db: Database) throws {
        var tally = try BatchTally(id, db)
        for line in lines {
            try db.run(
                """
                INSERT INTO jobs (batch_id, line, custom_id, state, rejected, created_ms, finished_ms, finish_seq)
                VALUES (?, ?, ?, 'failed', 1, ?, ?, ?)
                """, id, line.line, line.customID, created, created, tally.nextSequence)
            tally.add(.failed)
            try db.insertError(line.error, of: JobID(rawValue: db.lastInsertedRowID))
        }
        let isDraft = try db.run(
            """
            UPDATE batches SET total = total + ?, rejected = rejected + ?, failed = failed + ?
            WHERE id = ? AND status = 'validating'
            """, lines.count, lines.count, lines.count, id)
        guard isDraft == 1 else { throw JobStoreError.draftClosed(id) }
    }
}

extension Database {
    /// Stores the error of a failed job.
    func insertError(_ error: JobError, of job: JobID) throws {
        try run(
            """
            INSERT INTO job_results (job_id, error_code, error_message, error_status, error_param) VALUES (?, ?, ?, ?, ?)
            """,
            job, error.code, error.message, error.status, error.param)
    }
}
