// Uploaded files, files of results, and submissions: batches whose file is yet to be validated; the server's keys.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// One row.
    public func add(_ file: UploadedFile) throws(JobStoreError) {
        _ = try keeping.use { db in
            try db.run(
                """
                INSERT INTO files (id, tenant, name, purpose, bytes, created_ms, expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)
                """, file.id, file.tenant?.rawValue.stored, file.name.stored, file.purpose.stored, file.bytes,
                file.created, file.expires)
        }
    }

    /// One index lookup.
    public func uploadedFile(_ id: FileID) throws(JobStoreError) -> UploadedFile? {
        try read { try $0.files("WHERE id = $1", [id]).first }
    }

    /// Reads the index of times from `bound` on.
    public func uploadedFiles(
        of tenant: Tenant?, after bound: (Milliseconds, FileID)?, newestFirst: Bool, limit: Int
    ) throws(JobStoreError) -> [UploadedFile] {
        let (comparison, direction) = newestFirst ? ("<", "DESC") : (">", "ASC")
        return try read { db in
            try db.files(
                """
                WHERE ($1 IS NULL OR tenant = $1) AND ($2 IS NULL OR (created_ms, id COLLATE "C") \(comparison) ($2, $3))
                ORDER BY created_ms \(direction), id COLLATE "C" \(direction) LIMIT $4
                """, [tenant?.rawValue.stored, bound?.0, bound?.1, limit])
        }
    }

    /// One row.
    public func deleteFile(_ id: FileID) throws(JobStoreError) -> Bool {
        try keeping.use { try $0.run("DELETE FROM files WHERE id = $1", id) } == 1
    }

    /// Reads the index of ends.
    public func expiredFiles(at now: Milliseconds, limit: Int) throws(JobStoreError) -> [UploadedFile] {
        try read {
            try $0.files(
                "WHERE expires_ms IS NOT NULL AND expires_ms <= $1 ORDER BY expires_ms LIMIT $2", [now, limit])
        }
    }

    /// Two index lookups.
    public func resultFile(_ id: FileID) throws(JobStoreError) -> (batch: BatchID, kind: ResultFileKind)? {
        try read { db in
            for kind in ResultFileKind.allCases {
                let sql = "SELECT id FROM batches WHERE \(kind.column) = $1"
                if let batch: BatchID = try db.row(sql, id, read: { $0.id(0) }) { return (batch, kind) }
            }
            return nil
        }
    }

    /// One row.
    public func withdrawResultFile(_ kind: ResultFileKind, of batch: BatchID) throws(JobStoreError) {
        _ = try keeping.use { try $0.run("UPDATE batches SET \(kind.column) = NULL WHERE id = $1", batch) }
    }

    /// One row.
    public func submit(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try keeping.use { connection in
            do {
                return try connection.transaction { db in
                    if let name = batch.uniqueName, let other = try db.batch(named: name) {
                        throw JobStoreError.nameTaken(name, by: other)
                    }
                    return try db.insert(batch, submitted: now, at: now)
                }
            } catch let error as PostgresError where error.constraint == "batches_unique_name" {
                guard let name = batch.uniqueName, let other = try connection.batch(named: name) else { throw error }
                throw JobStoreError.nameTaken(name, by: other)
            }
        }
    }

    /// Looks at the open batches.
    public func submissions() throws(JobStoreError) -> [BatchID] {
        try read { db in
            try db.rows(
                """
                SELECT b.id FROM open_batches o JOIN counters c USING (batch_id) JOIN batches b ON b.id = c.batch_id
                WHERE c.status = 'validating' AND b.submitted_ms IS NOT NULL ORDER BY b.id
                """
            ) { $0.id(0) }
        }
    }

    /// Deletes what a draft has left, then changes one row.
    public func reject(_ batch: BatchID, errors: String, at now: Milliseconds) throws(JobStoreError) {
        guard try read({ try $0.batchStatus(batch) }) == .validating else { throw .draftClosed(batch) }
        try deleteJobs(ofDraft: batch)
        try act { db in
            let isOpen = try db.run(
                """
                UPDATE counters c SET status = 'failed', finished_ms = $2 FROM batches b
                WHERE c.batch_id = $1 AND b.id = $1 AND c.status = 'validating' AND b.submitted_ms IS NOT NULL AND c.total = 0
                """, batch, now)
            guard isOpen == 1 else { throw JobStoreError.draftClosed(batch) }
            try db.run("UPDATE batches SET input_errors = $2, submitted_ms = NULL WHERE id = $1", batch, errors.stored)
            try db.run("DELETE FROM open_batches WHERE batch_id = $1", batch)
        }
    }

    // MARK: - Keys

    /// One transaction.
    public func add(_ key: ServerKey) throws(JobStoreError) {
        let scopes = KeyScope.allCases.filter(key.scopes.contains).map(\.rawValue).joined(separator: ",")
        try act { db in
            let isNew = try db.run(
                """
                INSERT INTO server_keys (name, public_id, tenant, scopes, hash, created_ms) VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (name) DO NOTHING
                """, key.name.stored, key.publicID.stored, key.tenant.rawValue.stored, scopes, key.hash.stored,
                key.created)
            guard isNew == 1 else { throw JobStoreError.keyNameTaken(key.name) }
        }
    }

    /// Reads the whole table, which is small.
    public func keys() throws(JobStoreError) -> [ServerKey] {
        try read { db in
            try db.rows("SELECT name, public_id, tenant, scopes, hash, created_ms FROM server_keys ORDER BY name") {
                row in
                ServerKey(
                    name: row.text(0), publicID: row.text(1), tenant: Tenant(rawValue: row.text(2)),
                    scopes: Set(row.text(3).split(separator: ",").compactMap { KeyScope(rawValue: String($0)) }),
                    hash: row.text(4), created: row.id(5))
            }
        }
    }

    /// One row.
    public func removeKey(named name: String) throws(JobStoreError) -> Bool {
        try keeping.use { try $0.run("DELETE FROM server_keys WHERE name = $1", name.stored) } > 0
    }
}

extension ResultFileKind {
    fileprivate var column: String { self == .output ? "output_file" : "error_file" }
}

extension PostgresConnection {
    fileprivate mutating func files(_ condition: String, _ values: [any PostgresValue]) throws -> [UploadedFile] {
        try rows("SELECT id, tenant, name, purpose, bytes, created_ms, expires_ms FROM files \(condition)", all: values)
        { row in
            UploadedFile(
                id: FileID(rawValue: row.text(0))!, tenant: row.optionalText(1).map { Tenant(rawValue: $0) },
                name: row.text(2), purpose: row.text(3), bytes: row.int64(4), created: row.id(5),
                expires: row.optionalID(6))
        }
    }
}
