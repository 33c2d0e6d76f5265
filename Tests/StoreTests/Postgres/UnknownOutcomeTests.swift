// The connection is cut at each message in turn, before and after what it asks for is done. Whoever repeats his call, as the
// contract says, neither loses nor doubles anything.

import Foundation
import PostgresStore
import Runtime
import StoreContract
import TestSupport
import Testing

@Suite("Unknown outcomes", .enabled(if: PostgresServer.programs != nil))
struct UnknownOutcomeTests {
    /// What a client and a daemon do with a batch of five jobs, each call again and again until it answers.
    private struct Night {
        let store: PostgresJobStore
        private var now: Int64 = 0

        init(_ store: PostgresJobStore) { self.store = store }

        /// - Parameter recover: what is looked up, or put in order, before the call is repeated.
        private func again<Value>(
            _ body: () throws -> Value, recover: () throws -> Value? = { nil }
        ) throws -> Value {
            for _ in 0..<5 {
                do { return try body() } catch let error as JobStoreError where error.isTemporary {
                    // The server sees the end of the session, and frees its locks, soon.
                    usleep(20_000)
                    if let found = try? recover() { return found }
                }
            }
            return try body()
        }

        func run() throws -> BatchID {
            let batch = try enqueue()
            let lease = try store.acquireLease()
            defer { lease.release() }
            let life = try again { try store.openIncarnation(lease: lease, at: 10).incarnation }
            let first = try claim(3, of: batch, life)
            #expect(first.map(\.line) == [1, 2, 3])
            let report = try again { try store.finish(first.map { .success($0) }, incarnation: life, at: 20) }
            #expect(report.finished == 3 && report.stale.isEmpty)
            let second = try claim(2, of: batch, life)
            _ = try again {
                try store.release([second[0].ticket], incarnation: life, because: .stopping, at: 30)
            }
            _ = try again { try store.finish([.failure(second[1])], incarnation: life, at: 31) }
            let last = try claim(1, of: batch, life)
            #expect(last.map(\.line) == [4])
            _ = try again { try store.finish(last.map { .success($0) }, incarnation: life, at: 40) }
            try again { try store.closeIncarnation(life, at: 50) }
            return batch
        }

        private func enqueue() throws -> BatchID {
            try again {
                let draft = try store.beginBatch(NewBatch(name: "night", uniqueName: "night"), at: 1)
                _ = try draft.append((1...5).map { .sample($0) })
                return try draft.commit(at: 2)
            } recover: {
                // Committed, or an orphan that is swept.
                if let batch = try store.batch(named: "night") { return batch }
                _ = try store.sweepOrphanedDrafts()
                return nil
            }
        }

        private func claim(_ count: Int, of batch: BatchID, _ life: Incarnation) throws -> [ClaimedJob] {
            try again {
                try store.claim(count, of: batch, incarnation: life, at: 15)
            } recover: {
                // What it does not know that it has goes back.
                let held = try again { try store.held(by: life) }
                _ = try again { try store.release(held, incarnation: life, because: .stopping, at: 16) }
                return nil
            }
        }
    }

    @Test(arguments: PostgresProxy.Cut.allCases) func nothingIsLostOrDoubled(cut: PostgresProxy.Cut) throws {
        var (messages, wasCut) = (0, true)
        while wasCut {
            let database = try PostgresDatabase()
            let proxy = try PostgresProxy(for: database.socketFolder, cut, behind: messages)
            defer { proxy.end() }
            let address = try database.address(by: proxy.folder)
            var store: PostgresJobStore?
            for _ in 0..<3 where store == nil {
                store = try? PostgresJobStore(
                    address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
            }
            let batch = try Night(try #require(store)).run()
            try check(batch, database, "\(cut) at message \(messages)")
            wasCut = proxy.hasCut
            messages += 1
        }
        // Fewer would not be the whole night.
        #expect(messages > 60)
    }

    private func check(_ batch: BatchID, _ database: PostgresDatabase, _ place: String) throws {
        let store = try PostgresJobStore(
            database.address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
        let summary = try store.batch(batch)
        let counts = summary.counts
        #expect(
            summary.status == .completed && counts.total == 5 && counts.succeeded == 4 && counts.failed == 1, "\(place)"
        )
        let results = try store.allResults(ResultQuery(batch: batch))
        #expect(results.map(\.state) == [.succeeded, .succeeded, .succeeded, .succeeded, .failed], "\(place)")
        let order = try store.allResults(ResultQuery(batch: batch, order: .completion))
        #expect(order.map(\.finishSequence) == [1, 2, 3, 4, 5], "\(place)")
        #expect(order.map(\.line) == [1, 2, 3, 5, 4], "\(place)")
        let state = try store.queueState()
        #expect(state.jobs[.running] == 0 && state.jobs[.pending] == 0 && state.delayedJobs == 0, "\(place)")
        _ = try store.sweepOrphanedDrafts()
        let batches = try store.batches(before: nil, limit: 9, includingDrafts: true)
        #expect(batches.map(\.id) == [batch], "\(place): \(batches)")
    }
}
