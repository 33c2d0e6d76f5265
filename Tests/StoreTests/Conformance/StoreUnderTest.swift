// The stores that the conformance suite runs on, and a fresh database for each test.

import Foundation
import MemoryStore
import PostgresStore
import Runtime
import SQLiteStore
import StoreContract
import TestSupport
import Testing

/// A kind of store; every test of the suite runs on each.
enum StoreKind: CaseIterable, Sendable {
    case sqlite, memory, postgres

    /// Without PostgreSQL's programs its store is left out; `etc/test` says so.
    static var allCases: [StoreKind] {
        [.sqlite, .memory] + (PostgresServer.programs == nil ? [] : [.postgres])
    }

    /// A fresh, empty store.
    func make() throws -> StoreUnderTest {
        switch self {
        case .sqlite:
            let folder = try TemporaryFolder()
            return StoreUnderTest(store: try SQLiteJobStore(path: folder.file("jobs.db"), at: 0), keeping: folder)
        case .memory:
            let queue = MemoryQueue()
            return StoreUnderTest(store: MemoryJobStore(queue), keeping: queue)
        case .postgres:
            let database = try PostgresDatabase()
            let store = try PostgresJobStore(
                database.address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
            return StoreUnderTest(store: store, keeping: database)
        }
    }
}

/// A store, with what must outlive it.
struct StoreUnderTest {
    let store: any ServedStore
    private let resources: AnyObject

    init(store: any ServedStore, keeping resources: AnyObject) {
        self.store = store
        self.resources = resources
    }
}

extension NewJob {
    /// A job whose fields follow from its line.
    static func sample(_ line: Int64, customID: String? = nil) -> NewJob {
        NewJob(
            line: line, customID: customID ?? "c\(line)", endpoint: "/v1/completions",
            body: Array(#"{"prompt":"\#(line)"}"#.utf8))
    }
}

extension JobCompletion {
    /// A success whose text follows from the job.
    static func success(_ job: ClaimedJob) -> JobCompletion {
        JobCompletion(
            ticket: job.ticket,
            outcome: .succeeded(Generation([Choice(text: "text of \(job.customID)", finishReason: "stop")])),
            usage: TokenUsage(promptTokens: 3, cachedTokens: 1, completionTokens: 5),
            timings: JobTimings(queuedMS: 1, prefillMS: 2, decodeMS: 3, totalMS: 6))
    }

    static func failure(_ job: ClaimedJob) -> JobCompletion {
        JobCompletion(
            ticket: job.ticket, outcome: .failed(JobError(code: "too_long", message: "too long", status: 400)))
    }
}

extension JobStore {
    /// Enqueues `count` sample jobs.
    func enqueue(_ count: Int64, name: String = "prompts.jsonl", model: String? = nil) throws -> BatchID {
        try enqueue(count, NewBatch(name: name, model: model))
    }

    func enqueue(_ count: Int64, _ batch: NewBatch, at now: Milliseconds = 1) throws -> BatchID {
        let draft = try beginBatch(batch, at: now)
        #expect(try draft.append((1...count).map { .sample($0) }).isEmpty)
        return try draft.commit(at: now + 1)
    }

    /// Claims what the daemon would, batch after batch, whatever their models.
    func claimNext(_ limit: Int, incarnation: Incarnation, at now: Milliseconds) throws -> [ClaimedJob] {
        _ = try advanceTime(to: now)
        var claimed: [ClaimedJob] = []
        while claimed.count < limit, let batch = try claimableBatch(among: nil) {
            claimed += try claim(limit - claimed.count, of: batch.id, incarnation: incarnation, at: now)
        }
        return claimed
    }

    func openIncarnation(lease: any DaemonLease, maxCrashes: Int = 3, at now: Milliseconds = 10) throws
        -> OpenedIncarnation
    {
        try openIncarnation(
            NewIncarnation(pid: 1, host: "h", version: "1", model: "m", device: "host"), lease: lease,
            maxCrashes: maxCrashes, at: now)
    }

    /// All results, through small pages.
    func allResults(_ query: ResultQuery) throws -> [JobResult] {
        var cursor = resultsCursor(query, pageSize: 3)
        var all: [JobResult] = []
        while true {
            let page = try cursor.nextPage()
            if page.isEmpty { return all }
            all += page
        }
    }
}

/// A value of an unexpected kind.
struct Unexpected: Error {}
