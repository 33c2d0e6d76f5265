// What every job store must do when batches are cancelled or run again.

import Runtime
import StoreContract
import Testing

@Suite
struct CancelAndRetryConformance {
    @Test(arguments: StoreKind.allCases)
    func cancelKeepsWhatHasFinishedAndDropsLateResults(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(6)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claimNext(3, incarnation: life, at: 20)
        _ = try store.finish([.success(jobs[1])], incarnation: life, at: 30)
        #expect(try store.revoked(among: jobs.map(\.ticket), incarnation: life) == [jobs[1].ticket])
        let report = try store.cancel(batch, at: 40)
        #expect(report == CancelReport(cancelled: 5, keptFinished: 1))
        #expect(try store.revoked(among: [jobs[0].ticket], incarnation: life) == [jobs[0].ticket])
        #expect(try store.finish([.success(jobs[0])], incarnation: life, at: 50).stale == [jobs[0].ticket])
        #expect(try store.release([jobs[2].ticket], incarnation: life, because: .stopping, at: 51).requeued == 0)

        let summary = try store.batch(batch)
        #expect(summary.status == .cancelled && summary.finished == 40 && summary.counts.cancelled == 5)
        let results = try store.allResults(ResultQuery(batch: batch, order: .completion))
        #expect(results.map(\.state) == [.succeeded] + Array(repeating: .cancelled, count: 5))
        #expect(throws: JobStoreError.batchAlreadyFinished(batch, .cancelled)) { try store.cancel(batch, at: 60) }
        #expect(try store.completeCancellations(at: 61).isEmpty)
        let unknown = BatchID(rawValue: 99)
        #expect(throws: JobStoreError.batchNotFound(unknown)) { try store.cancel(unknown, at: 1) }
    }

    @Test(arguments: StoreKind.allCases)
    func retryCopiesTheFailedJobsIntoALinkedBatch(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let draft = try store.beginBatch(NewBatch(name: "n", model: "m"), at: 0)
        let rejection = JobError(code: "c", message: "m", status: 400)
        _ = try draft.append(
            (1...3).map { .sample($0) }, rejected: [RejectedLine(line: 4, customID: nil, error: rejection)])
        let batch = try draft.commit(at: 1)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        #expect(throws: JobStoreError.batchNotFinished(batch, .inProgress)) { try store.retry(batch, at: 15) }
        let jobs = try store.claimNext(9, incarnation: life, at: 20)
        _ = try store.finish(
            [.failure(jobs[2]), .success(jobs[0]), .failure(jobs[1])], incarnation: life, at: 30)
        let before = try store.batch(batch)

        let second = try store.retry(batch, at: 40)
        #expect(try store.batch(batch) == before)
        let summary = try store.batch(second)
        #expect(summary.retryOf == batch && summary.counts.total == 2 && summary.model == "m" && summary.name == "n")
        #expect(summary.endpoint == "/v1/completions")
        let again = try store.claimNext(9, incarnation: life, at: 50)
        #expect(again.map(\.customID) == ["c2", "c3"] && again.map(\.body) == [jobs[1].body, jobs[2].body])
        _ = try store.finish(again.map { .success($0) }, incarnation: life, at: 60)
        #expect(throws: JobStoreError.nothingToRetry(second)) { try store.retry(second, at: 70) }
        #expect(try store.batches(before: nil, limit: 9, includingDrafts: true).map(\.id) == [second, batch])
        #expect(try store.batches(before: second, limit: 9, includingDrafts: true).map(\.id) == [batch])
    }

