// Retention touches only what has ended.

import Runtime
import StoreContract
import Testing

@Suite struct RetentionConformance {
    @Test(arguments: StoreKind.allCases)
    func pruningDeletesOldEndedBatchesAndNothingElse(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let (old, young, cancelled, running, waiting) = (
            try store.enqueue(2), try store.enqueue(2), try store.enqueue(2), try store.enqueue(2), try store.enqueue(2)
        )
        func work(_ batch: BatchID, at now: Milliseconds) throws {
            let jobs = try store.claim(9, of: batch, incarnation: life, at: now)
            _ = try store.finish([.success(jobs[0]), .failure(jobs[1])], incarnation: life, at: now)
        }
        try work(old, at: 100)
        try work(young, at: 900)
        _ = try store.cancel(cancelled, at: 100)
        _ = try store.claim(1, of: running, incarnation: life, at: 100)
        let again = try store.retry(old, at: 110)
        let draft = try store.beginBatch(NewBatch(name: "draft"), at: 1)
        _ = try draft.append([.sample(1)])
        for start in [50, 500] as [Milliseconds] {
            try store.record(
                MetricsInterval(incarnation: life, start: start, end: Milliseconds(rawValue: start.rawValue + 60)))
        }

        let report = try store.prune(finishedBefore: 500)
        #expect(report.batches == [old, cancelled] && report.jobs == 4 && report.metrics == 1)
        for batch in [old, cancelled] {
            #expect(throws: JobStoreError.batchNotFound(batch)) { try store.batch(batch) }
        }
        #expect(try store.batch(again).retryOf == nil)
        #expect(try store.batch(young).counts.finished == 2)
        #expect(try store.batch(running).counts.running == 1)
        #expect(try store.batch(waiting).counts.pending == 2)
        #expect(try store.metrics(.incarnation(life), limit: 9).map(\.start) == [500])
        #expect(try draft.commit(at: 120) == draft.id)
        #expect(try store.prune(finishedBefore: 500) == PruneReport())
        // Numbers are not given out again.
        #expect(try store.enqueue(1) > draft.id)
    }

    /// A retry that began when its original is being deleted, as a draft, would hold it.
    @Test(arguments: StoreKind.allCases)
    func noRetryBeginsOfWhatIsBeingDeleted(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(2)
        _ = try store.cancel(batch, at: 10)
        let retry = try store.beginBatch(NewBatch(name: "again", retryOf: batch), at: 11)
        _ = try retry.append([.sample(1)])
        try store.delete(batch)
        #expect(try store.batch(retry.commit(at: 12)).retryOf == nil)
        let draft = try store.beginBatch(NewBatch(name: "draft"), at: 13)
        for original in [batch, draft.id] {
            #expect(throws: JobStoreError.batchNotFound(original)) {
                _ = try store.beginBatch(NewBatch(name: "again", retryOf: original), at: 14)
            }
        }
        try draft.discard()
        #expect(throws: JobStoreError.batchNotFound(draft.id)) { try store.batch(draft.id) }
    }
}
