// What every job store must do when batches are written.

import Runtime
import StoreContract
import Testing

@Suite
struct EnqueueConformance {
    @Test(arguments: StoreKind.allCases)
    func aDraftIsInvisibleUntilItsCommit(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let draft = try store.beginBatch(NewBatch(name: "a", model: "m"), at: 5)
        _ = try draft.append([.sample(1), .sample(2)])

        #expect(try store.claimNext(8, incarnation: life, at: 6).isEmpty)
        #expect(try store.batches(before: nil, limit: 9, includingDrafts: false).isEmpty)
        #expect(try store.batches(before: nil, limit: 9, includingDrafts: true).map(\.isDraft) == [true])
        #expect(throws: JobStoreError.batchIsDraft(draft.id)) {
            try store.results(ResultQuery(batch: draft.id), after: 0, limit: 1)
        }
        #expect(throws: JobStoreError.batchIsDraft(draft.id)) { try store.cancel(draft.id, at: 6) }
        #expect(try store.systemStatus().pendingJobs == 0)
        #expect(try store.systemStatus().drafts == 1)

        let batch = try draft.commit(at: 7)
        let summary = try store.batch(batch)
        #expect(summary.status == .inProgress && summary.counts.pending == 2 && summary.counts.total == 2)
        #expect(summary.endpoint == "/v1/completions" && summary.model == "m" && summary.created == 5)
        #expect(try store.systemStatus().pendingJobs == 2)
        #expect(throws: JobStoreError.draftClosed(batch)) { _ = try draft.append([.sample(3)]) }
    }

    @Test(arguments: StoreKind.allCases)
    func theEndpointOfABatchIsThatOfAllItsJobs(kind: StoreKind) throws {
        let fixture = try kind.make()
        var other = NewJob.sample(2)
        other.endpoint = "/v1/chat/completions"
        var duplicate = other
        duplicate.customID = "c1"
        let uniform = try fixture.store.beginBatch(NewBatch(name: "a"), at: 0)
        _ = try uniform.append([.sample(1), duplicate])
        _ = try uniform.append([.sample(3)])
        #expect(try fixture.store.batch(uniform.commit(at: 1)).endpoint == "/v1/completions")
        let mixed = try fixture.store.beginBatch(NewBatch(name: "b"), at: 0)
        _ = try mixed.append([.sample(1)])
        _ = try mixed.append([other])
        #expect(try fixture.store.batch(mixed.commit(at: 1)).endpoint == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func duplicatesAreNamedWithTheFirstLine(kind: StoreKind) throws {
        let fixture = try kind.make()
        let draft = try fixture.store.beginBatch(NewBatch(name: "a"), at: 0)
        #expect(try draft.append([.sample(1, customID: "x"), .sample(2, customID: "y\0a")]).isEmpty)
        let duplicates = try draft.append([
            .sample(3, customID: "x"), .sample(4, customID: "y\0b"), .sample(5, customID: "y\0a"),
        ])
        #expect(
            duplicates == [
                DuplicateCustomID(line: 3, firstLine: 1, customID: "x"),
                DuplicateCustomID(line: 5, firstLine: 2, customID: "y\0a"),
            ])
        // The same names are free in another batch.
        let other = try fixture.store.beginBatch(NewBatch(name: "b"), at: 0)
        #expect(try other.append([.sample(1, customID: "x")]).isEmpty)
        #expect(try fixture.store.batch(draft.commit(at: 1)).counts.total == 3)
    }

    @Test(arguments: StoreKind.allCases)
    func rejectedLinesAreFailedJobsAtOnce(kind: StoreKind) throws {
        let fixture = try kind.make()
        let error = JobError(code: "invalid_json", message: "no JSON\0here", status: 400)
        let draft = try fixture.store.beginBatch(NewBatch(name: "a"), at: 3)
        _ = try draft.append(
            [.sample(2, customID: "x")],
            rejected: [
                RejectedLine(line: 1, customID: nil, error: error),
                RejectedLine(line: 3, customID: "x", error: error),
            ])
        let batch = try draft.commit(at: 4)
        let counts = try fixture.store.batch(batch).counts
        #expect(counts.total == 3 && counts.failed == 2 && counts.rejected == 2 && counts.pending == 1)
        let results = try fixture.store.allResults(ResultQuery(batch: batch))
        #expect(results.map(\.line) == [1, 3])
        #expect(results.map(\.customID) == [nil, "x"])
        #expect(results.allSatisfy { $0.outcome == .failed(error) && $0.attempt == 0 })
    }

    /// What results call the model, and the field that an error is about, come back as they were given.
    @Test(arguments: StoreKind.allCases)
    func namesOfModelsAndFieldsAreKept(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let draft = try store.beginBatch(NewBatch(name: "a", model: "m", modelName: "asked\0for"), at: 0)
        var jobs = (1...600).map { NewJob.sample($0) }
        jobs[1].modelName = "own"
        jobs[599].modelName = ""
        let bad = JobError(code: "c", message: "m", status: 400, param: "messages[2].content")
        _ = try draft.append(jobs, rejected: [RejectedLine(line: 601, customID: nil, error: bad)])
        let batch = try draft.commit(at: 1)
        #expect(try store.batch(batch).model == "m" && store.batch(batch).modelName == "asked\0for")
        let life = try store.openIncarnation(lease: store.acquireLease()).incarnation
        let claimed = try store.claimNext(600, incarnation: life, at: 2)
        let failure = JobError(code: "d", message: "m", status: 400, param: "prompt")
        _ = try store.finish(
            claimed.map { JobCompletion(ticket: $0.ticket, outcome: .failed(failure)) }, incarnation: life, at: 3)
        let results = try store.allResults(ResultQuery(batch: batch))
        #expect(results.map(\.modelName) == [nil, "own"] + [String?](repeating: nil, count: 597) + ["", nil])
        #expect(results.map(\.outcome) == [JobResult.Outcome](repeating: .failed(failure), count: 600) + [.failed(bad)])

        let again = try store.retry(batch, at: 4)
        #expect(try store.batch(again).model == "m" && store.batch(again).modelName == "asked\0for")
        let copies = try store.allResults(ResultQuery(batch: again, states: [.pending]))
        #expect(copies.map(\.modelName) == results.dropLast().map(\.modelName))
    }

    @Test(arguments: StoreKind.allCases)
    func aBatchOfRejectedLinesIsCompleteAndAnEmptyOneRefused(kind: StoreKind) throws {
        let fixture = try kind.make()
        let draft = try fixture.store.beginBatch(NewBatch(name: "a"), at: 3)
        #expect(throws: JobStoreError.emptyBatch) { try draft.commit(at: 4) }
        let line = RejectedLine(line: 1, customID: nil, error: JobError(code: "c", message: "m", status: 400))
        _ = try draft.append([], rejected: [line])
        let summary = try fixture.store.batch(draft.commit(at: 4))
        #expect(summary.status == .completed && summary.finished == 4)
    }

    @Test(arguments: StoreKind.allCases)
    func discardLeavesNothing(kind: StoreKind) throws {
        let fixture = try kind.make()
        let draft = try fixture.store.beginBatch(NewBatch(name: "a"), at: 0)
        _ = try draft.append((1...5000).map { .sample($0) })
        try draft.discard()
        #expect(try fixture.store.batches(before: nil, limit: 9, includingDrafts: true).isEmpty)
        #expect(throws: JobStoreError.batchNotFound(draft.id)) { try fixture.store.batch(draft.id) }
        #expect(try fixture.store.enqueue(1) > draft.id)
    }

    @Test(arguments: StoreKind.allCases)
    func sweepingTakesOnlyDraftsWithoutAnOwner(kind: StoreKind) throws {
        let fixture = try kind.make()
        let living = try fixture.store.beginBatch(NewBatch(name: "living"), at: 0)
        var orphan: (any BatchDraft)? = try fixture.store.beginBatch(NewBatch(name: "orphan"), at: 0)
        _ = try orphan?.append([.sample(1)])
        let orphanID = try #require(orphan?.id)
        orphan = nil
        #expect(try fixture.store.sweepOrphanedDrafts() == [orphanID])
        _ = try living.append([.sample(1)])
        _ = try living.commit(at: 1)
        #expect(try fixture.store.sweepOrphanedDrafts().isEmpty)
    }
}