    @Test(arguments: StoreKind.allCases)
    func aCauseIsRetriedAlone(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(5)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claimNext(9, incarnation: life, at: 20)
        let other = JobCompletion(
            ticket: jobs[3].ticket, outcome: .failed(JobError(code: "other", message: "m", status: 500)))
        _ = try store.finish(
            [.failure(jobs[0]), .success(jobs[1]), .failure(jobs[2]), other, .success(jobs[4])], incarnation: life,
            at: 30)
        let again = try store.retry(batch, states: [.failed, .expired], errorCode: "too_long", at: 40)
        #expect(try store.claim(9, of: again, incarnation: life, at: 50).map(\.customID) == ["c1", "c3"])
        let rest = try store.retry(batch, states: [.failed], errorCode: "other", at: 41)
        #expect(try store.claim(9, of: rest, incarnation: life, at: 51).map(\.customID) == ["c4"])
        for (states, code) in [(Set([JobState.failed]), "none"), ([.succeeded], "too_long")] {
            #expect(throws: JobStoreError.nothingToRetry(batch)) {
                try store.retry(batch, states: states, errorCode: code, at: 42)
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func aJobOfARunningBatchRunsAgainWithItsTime(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let draft = try store.beginBatch(NewBatch(name: "n", model: "m", modelName: "shown"), at: 7)
        let rejection = JobError(code: "c", message: "m", status: 400)
        _ = try draft.append(
            (1...3).map { .sample($0) }, rejected: [RejectedLine(line: 4, customID: "bad", error: rejection)])
        let batch = try draft.commit(at: 8)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claimNext(2, incarnation: life, at: 20)
        #expect(jobs[1].promptTime == 7 && jobs[1].created == 7)
        _ = try store.finish([.success(jobs[1])], incarnation: life, at: 30)
        #expect(try store.result(of: "c2", in: batch)?.state == .succeeded)
        #expect(try store.result(of: "c3", in: batch)?.state == .pending)
        #expect(try store.result(of: "bad", in: batch) == nil && store.result(of: "c9", in: batch) == nil)

        let second = try store.rerun("c2", of: batch, at: 40)
        let third = try store.rerun("c2", of: second, at: 50)
        let summary = try store.batch(third)
        #expect(summary.retryOf == second && summary.counts.total == 1 && summary.model == "m")
        _ = try store.cancel(batch, at: 55)
        for batch in [second, third] {
            let again = try store.claim(9, of: batch, incarnation: life, at: 60)
            #expect(again.map(\.body) == [jobs[1].body] && again.map(\.line) == [jobs[1].line])
            #expect(again[0].promptTime == 7 && again[0].created > 7 && again[0].customID == "c2")
        }
        _ = try store.cancel(third, at: 65)
        let retried = try store.retry(third, states: [.cancelled], at: 66)
        #expect(try store.claim(9, of: retried, incarnation: life, at: 67).first?.promptTime == 7)
        for missing in ["c9", "bad"] {
            #expect(throws: JobStoreError.nothingToRetry(batch)) { try store.rerun(missing, of: batch, at: 70) }
        }
        let unknown = BatchID(rawValue: 99)
        #expect(throws: JobStoreError.batchNotFound(unknown)) { try store.rerun("c2", of: unknown, at: 70) }
        #expect(throws: JobStoreError.batchNotFound(unknown)) { try store.result(of: "c2", in: unknown) }
    }

    @Test(arguments: StoreKind.allCases)
    func whatMadeAResultIsKept(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let batch = try store.enqueue(2)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let system = SystemRecord(["version": "1", "device": "a \"host\""])
        for _ in 0..<2 { try store.record(system) }
        try store.record(SystemRecord(["version": "2"]))
        #expect(try store.system(system.fingerprint) == system && store.system("fp_0") == nil)
        let jobs = try store.claimNext(2, incarnation: life, at: 20)
        let generation = Generation(
            [Choice(text: "t", finishReason: "stop")], seed: -3, fingerprint: system.fingerprint)
        _ = try store.finish(
            [JobCompletion(ticket: jobs[0].ticket, outcome: .succeeded(generation)), .success(jobs[1])],
            incarnation: life, at: 30)
        let outcomes = try store.allResults(ResultQuery(batch: batch)).map(\.outcome)
        #expect(outcomes[0] == .succeeded(generation))
        if case .succeeded(let other) = outcomes[1] { #expect(other.seed == nil && other.fingerprint == nil) }
    }
}
