// The speed of the queue on a disk: the store's own operations, on a new database that is deleted afterwards.

import Foundation
import OpenAIFormats
import ResultExport
import Runtime
public import StoreContract

/// The results of the queue benchmark.
public struct QueueMeasurement: Sendable {
    /// Jobs stored per second, in drafts as `enqueue` writes them.
    public var storedPerSecond = 0.0
    /// The times of claims in milliseconds, ascending.
    public var claimMS: [Double] = []
    /// Jobs finished per second, in groups of the same size as the claims.
    public var finishedPerSecond = 0.0
    /// Jobs claimed and finished per second, both in groups.
    public var workedPerSecond = 0.0
    /// Output lines read and encoded per second.
    public var exportedPerSecond = 0.0
    /// Milliseconds from opening the database after a crash of the daemon to the first claim.
    public var restartMS = 0.0
    /// The maximum size of the write-ahead log, in bytes.
    public var walBytes: Int64 = 0
    /// The size of the database at the end, in bytes.
    public var databaseBytes: Int64 = 0

    /// The time of claims at a percentile, 0 to 100.
    public func claimMS(percentile: Double) -> Double {
        claimMS.isEmpty ? 0 : claimMS[min(claimMS.count - 1, Int(Double(claimMS.count) * percentile / 100))]
    }
}

/// A store that can report its size on disk.
public typealias BenchmarkedStore = DatabaseUpkeep & JobStore

/// Measures a store.
public struct QueueBenchmark: Sendable {
    /// The number of jobs that are claimed and finished.
    public var jobs = 100_000
    /// The number of jobs that have ended before, and of other jobs that stay pending.
    public var history = 0
    /// The number of jobs in a claim and in a group of completions.
    public var group = 64

    /// The body of each job.
    public static let body = Array(
        #"{"prompt":"Summarise the following in one sentence, please: 123456","max_tokens":16}"#.utf8)

    private let open: @Sendable (String) throws -> any BenchmarkedStore

    /// Makes a benchmark with the default sizes.
    ///
    /// - Parameter open: opens the database at a path; creates it if there is none.
    public init(open: @escaping @Sendable (String) throws -> any BenchmarkedStore) { self.open = open }

    /// Creates a database at `path`, where none may exist, and leaves it there.
    public func run(path: String) throws -> QueueMeasurement {
        var result = QueueMeasurement()
        do {
            let store = try open(path)
            let lease = try store.acquireLease()
            let life = try begin(store, lease)
            if history > 0 {
                try Self.enqueue(history, store)
                _ = try work(store, life, group: 1000)
                try Self.enqueue(history, store)
            }
            let seconds = try timed { try Self.enqueue(jobs, store) }
            result.storedPerSecond = Double(jobs) / seconds
            try measureWork(store, life, &result)
            result.exportedPerSecond = try export(store)
            result.walBytes = max(result.walBytes, try store.walBytes())
            lease.release()
        }
        // The incarnation was not closed, so this measures a start after a crash.
        result.restartMS =
            try 1000
            * timed {
                let store = try open(path)
                let lease = try store.acquireLease()
                let life = try begin(store, lease)
                _ = try store.sweepOrphanedDrafts()
                _ = try store.completeCancellations(at: TimeSource.system.now)
                if let batch = try store.claimableBatch(among: nil) {
                    _ = try store.claim(group, of: batch.id, incarnation: life, at: TimeSource.system.now)
                }
                lease.release()
            }
        result.databaseBytes = Int64(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0)
        return result
    }

    /// Claims and finishes `jobs` jobs, the oldest batch first; with a history, that is the batch which stayed pending.
    private func measureWork(
        _ store: any BenchmarkedStore, _ life: Incarnation, _ result: inout QueueMeasurement
    ) throws {
        var claimSeconds: [Double] = []
        var finishSeconds = 0.0
        var done = 0
        while done < jobs, let batch = try store.claimableBatch(among: nil) {
            var claimed: [ClaimedJob] = []
            claimSeconds.append(
                try timed {
                    claimed = try store.claim(
                        min(group, jobs - done), of: batch.id, incarnation: life, at: TimeSource.system.now)
                })
            finishSeconds += try timed {
                _ = try store.finish(
                    claimed.map { Self.completion($0.ticket) }, incarnation: life, at: TimeSource.system.now)
            }
            done += claimed.count
            result.walBytes = max(result.walBytes, try store.walBytes())
            try store.maintain()
        }
        result.claimMS = claimSeconds.map { 1000 * $0 }.sorted()
        result.finishedPerSecond = Double(done) / finishSeconds
        result.workedPerSecond = Double(done) / (finishSeconds + claimSeconds.reduce(0, +))
    }

    private func work(_ store: any BenchmarkedStore, _ life: Incarnation, group: Int) throws -> Int {
        var done = 0
        while let batch = try store.claimableBatch(among: nil) {
            let claimed = try store.claim(group, of: batch.id, incarnation: life, at: TimeSource.system.now)
            _ = try store.finish(
                claimed.map { Self.completion($0.ticket) }, incarnation: life, at: TimeSource.system.now)
            try store.maintain()
            done += claimed.count
        }
        return done
    }

    private func begin(_ store: any BenchmarkedStore, _ lease: any DaemonLease) throws -> Incarnation {
        try store.openIncarnation(
            NewIncarnation(pid: getpid(), host: "", version: "", model: "", device: "none"), lease: lease,
            maxCrashes: 3, at: TimeSource.system.now
        ).incarnation
    }

    /// Stores a batch, as `ttbatch enqueue` does.
    public static func enqueue(_ count: Int, _ store: any JobStore) throws {
        let draft = try store.beginBatch(NewBatch(name: "bench"), at: TimeSource.system.now)
        var line: Int64 = 0
        while line < count {
            let chunk = min(2000, Int64(count) - line)
            _ = try draft.append(
                (line + 1...line + chunk).map {
                    NewJob(line: $0, customID: "job-\($0)", endpoint: "/v1/completions", body: body)
                })
            line += chunk
            // The daemon does the same between groups.
            try store.maintain()
        }
        _ = try draft.commit(at: TimeSource.system.now)
    }

    static func completion(_ ticket: ClaimTicket) -> JobCompletion {
        JobCompletion(
            ticket: ticket,
            outcome: .succeeded(
                Generation([
                    Choice(text: "An answer of some sixty characters, as models give them: 123.", finishReason: "stop")
                ])),
            usage: TokenUsage(promptTokens: 12, cachedTokens: 0, completionTokens: 16),
            timings: JobTimings(queuedMS: 1, prefillMS: 1, decodeMS: 1, totalMS: 3))
    }

    /// Output lines per second, for the first batch that has any.
    private func export(_ store: any BenchmarkedStore) throws -> Double {
        let batch = try store.batch(BatchID(rawValue: 1))
        var lines = 0
        var bytes: [UInt8] = []
        let seconds = try timed {
            var cursor = store.resultsCursor(ResultQuery(batch: batch.id, order: .input, states: JobState.terminal))
            while case let page = try cursor.nextPage(), !page.isEmpty {
                for result in page {
                    guard let line = OutputLine(result, batch: batch) else { continue }
                    line.encode(into: &bytes)
                    lines += 1
                }
                bytes.removeAll(keepingCapacity: true)
            }
        }
        return Double(lines) / seconds
    }

    private func timed(_ body: () throws -> Void) rethrows -> Double {
        let began = ContinuousClock.now
        try body()
        return (ContinuousClock.now - began) / .seconds(1)
    }
}
