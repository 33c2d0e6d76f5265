// The oracle: what the store has acknowledged, written down outside of it, and held against it after each fault.

import Runtime
import SQLiteStore
import StoreContract
import Testing

/// Everything that the store has promised to keep.
struct AcknowledgedWork {
    /// Enqueued batches with their jobs.
    var batches: [BatchID: Int64] = [:]
    /// Texts whose `finish` has returned.
    var texts: [JobID: String] = [:]
    /// Batches whose `cancel` has returned.
    var cancelled: Set<BatchID> = []

    /// Every promise is kept, and the store agrees with itself.
    func verify(_ store: SQLiteJobStore, _ comment: Comment) throws {
        let problems = try store.check().problems
        #expect(problems == [], comment)
        var found: [BatchID: Int64] = [:]
        var kept: Set<JobID> = []
        for batch in try store.batches(before: nil, limit: 1000, includingDrafts: false) {
            found[batch.id] = batch.counts.total
            // What was not acknowledged is there as a whole or not at all.
            #expect(batch.counts.total == Scenario.jobsInBatch, comment)
            if cancelled.contains(batch.id) { #expect(batch.status == .cancelled, comment) }
            let ended = try store.results(ResultQuery(batch: batch.id), after: 0, limit: 1000)
            #expect(ended.count == Int(batch.counts.finished), comment)
            for job in ended where !kept.insert(job.id).inserted || (texts[job.id] ?? job.text) != job.text {
                Issue.record("\(job.id) is there twice, or has another text: \(comment)")
            }
        }
        #expect(batches.allSatisfy { found[$0.key] == $0.value }, comment)
        #expect(kept.isSuperset(of: texts.keys), comment)
    }
}

/// A short day of a queue: everything that writes, once or more.
struct Scenario {
    static let jobsInBatch: Int64 = 32
    static let options: SQLiteOptions = {
        var options = SQLiteOptions()
        // So small that checkpoints and several chunks are part of it.
        options.walLimitBytes = 100_000
        options.enqueueChunkRows = 20
        options.busyTimeoutSeconds = 1
        return options
    }()

    let path: String
    var acknowledged = AcknowledgedWork()
    /// Called with an error; returns if the step is to be tried again.
    let meet: (JobStoreError) throws -> Void

    private func persistently<T>(_ step: () throws -> T) throws -> T {
        while true {
            do { return try step() } catch let error as JobStoreError { try meet(error) }
        }
    }

    mutating func run() throws {
        try run(on: try persistently { try SQLiteJobStore(path: path, options: Self.options, at: 0) })
    }

    mutating func run(on store: SQLiteJobStore) throws {
        let lease = try store.acquireLease()
        defer { lease.release() }
        let life = try persistently { try store.openIncarnation(lease: lease) }.incarnation
        let first = try enqueue(store)
        let second = try enqueue(store)
        for _ in 0..<3 { try work(store, first, life) }
        try work(store, second, life)
        _ = try persistently { () -> Int in
            // A cancel that was done and whose acknowledgement was lost cannot be done again.
            do { _ = try store.cancel(second, at: 40) } catch JobStoreError.batchAlreadyFinished {}
            return 0
        }
        acknowledged.cancelled.insert(second)
        try persistently { try store.record(MetricsInterval(incarnation: life, start: 1, end: 2)) }
        try persistently { _ = try store.checkpoint() }
        _ = try enqueue(store)
        try persistently { try store.closeIncarnation(life, at: 50) }
        try persistently { try store.settle() }
    }

    private mutating func enqueue(_ store: SQLiteJobStore) throws -> BatchID {
        let batch = try persistently {
            let draft = try store.beginBatch(NewBatch(name: "b"), at: 1)
            do {
                _ = try draft.append((1...Self.jobsInBatch).map { .sample($0) })
                return try draft.commit(at: 2)
            } catch {
                // As `Enqueuer` does; what cannot be discarded now is swept later.
                try? draft.discard()
                throw error
            }
        }
        acknowledged.batches[batch] = Self.jobsInBatch
        return batch
    }

    private mutating func work(_ store: SQLiteJobStore, _ batch: BatchID, _ life: Incarnation) throws {
        let jobs = try persistently { try store.claim(10, of: batch, incarnation: life, at: 20) }
        let (ended, putBack) = (jobs.prefix(8), jobs.dropFirst(8))
        let report = try persistently { try store.finish(ended.map { .success($0) }, incarnation: life, at: 30) }
        #expect(report.stale.isEmpty)
        for job in ended { acknowledged.texts[job.ticket.job] = "text of \(job.customID)" }
        _ = try persistently {
            try store.release(putBack.map(\.ticket), incarnation: life, because: .stopping, at: 31)
        }
        try persistently { try store.maintain() }
    }

    /// After the fault: another daemon comes and works everything off.
    func recover(_ comment: Comment) throws {
        let store = try SQLiteJobStore(path: path, options: Self.options, at: 100)
        try acknowledged.verify(store, comment)
        let lease = try store.acquireLease()
        defer { lease.release() }
        let life = try store.openIncarnation(lease: lease).incarnation
        _ = try store.sweepOrphanedDrafts()
        _ = try store.completeCancellations(at: 110)
        while true {
            let jobs = try store.claimNext(64, incarnation: life, at: 120)
            guard !jobs.isEmpty else { break }
            #expect(jobs.allSatisfy { acknowledged.texts[$0.ticket.job] == nil }, "run twice: \(comment)")
            #expect(jobs.allSatisfy { !acknowledged.cancelled.contains($0.ticket.batch) }, comment)
            #expect(
                try store.finish(jobs.map { .success($0) }, incarnation: life, at: 130).stale.isEmpty, comment)
        }
        try store.closeIncarnation(life, at: 140)
        try store.settle()
        try acknowledged.verify(store, comment)
        for batch in try store.batches(before: nil, limit: 1000, includingDrafts: true) {
            #expect(batch.status.isTerminal && batch.counts.finished == batch.counts.total, comment)
        }
    }
}

extension JobResult {
    /// The text of a success.
    var text: String? {
        if case .succeeded(let generation) = outcome { generation.choices[0].text } else { nil }
    }
}
