// A queue that has something of everything, as if a night's work ended with two crashes.

import Runtime
import Sampling
import StoreContract
import Testing

/// Fills a store through the contract.
struct FullQueue {
    let store: any ServedStore
    /// The number of a batch that was deleted: no other may get it.
    private(set) var deleted = BatchID(rawValue: 0)

    /// Fills `store`, which is empty. No daemon runs after that; the last two died, with jobs in flight.
    init(_ store: any ServedStore) throws {
        self.store = store
        let lease = try store.acquireLease()
        defer { lease.release() }
        let life = try store.openIncarnation(lease: lease, at: 100).incarnation
        try keysAndFiles()
        try completed(life)
        try faults(life)
        try ends(life)
        try submissions()
        try store.closeIncarnation(life, at: 5_000)
        try deaths(lease)
        try pending()
    }

    private func keysAndFiles() throws {
        for name in ["a", "b ü"] {
            try store.add(
                ServerKey(
                    name: name, publicID: "p-\(name)", tenant: Tenant(rawValue: "t\(name)"), scopes: [.read, .submit],
                    hash: "$5$\(name)", created: 3))
        }
        for number in 0..<3 {
            try store.add(
                UploadedFile(
                    id: file(number), tenant: number == 0 ? nil : Tenant(rawValue: "t"), name: "f\(number)\u{0}é.jsonl",
                    purpose: "batch", bytes: Int64(number) << 33, created: Milliseconds(rawValue: Int64(number)),
                    expires: number == 1 ? 99 : nil))
        }
    }

    private func file(_ number: Int) -> FileID {
        FileID(rawValue: "file-" + String(repeating: "\(number)", count: 32))!
    }

    /// Texts of every kind, rejected lines, and a retry.
    private func completed(_ life: Incarnation) throws {
        let system = SystemRecord(["model": "m\u{0}", "device": "host"])
        try store.record(system)
        let draft = try store.beginBatch(
            NewBatch(
                name: "nul \u{0} ü", model: "m", modelName: "shown", uniqueName: "night \u{0}",
                priority: BatchPriority(rawValue: 7)!,
                promptTime: 77, tenant: Tenant(rawValue: "t\u{0}")), at: 110)
        let rejections = [
            RejectedLine(
                line: 3, customID: nil,
                error: JobError(code: "c\u{0}", message: "m\u{0}", status: 400, param: "a[\u{0}]")),
            RejectedLine(line: 6, customID: "c1", error: JobError(code: "c", message: "", status: 422)),
        ]
        let ranks: [Int64: Int64] = [1: 5, 2: -3, 4: 0, 5: 0, 7: .max, 8: .min]
        let jobs = ranks.sorted { $0.key < $1.key }.map { line, rank -> NewJob in
            let endpoint = line == 2 ? "/v1/chat/completions" : "/v1/completions"
            let body = Array("{\"prompt\":\"\u{0}\(line)\"}".utf8)
            return NewJob(
                line: line, customID: "c\(line)\u{0}", endpoint: endpoint, body: body,
                modelName: line == 4 ? "other\u{0}" : nil, claimRank: rank)
        }
        _ = try draft.append(jobs, rejected: rejections)
        let batch = try draft.commit(at: 120)
        let claimed = try store.claim(9, of: batch, incarnation: life, at: 130)
        let position = ScoredPosition(
            own: ScoredToken(token: 1, bytes: [0, 255], logprob: -0.25),
            top: [ScoredToken(token: 2, bytes: [], logprob: -.infinity)],
            requested: [ScoredToken(token: 3, bytes: [0], logprob: -1e-30)], rank: 12)
        let choices = [
            Choice(
                text: "nul \u{0}", finishReason: "stop", logprobs: [position, position], promptLogprobs: [position]),
            Choice(text: "", finishReason: "length", isComplete: false, tokenIDs: [], logprobs: []),
            Choice(
                text: "", reasoning: "r\u{0}", toolCalls: "[{}]", confidence: "{}", scores: "[]", unread: "u",
                finishReason: "tool_calls", isComplete: true, stopReason: .string("\u{0}stop"),
                promptTokenIDs: [1, -1],
                tokenIDs: [.max]),
            Choice(text: "d", finishReason: "stop", stopReason: .token(5)),
        ]
        let completions = claimed.enumerated().map { index, job in
            let generation = Generation(
                Array(choices.dropFirst(index % 4)), seed: index == 0 ? nil : Int64.min + Int64(index),
                fingerprint: index == 1 ? nil : system.fingerprint)
            let error = JobError(code: "bad", message: "bad\u{0}", status: 500, param: nil)
            return JobCompletion(
                ticket: job.ticket, outcome: index == 2 ? .failed(error) : .succeeded(generation),
                usage: TokenUsage(promptTokens: index, cachedTokens: 1, completionTokens: 1 << 40),
                timings: index == 3
                    ? nil : JobTimings(queuedMS: 0, prefillMS: 2, decodeMS: 3, totalMS: 5 + Int64(index)))
        }
        // In two groups, and not in the order of the lines.
        _ = try store.finish(completions.suffix(2), incarnation: life, at: 140)
        _ = try store.finish(completions.dropLast(2), incarnation: life, at: 150)
        #expect(try store.batch(batch).status == .completed)
        let retry = try store.retry(batch, at: 160)
        #expect(try store.batch(retry).retryOf == batch)
        _ = try store.rerun("c4\u{0}", of: batch, at: 161)
        try store.pause(retry, at: 162)
        try store.withdrawResultFile(.output, of: retry)
        for start in [Int64(0), 10_000, 20_000] {
            var interval = MetricsInterval(
                incarnation: life, start: Milliseconds(rawValue: start), end: Milliseconds(rawValue: start + 10_000))
            interval.kvBlocksMean = 0.1 + Double(start)
            interval.generatedTokens = start
            interval.queueDepth = 3
            try store.record(interval)
        }
    }

