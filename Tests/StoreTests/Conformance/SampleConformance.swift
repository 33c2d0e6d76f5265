// What every job store must tell people who look at a batch without reading all of it.

import Runtime
import StoreContract
import Testing

@Suite struct SampleConformance {
    @Test func placesAreSpreadEvenly() {
        #expect(SampledJob.places(of: 3, limit: 5) == [1, 2, 3] && SampledJob.places(of: 0, limit: 5).isEmpty)
        #expect(SampledJob.places(of: 1_000_000, limit: 3) == [1, 500_000, 1_000_000])
        #expect(SampledJob.places(of: 9, limit: 1) == [1] && SampledJob.places(of: 9, limit: 0).isEmpty)
        #expect(Set(SampledJob.places(of: 401, limit: 400)).count == 400)
    }

    @Test(arguments: StoreKind.allCases)
    func samplesAreOfJobsThatRan(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let draft = try store.beginBatch(NewBatch(name: "n"), at: 0)
        let rejection = JobError(code: "c", message: "m", status: 400)
        _ = try draft.append(
            (1...9).map { .sample($0) }, rejected: [RejectedLine(line: 10, customID: "bad", error: rejection)])
        let batch = try draft.commit(at: 1)
        #expect(try store.sampleOfJobs(of: batch, limit: 9).isEmpty)
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claimNext(9, incarnation: life, at: 20)
        for job in jobs.reversed() { _ = try store.finish([.success(job)], incarnation: life, at: 30) }
        // The rejected line has the first place, and did not run.
        let all = try store.sampleOfJobs(of: batch, limit: 100)
        #expect(all.map(\.finishSequence) == Array(2...10) && all.allSatisfy { $0.state == .succeeded })
        #expect(all[0].timings == JobTimings(queuedMS: 1, prefillMS: 2, decodeMS: 3, totalMS: 6))
        #expect(all[0].usage == TokenUsage(promptTokens: 3, cachedTokens: 1, completionTokens: 5))
        #expect(try store.sampleOfJobs(of: batch, limit: 3).map(\.finishSequence) == [5, 10])
        let unknown = BatchID(rawValue: 99)
        #expect(throws: JobStoreError.batchNotFound(unknown)) { try store.sampleOfJobs(of: unknown, limit: 3) }
    }

    @Test(arguments: StoreKind.allCases)
    func aRequestIsReadAsItWasEnqueued(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let draft = try store.beginBatch(NewBatch(name: "n"), at: 0)
        let rejection = JobError(code: "c", message: "m", status: 400)
        _ = try draft.append([.sample(1)], rejected: [RejectedLine(line: 2, customID: "bad", error: rejection)])
        let batch = try draft.commit(at: 1)
        let query = ResultQuery(batch: batch, states: Set(JobState.allCases))
        let jobs = try store.results(query, after: 0, limit: 9)
        #expect(try store.requestBody(of: jobs[0].id) == NewJob.sample(1).body)
        #expect(try store.requestBody(of: jobs[1].id) == nil && store.requestBody(of: JobID(rawValue: 99)) == nil)
    }
}
