// Uploaded files, files of results, and submissions: batches whose file is yet to be validated.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// One row.
    public func add(_ file: UploadedFile) throws(JobStoreError) {
        try write { db in
            _ = try db.run(
                "INSERT INTO files (id, tenant, name, purpose, bytes, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
                file.id, file.tenant, file.name, file.purpose, file.bytes, file.created, file.expires)
        }
    }

    /// One index lookup.
    public func uploadedFile(_ id: FileID) throws(JobStoreError) -> UploadedFile? {
        try read { try $0.files("WHERE id = ?", [id]).first }
    }

    /// Reads the index of times from `bound` on.
    public func uploadedFiles(
        of tenant: Tenant?, after bound: (Milliseconds, FileID)?, newestFirst: Bool, limit: Int
    ) throws(JobStoreError) -> [UploadedFile] {
        var conditions = ["1"]
        var values: [any SQLValue] = []
        if let tenant {
            conditions.append("tenant = ?")
            values.append(tenant)
        }
        if let (created, id) = bound {
            conditions.append("(created_ms, id) \(newestFirst ? "<" : ">") (?, ?)")
            values += [created, id] as [any SQLValue]
        }
        let direction = newestFirst ? "DESC" : "ASC"
        return try read { db in
            try db.files(
                "WHERE \(conditions.joined(separator: " AND ")) ORDER BY created_ms \(direction), id \(direction) LIMIT ?",
                values + [limit])
        }
    }

    /// One row.
    public func deleteFile(_ id: FileID) throws(JobStoreError) -> Bool {
        try write { try $0.run("DELETE FROM files WHERE id = ?", id) } == 1
    }

    /// Reads the index of ends.
    public func expiredFiles(at now: Milliseconds, limit: Int) throws(JobStoreError) -> [UploadedFile] {
        try read {
            try $0.files("WHERE expires_ms IS NOT NULL AND expires_ms <= ? ORDER BY expires_ms LIMIT ?", [now, limit])
        }
    }

    /// Two index lookups.
    public func resultFile(_ id: FileID) throws(JobStoreError) -> (batch: BatchID, kind: ResultFileKind)? {
        try read { db in
            for kind in ResultFileKind.allCases {
                let sql = "SELECT id FROM batches WHERE \(kind.column) = ?"
                if let batch: BatchID = try db.row(sql, id, read: { $0.id(0) }) { return (batch, kind) }
            }
            return nil
        }
    }

    /// One row.
    public func withdrawResultFile(_ kind: ResultFileKind, of batch: BatchID) throws(JobStoreError) {
        _ = try write { try $0.run("UPDATE batches SET \(kind.column) = NULL WHERE id = ?", batch) }
    }

    /// One row.
    public func submit(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try write { db in
            if let name = batch.uniqueName, let other = try db.batch(named: name) {
                throw JobStoreError.nameTaken(name, by: other)
            }
            return try db.insert(batch, submitted: now, at: now)
        }
    }

    /// Reads an index that has nothing else.
    public func submissions() throws(JobStoreError) -> [BatchID] {
        try read { db in
            try db.rows("SELECT id FROM batches WHERE submitted_ms IS NOT NULL AND status = 'validating' ORDER BY id") {
                $0.id(0)
            }
        }
    }

    /// Deletes what a draft has left, then changes one row.
    public func reject(_ batch: BatchID, errors: String, at now: Milliseconds) throws(JobStoreError) {
        guard try read({ try $0.batchStatus(batch) }) == .validating else { throw .draftClosed(batch) }
        try deleteJobs(ofDraft: batch)
        try write { db in
            let isOpen = try db.run(
                """
                UPDATE batches SET status = 'failed', finished_ms = ?, input_errors = ?, submitted_ms = NULL
                WHERE id = ? AND status = 'validating' AND submitted_ms IS NOT NULL AND total = 0
                """, now, errors, batch)
            guard isOpen == 1 else { throw JobStoreError.draftClosed(batch) }
        }
    }
}

extension ResultFileKind {
    fileprivate var column: String { self == .output ? "output_file" : "error_file" }
}

extension Database {
    /// Adds the row of a draft, or of a submission if `submitted` is not nil.
    func insert(_ batch: NewBatch, submitted: Milliseconds?, at now: Milliseconds) throws -> BatchID {
        let submission = batch.submission
        try run(
            """
            INSERT INTO batches (name, model, model_name, status, retry_of, created_ms, priority, deadline_ms,
                urgent_ms, prompt_ms, tenant, output_file, error_file, output_expires_ms, endpoint, input_file,
                completion_window, metadata, submitted_ms, unique_name)
            VALUES (?, ?, ?, 'validating', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            batch.name, batch.model, batch.modelName, batch.retryOf, now, batch.priority, batch.deadline,
            batch.urgent(from: now), batch.promptTime, batch.tenant, batch.files.output, batch.files.errors,
            batch.files.expires, submission?.endpoint, submission?.inputFile, submission?.window, submission?.metadata,
            submitted, submitted == nil ? nil : batch.uniqueName)
        return BatchID(rawValue: lastInsertedRowID)
    }

    fileprivate func files(_ condition: String, _ values: [any SQLValue]) throws -> [UploadedFile] {
        let sql = "SELECT id, tenant, name, purpose, bytes, created_ms, expires_ms FROM files \(condition)"
        return try rows(sql, all: values) { row in
            UploadedFile(
                id: try row.word(0), tenant: row.optionalText(1).map { Tenant(rawValue: $0) }, name: row.text(2),
                purpose: row.text(3), bytes: row.int64(4), created: row.id(5), expires: row.optionalID(6))
        }
    }
}
