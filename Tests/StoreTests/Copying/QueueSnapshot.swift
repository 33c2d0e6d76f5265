// All of a queue that can be read through the contract.

import Runtime
import StoreContract
import Testing

/// What a copy must have, too. The numbers of jobs are the store's own, and are left out.
struct QueueSnapshot {
    struct Batch: Equatable {
        var summary: BatchSummary
        var named: BatchID?
        var jobs: [JobResult] = []
        var bodies: [[UInt8]?] = []
        var byCompletion: [Int64] = []
        var failures: [FailureGroup] = []
        var another: AnotherAttempt?
        var recent: RecentCompletions?
        var sample: [SampledJob] = []
        var resultFiles: [Bool] = []
    }

    var batches: [Batch] = []
    var status: SystemStatus
    var state: QueueState
    var incarnations: [IncarnationSummary]
    var metrics: [MetricsInterval]
    var keys: [ServerKey]
    var files: [UploadedFile]
    var submissions: [BatchID]
    var systems: [SystemRecord?] = []
    var claimable: ClaimableBatch?
    var nextAttempt: Milliseconds?

    init(of store: any ServedStore) throws {
        status = try store.systemStatus()
        status.cluster = nil
        state = try store.queueState()
        state.logBytes = nil
        incarnations = try store.incarnations(limit: 1000)
        metrics = try store.metrics(.period(from: 0, to: Milliseconds(rawValue: .max)), limit: 1000)
        keys = try store.keys()
        files = try store.uploadedFiles(of: nil, after: nil, newestFirst: false, limit: 1000)
        submissions = try store.submissions()
        claimable = try store.claimableBatch(among: nil)
        nextAttempt = try store.nextAttempt(among: nil)
        for summary in try store.batches(before: nil, limit: 10_000, includingDrafts: false) {
            batches.append(try Batch(summary, of: store))
        }
        let fingerprints = batches.flatMap(\.jobs).compactMap { job in
            if case .succeeded(let generation) = job.outcome { generation.fingerprint } else { nil }
        }
        systems = try Set(fingerprints).sorted().map { try store.system($0) }
    }
}

extension QueueSnapshot {
    /// Part by part, so that a failure says which one differs.
    func expectEqual(_ other: QueueSnapshot) {
        #expect(batches.map(\.summary.id) == other.batches.map(\.summary.id))
        for (batch, expected) in zip(batches, other.batches) { #expect(batch == expected) }
        #expect(status == other.status)
        #expect(state == other.state)
        #expect(incarnations == other.incarnations)
        #expect(metrics == other.metrics)
        #expect(keys == other.keys && files == other.files)
        #expect(submissions == other.submissions && systems == other.systems)
        #expect(claimable == other.claimable && nextAttempt == other.nextAttempt)
    }
}

extension QueueSnapshot.Batch {
    fileprivate init(_ summary: BatchSummary, of store: any ServedStore) throws {
        self.summary = summary
        named = try summary.uniqueName.flatMap { try store.batch(named: $0) }
        resultFiles = try [(summary.files.output, ResultFileKind.output), (summary.files.errors, .errors)].map {
            id, kind in
            guard let id, let found = try store.resultFile(id) else { return false }
            return found == (summary.id, kind)
        }
        guard !summary.isDraft else { return }
        jobs = try store.allResults(ResultQuery(batch: summary.id, states: Set(JobState.allCases)))
        bodies = try jobs.map { try store.requestBody(of: $0.id) }
        for index in jobs.indices { jobs[index].id = JobID(rawValue: 0) }
        byCompletion = try store.allResults(ResultQuery(batch: summary.id, order: .completion)).map(\.line)
        failures = try store.failures(of: summary.id)
        another = try store.anotherAttempt(of: summary.id)
        recent = try store.recentCompletions(of: summary.id, limit: 5)
        sample = try store.sampleOfJobs(of: summary.id, limit: 50)
    }
}