    /// Jobs that came back, for every reason.
    private func faults(_ life: Incarnation) throws {
        let batch = try store.enqueue(9, NewBatch(name: "faults", priority: BatchPriority(rawValue: 3)!), at: 200)
        let jobs = try store.claim(6, of: batch, incarnation: life, at: 210)
        let backoff = Backoff(firstMS: 60_000, longestMS: 60_000)
        let reasons: [ReleaseReason] = [
            .stopping, .crash(maxCrashes: 3, backoff: backoff, because: "x"), .crash(maxCrashes: 1),
            .badOutput(maxBadOutputs: 3, because: "nan"),
            .badOutput(maxBadOutputs: 3, backoff: backoff, because: "nan"),
        ]
        for (job, reason) in zip(jobs, reasons) {
            try store.release([job.ticket], incarnation: life, because: reason, at: 220)
        }
        _ = try store.finish([.success(jobs[5])], incarnation: life, at: 230)
        let again = try store.claim(1, of: batch, incarnation: life, at: 240)
        try store.release(again.map(\.ticket), incarnation: life, because: .crash(maxCrashes: 3), at: 250)
    }

    /// Batches that end otherwise.
    private func ends(_ life: Incarnation) throws {
        let cancelled = try store.enqueue(5, NewBatch(name: "cancelled"), at: 300)
        let jobs = try store.claim(3, of: cancelled, incarnation: life, at: 310)
        _ = try store.finish([.failure(jobs[1])], incarnation: life, at: 320)
        _ = try store.cancel(cancelled, at: 330)
        let expiring = try store.enqueue(4, NewBatch(name: "expired", deadline: 400), at: 340)
        let first = try store.claim(1, of: expiring, incarnation: life, at: 350)
        _ = try store.advanceTime(to: 401)
        _ = try store.finish(first.map { .success($0) }, incarnation: life, at: 402)
        #expect(try store.batch(expiring).status == .expired)
    }

    private func submissions() throws {
        let submission = Submission(
            inputFile: file(2), endpoint: "/v1/completions", window: "24h", metadata: "{\"k\":\"\u{0}\"}")
        func submit(_ name: String?) throws -> BatchID {
            try store.submit(
                NewBatch(
                    name: "in.jsonl", uniqueName: name, deadline: 9_000_000, tenant: Tenant(rawValue: "t"),
                    submission: submission), at: 500)
        }
        let half = try submit("half")
        var new = NewBatch(name: "in.jsonl", model: "m", submission: submission)
        new.submitted = half
        let writer = try store.beginBatch(new, at: 501)
        _ = try writer.append([.sample(1)])
        try writer.discard()
        try store.reject(try submit(nil), errors: "[{\"code\":\"\u{0}\"}]", at: 510)
        _ = try store.cancel(try submit(nil), at: 520)
        new.submitted = try submit("whole")
        let filled = try store.beginBatch(new, at: 530)
        _ = try filled.append([.sample(1), .sample(2)])
        _ = try filled.commit(at: 531)
    }

    /// Two lives end with jobs in flight: those of the second are suspects.
    private func deaths(_ lease: any DaemonLease) throws {
        let batch = try store.enqueue(8, NewBatch(name: "in flight", priority: BatchPriority(rawValue: 9)!), at: 5_100)
        let first = try store.openIncarnation(lease: lease, at: 5_200).incarnation
        #expect(try store.claim(2, of: batch, incarnation: first, at: 5_210).count == 2)
        try store.noteLoading(for: batch, incarnation: first)
        let second = try store.openIncarnation(lease: lease, at: 5_300).incarnation
        let jobs = try store.claim(5, of: batch, incarnation: second, at: 5_310)
        #expect(jobs.count == 5)
        _ = try store.finish([.success(jobs[2])], incarnation: second, at: 5_320)
    }

    /// What was never claimed: urgent, paused; and the last batch is deleted.
    private mutating func pending() throws {
        _ = try store.enqueue(3, NewBatch(name: "urgent", deadline: 20_000), at: 6_000)
        _ = try store.enqueue(3, NewBatch(name: "later", deadline: 9_000_000), at: 6_000)
        _ = try store.advanceTime(to: 13_000)
        let paused = try store.enqueue(2, NewBatch(name: "paused"), at: 13_001)
        try store.pause(paused, at: 13_010)
        deleted = try store.enqueue(1, NewBatch(name: "gone"), at: 13_020)
        _ = try store.cancel(deleted, at: 13_030)
        try store.delete(deleted)
    }
}
