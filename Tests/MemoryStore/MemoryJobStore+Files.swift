// Uploaded files, files of results, and submissions.

package import Runtime
package import StoreContract

extension MemoryJobStore {
    package func add(_ file: UploadedFile) throws(JobStoreError) { try write { $0.files.append(file) } }

    package func uploadedFile(_ id: FileID) throws(JobStoreError) -> UploadedFile? {
        try read { rows in rows.files.first { $0.id == id } }
    }

    package func uploadedFiles(
        of tenant: Tenant?, after bound: (Milliseconds, FileID)?, newestFirst: Bool, limit: Int
    ) throws(JobStoreError) -> [UploadedFile] {
        try read { rows in
            func isBefore(_ left: (Milliseconds, FileID), _ right: (Milliseconds, FileID)) -> Bool {
                (left.0.rawValue, left.1.rawValue) < (right.0.rawValue, right.1.rawValue)
            }
            let files = rows.files.filter { file in
                guard tenant == nil || file.tenant == tenant else { return false }
                guard let bound else { return true }
                let key = (file.created, file.id)
                return newestFirst ? isBefore(key, bound) : isBefore(bound, key)
            }
            let sorted = files.sorted { isBefore(($0.created, $0.id), ($1.created, $1.id)) }
            return Array((newestFirst ? sorted.reversed() : sorted).prefix(limit))
        }
    }

    package func deleteFile(_ id: FileID) throws(JobStoreError) -> Bool {
        try write { rows in
            let count = rows.files.count
            rows.files.removeAll { $0.id == id }
            return rows.files.count < count
        }
    }

    package func expiredFiles(at now: Milliseconds, limit: Int) throws(JobStoreError) -> [UploadedFile] {
        try read { rows in
            let expired = rows.files.filter { $0.expires.map { $0 <= now } ?? false }
            return Array(expired.sorted { $0.expires! < $1.expires! }.prefix(limit))
        }
    }

    package func resultFile(_ id: FileID) throws(JobStoreError) -> (batch: BatchID, kind: ResultFileKind)? {
        try read { rows in
            for batch in rows.batches.compactMap(\.self) {
                for kind in ResultFileKind.allCases where batch.new.files[kind] == id { return (batch.id, kind) }
            }
            return nil
        }
    }

    package func withdrawResultFile(_ kind: ResultFileKind, of batch: BatchID) throws(JobStoreError) {
        try write { rows in
            switch kind {
            case .output: rows[batch]?.new.files.output = nil
            case .errors: rows[batch]?.new.files.errors = nil
            }
        }
    }

    package func submit(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> BatchID {
        try write { (rows) throws(JobStoreError) in
            if let name = batch.uniqueName, let other = rows.batch(named: name) { throw .nameTaken(name, by: other) }
            let id = rows.add(batch, at: now)
            rows[id]!.isSubmission = true
            rows[id]!.isOwned = false
            rows[id]!.hasName = batch.uniqueName != nil
            return id
        }
    }

    package func submissions() throws(JobStoreError) -> [BatchID] {
        try read { rows in
            rows.batches.compactMap(\.self).filter { $0.isSubmission && $0.status == .validating }.map(\.id)
        }
    }

    package func reject(_ batch: BatchID, errors: String, at now: Milliseconds) throws(JobStoreError) {
        try write { (rows) throws(JobStoreError) in
            guard let row = rows[batch], row.isSubmission, row.status == .validating else { throw .draftClosed(batch) }
            rows.deleteJobs(of: batch)
            row.isSubmission = false
            row.status = .failed
            row.finished = now
            row.inputErrors = errors
        }
    }

    package func delete(_ batch: BatchID) throws(JobStoreError) {
        try write { (rows) throws(JobStoreError) in
            guard let row = rows[batch] else { throw .batchNotFound(batch) }
            guard row.status != .validating else { throw .batchIsDraft(batch) }
            guard row.status.isTerminal else { throw .batchNotFinished(batch, row.status) }
            rows.delete(batch)
            for other in rows.batches.compactMap(\.self) where other.new.retryOf == batch { other.new.retryOf = nil }
        }
    }
}
