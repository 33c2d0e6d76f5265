// Uploaded files, and batches from their submission to the end of their validation.

import Runtime
import StoreContract
import Testing

@Suite struct FilesConformance {
    private static let submission = Submission(
        inputFile: FileID(rawValue: "file-" + String(repeating: "a", count: 32))!, endpoint: "/v1/completions",
        window: "24h", metadata: #"{"night":"1"}"#)

    private func submit(
        _ store: any ServedStore, name: String? = nil, tenant: Tenant? = nil, deadline: Milliseconds? = nil
    ) throws -> BatchID {
        try store.submit(
            NewBatch(
                name: "in.jsonl", uniqueName: name, deadline: deadline, tenant: tenant, submission: Self.submission),
            at: 5)
    }

    /// A draft that fills a submission.
    private func draft(_ store: any ServedStore, of batch: BatchID, at now: Milliseconds = 6) throws -> any BatchDraft {
        var new = NewBatch(name: "in.jsonl", model: "m", modelName: "shown", submission: Self.submission)
        new.submitted = batch
        return try store.beginBatch(new, at: now)
    }

    @Test(arguments: StoreKind.allCases)
    func filesAreListedInOrderAndByTenant(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        var files: [UploadedFile] = []
        for number in 0..<6 {
            let digits = String(repeating: "\(5 - number)", count: 32)
            let expires: Int64? = number < 4 ? 100 - Int64(number) : nil
            files.append(
                UploadedFile(
                    id: FileID(rawValue: "file-" + digits)!, tenant: number % 2 == 0 ? Tenant(rawValue: "a") : nil,
                    name: "f\(number)\u{0}ü.jsonl", purpose: "batch", bytes: Int64(number),
                    created: Milliseconds(rawValue: Int64(number / 3)),
                    expires: expires.map { Milliseconds(rawValue: $0) }))
        }
        for file in files { try store.add(file) }
        #expect(try store.uploadedFile(files[3].id) == files[3])
        // By time, then by identifier.
        let ascending = [files[2], files[1], files[0], files[5], files[4], files[3]]
        func all(_ tenant: Tenant?, newestFirst: Bool) throws -> [UploadedFile] {
            var found: [UploadedFile] = []
            while true {
                let last = found.last.map { ($0.created, $0.id) }
                let page = try store.uploadedFiles(of: tenant, after: last, newestFirst: newestFirst, limit: 2)
                if page.isEmpty { return found }
                found += page
            }
        }
        #expect(try all(nil, newestFirst: false) == ascending)
        #expect(try all(nil, newestFirst: true) == ascending.reversed())
        #expect(try all(Tenant(rawValue: "a"), newestFirst: false) == [files[2], files[0], files[4]])
        #expect(try all(Tenant(rawValue: "b"), newestFirst: false) == [])
        #expect(try store.expiredFiles(at: 98, limit: 9) == [files[3], files[2]])
        #expect(try store.expiredFiles(at: 98, limit: 1) == [files[3]])
        #expect(try store.deleteFile(files[3].id))
        #expect(try !store.deleteFile(files[3].id))
        #expect(try store.uploadedFile(files[3].id) == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func aSubmissionBecomesABatch(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let tenant = Tenant(rawValue: "a")
        let batch = try submit(store, name: "once", tenant: tenant, deadline: 100)
        // The name is taken at once.
        #expect(throws: JobStoreError.nameTaken("once", by: batch)) { try submit(store, name: "once") }
        #expect(try store.batch(named: "once") == batch)
        let before = try store.batch(batch)
        #expect(before.status == .validating && before.submission == Self.submission && before.tenant == tenant)
        #expect(before.endpoint == "/v1/completions" && before.deadline == 100 && before.counts.total == 0)
        #expect(try store.submissions() == [batch])
        // It outlives its writers, and is listed.
        #expect(try store.sweepOrphanedDrafts() == [])
        #expect(try store.batches(before: nil, limit: 9, includingDrafts: false).map(\.id) == [batch])
        #expect(try store.claimableBatch(among: nil) == nil)

        do {
            let first = try draft(store, of: batch)
            _ = try first.append([.sample(1), .sample(2)], rejected: [])
        }
        #expect(try store.sweepOrphanedDrafts() == [] && store.submissions() == [batch])
        let second = try draft(store, of: batch, at: 7)
        #expect(second.id == batch)
        #expect(try store.batch(batch).counts.total == 0)
        #expect(try second.append([.sample(1), .sample(3)]).isEmpty)
        #expect(try second.commit(at: 8) == batch)
        let after = try store.batch(batch)
        #expect(after.status == .inProgress && after.counts.total == 2 && after.model == "m")
        #expect(after.modelName == "shown" && after.uniqueName == "once" && after.submission == Self.submission)
        #expect(after.files == before.files && after.tenant == tenant && after.created == 5)
        #expect(try store.submissions() == [])
        #expect(try store.claimableBatch(among: nil)?.id == batch)
        #expect(throws: JobStoreError.draftClosed(batch)) { try draft(store, of: batch) }
        #expect(throws: JobStoreError.draftClosed(batch)) { try store.reject(batch, errors: "[]", at: 9) }
    }

    @Test(arguments: StoreKind.allCases)
    func aRefusedFileFailsItsBatch(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try submit(store)
        let filled = try draft(store, of: batch)
        _ = try filled.append([.sample(1)])
        try filled.discard()
        #expect(try store.batch(batch).status == .validating)
        // What a writer that died left is deleted too.
        do { _ = try draft(store, of: batch).append([.sample(1), .sample(2)]) }
        #expect(try store.batch(batch).counts.total == 2)
        let errors = #"[{"code":"invalid_json","line":1}]"#
        try store.reject(batch, errors: errors, at: 9)
        let ended = try store.batch(batch)
        #expect(ended.status == .failed && ended.inputErrors == errors && ended.counts.total == 0)
        #expect(ended.finished == 9 && ended.endpoint == "/v1/completions")
        #expect(try store.results(ResultQuery(batch: batch), after: 0, limit: 9).isEmpty)
        #expect(try store.submissions() == [])
        #expect(throws: JobStoreError.nothingToRetry(batch)) { try store.retry(batch, at: 10) }
        #expect(throws: JobStoreError.batchAlreadyFinished(batch, .failed)) { try store.cancel(batch, at: 10) }
        try store.delete(batch)
        #expect(throws: JobStoreError.batchNotFound(batch)) { try store.batch(batch) }
    }

    /// A cancellation ends a submission, also while somebody validates it.
    @Test(arguments: StoreKind.allCases)
    func aSubmissionCanBeCancelled(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let waiting = try submit(store)
        #expect(try store.cancel(waiting, at: 7) == CancelReport(cancelled: 0, keptFinished: 0))
        #expect(try store.batch(waiting).status == .cancelled)
        let batch = try submit(store)
        let filled = try draft(store, of: batch)
        _ = try filled.append([.sample(1), .sample(2)])
        #expect(try store.cancel(batch, at: 7).cancelled == 2)
        #expect(try store.batch(batch).status == .cancelled)
        #expect(throws: JobStoreError.draftClosed(batch)) { _ = try filled.append([.sample(3)]) }
        #expect(throws: JobStoreError.draftClosed(batch)) { try filled.commit(at: 8) }
        try filled.discard()
        #expect(try store.batch(batch).counts.cancelled == 2)
        #expect(try store.submissions() == [] && store.sweepOrphanedDrafts() == [])
        // Ordinary drafts cannot be cancelled.
        let other = try store.beginBatch(NewBatch(name: "x"), at: 1)
        #expect(throws: JobStoreError.batchIsDraft(other.id)) { try store.cancel(other.id, at: 7) }
    }

    @Test(arguments: StoreKind.allCases)
    func filesOfResultsAreFoundByTheirIdentifiers(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        var new = NewBatch(name: "x", tenant: Tenant(rawValue: "t"))
        new.files.expires = 50
        let batch = try store.enqueue(2, new)
        let other = try store.enqueue(1)
        #expect(try store.batch(batch).files == new.files)
        let files = try store.batch(batch).files
        #expect(try store.resultFile(files.output!)! == (batch, .output))
        #expect(try store.resultFile(files.errors!)! == (batch, .errors))
        #expect(try store.resultFile(.random()) == nil)
        try store.withdrawResultFile(.output, of: batch)
        #expect(try store.resultFile(files.output!) == nil)
        #expect(try store.batch(batch).files == ResultFiles(output: nil, errors: files.errors, expires: 50))
        // Tenants see their own.
        func list(_ tenant: String?) throws -> [BatchID] {
            let tenant = tenant.map { Tenant(rawValue: $0) }
            return try store.batches(before: nil, limit: 9, includingDrafts: false, of: tenant).map(\.id)
        }
        #expect(try list("t") == [batch] && list("u") == [] && list(nil) == [other, batch])
        // A retry is its original's tenant's.
        _ = try store.cancel(batch, at: 5)
        let again = try store.retry(batch, states: [.cancelled], at: 6)
        #expect(try store.batch(again).tenant == Tenant(rawValue: "t"))
        #expect(try store.batch(again).files.output != nil)
        #expect(try list("t") == [again, batch])
        #expect(throws: JobStoreError.batchNotFinished(other, .inProgress)) { try store.delete(other) }
        try store.delete(batch)
        #expect(try store.batch(again).retryOf == nil)
    }
}
