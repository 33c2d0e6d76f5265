// The values that go over HTTP come back as they were.

import Foundation
import Runtime
import Sampling
import StoreContract
import Testing

@Suite struct CodingTests {
    private func expectSame<Value: Codable & Equatable>(
        _ value: Value, _ location: SourceLocation = #_sourceLocation
    ) throws {
        let text = try JSONEncoder().encode(value)
        #expect(try JSONDecoder().decode(Value.self, from: text) == value, sourceLocation: location)
    }

    private static let batch = BatchID(rawValue: .max)

    @Test(arguments: [
        JobStoreError.notFound(path: "/secret"), .notAJobStore(path: "/secret", reason: "\u{1F600}\n"),
        .newerSchema(path: "/secret", found: 9, supported: 8), .olderSchema(path: "/secret", found: 1, supported: 8),
        .migrationChanged(path: "/secret", name: "b", applied: "c", known: "d"),
        .networkFilesystem(path: "/secret", kind: "nfs"),
        .system(operation: "open", path: "/secret", errno: 13, reason: "no"), .batchNotFound(batch),
        .batchIsDraft(batch),
        .batchAlreadyFinished(batch, .completed), .batchNotFinished(batch, .inProgress), .nothingToRetry(batch),
        .nameTaken("a \"b\"", by: batch), .emptyBatch, .draftClosed(batch),
        .daemonRunning(path: "/secret", pid: nil, since: 17), .readOnly(path: "/secret"), .diskFull(path: ""),
        .busy(path: "/secret"),
        .corrupt(path: "/secret", reason: "b"), .database(path: "/secret", code: -1, reason: "b"),
        .unreachable(server: "http://a", reason: "b"), .refused(server: "http://a", reason: "b"),
    ])
    func errors(_ error: JobStoreError) throws {
        try expectSame(error)
        let seen = error.seen(at: "http://a")
        #expect(seen?.description.contains("secret") != true)
        if let seen { #expect(seen.seen(at: "http://a") == seen && "\(type(of: seen))" == "JobStoreError") }
    }

    @Test func results() throws {
        let token = ScoredToken(token: -7, bytes: [0, 255, 34], logprob: -.infinity)
        let position = ScoredPosition(
            own: ScoredToken(token: 1, bytes: [], logprob: nil), top: [token, token],
            requested: [ScoredToken(token: 2, bytes: [97], logprob: -0.1)], rank: 3)
        let choice = Choice(
            text: "a\u{0}\"\\\u{2028}é", reasoning: "", toolCalls: "[]", confidence: "{}", scores: "[]", unread: "x",
            finishReason: "stop", isComplete: false, stopReason: .string("\n"), promptTokenIDs: [1, -1], tokenIDs: [],
            logprobs: [position, position], promptLogprobs: [])
        let outcomes: [JobResult.Outcome] = [
            .unfinished, .cancelled, .expired,
            .failed(JobError(code: "a", message: "b", status: 400, param: "c[0]")),
            .succeeded(
                Generation([choice, Choice(text: "", finishReason: "length")], seed: .min, fingerprint: "fp_0")),
        ]
        for (outcome, state) in zip(outcomes, JobState.allCases) {
            try expectSame(
                JobResult(
                    id: JobID(rawValue: 1 << 60), batch: Self.batch, line: 1, customID: nil,
                    endpoint: "/v1/completions",
                    modelName: "m", state: state, attempt: 2, outcome: outcome,
                    usage: TokenUsage(promptTokens: 1, cachedTokens: 2, completionTokens: 3),
                    timings: JobTimings(queuedMS: 1, prefillMS: 2, decodeMS: 3, totalMS: 4), created: 5, finished: nil,
                    finishSequence: 6))
        }
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([ScoredPosition].self, from: Data("[\"0g\"]".utf8))
        }
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([ScoredPosition].self, from: Data("[\"00\"]".utf8))
        }
    }

    @Test func reports() throws {
        let progress = BatchProgress(
            batch: Self.batch, updated: 1, unfinishedTokens: 2,
            pace: .init(tokensPerSecond: 0.1, tokenMS: 1 / 3, tokenMSGrowth: -1e-300), running: 3, runningTokens: 4,
            runningLimit: 5)
        let counts = JobCounts(
            total: 1, rejected: 2, pending: 3, running: 4, succeeded: 5, failed: 6, cancelled: 7, expired: 8)
        for status in BatchStatus.allCases {
            try expectSame(
                BatchSummary(
                    id: Self.batch, name: "a/b", uniqueName: "ü", endpoint: nil, model: "m", modelName: nil,
                    status: status, priority: BatchPriority(rawValue: -1000)!, deadline: 9, paused: nil,
                    modelTrouble: ModelTrouble(times: 2, reason: "r", until: nil), retryOf: BatchID(rawValue: 1),
                    created: 10, started: 11, finished: nil, counts: counts, usage: TokenUsage(), timedJobs: 12,
                    timings: JobTimings(queuedMS: 1, prefillMS: 2, decodeMS: 3, totalMS: 4), progress: progress))
        }
        try expectSame(FailureGroup(code: "a", jobs: 1, attempts: 2, line: 3, message: "b"))
        try expectSame(AnotherAttempt(jobs: 1, next: 2))
        try expectSame(RecentCompletions(jobs: 1, from: 2, to: 3))
        try expectSame(CancelReport(cancelled: 1, keptFinished: 2))
        var interval = MetricsInterval(incarnation: Incarnation(rawValue: 1), start: 2, end: 3)
        interval.kvBlocksMean = 0.1 + 0.2
        for daemon in [DaemonPresence.absent, .unknown, .running(pid: nil), .running(pid: 7)] {
            try expectSame(
                SystemStatus(
                    daemon: daemon,
                    latestIncarnation: IncarnationSummary(
                        id: Incarnation(rawValue: 1),
                        daemon: NewIncarnation(pid: 1, host: "h", version: "v", model: "m", device: "d"), started: 1,
                        stopped: nil), paused: 4, openBatches: 5, drafts: 6, pendingJobs: 7, runningJobs: 8,
                    latestMetrics: interval))
        }
        try expectSame(
            MetricsSummary(
                intervals: 1, coveredMS: 2, promptTokens: 3, cachedTokens: 4, generatedTokens: 5, prefillSteps: 6,
                decodeSteps: 7, decodeRows: 8, decodeRowCapacity: 9, preemptions: 10, kvBlocksMean: 1 / 3,
                kvBlocksMax: 11, kvBlocksTotal: 12, jobsSucceeded: 13, jobsFailed: 14))
    }
}
