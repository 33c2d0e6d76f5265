// The daemon and the command line on one file, and the guard of the checkpoint between them.

import Foundation
import GRDB
import Runtime
import Synchronization
import TestSupport
import Testing

@testable import SQLiteStore
@testable import StoreContract

@Suite
struct SharedDatabaseTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("jobs.db")
    }

    //  Checkpoint             | Another process
    //  BEGIN IMMEDIATE        |
    //  wal_checkpoint(PASSIVE)|
    //                         | BEGIN IMMEDIATE → busy
    //  ROLLBACK               |
    //                         | commit: the log starts anew
    @Test func noCommitComesBetweenACheckpoint() throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        var options = SQLiteOptions()
        options.busyTimeoutSeconds = 0.01
        let other = try SQLiteJobStore(path: path, options: options, at: 0)
        _ = try store.enqueue(500)
        var wasProbed = false
        let report = try store.checkpoint {
            wasProbed = true
            #expect(throws: JobStoreError.busy(path: store.path)) {
                _ = try other.beginBatch(NewBatch(name: "x"), at: 1)
            }
            // Nor a second checkpoint.
            let second = try other.checkpoint()
            #expect(second == nil)
        }
        #expect(wasProbed)
        let copied = try #require(report)
        #expect(copied.logPages > 0 && copied.copiedPages == copied.logPages)
        let size = try store.walBytes()
        _ = try other.enqueue(5)
        #expect(try store.walBytes() <= size, "the log is used again from its start")
        let next = try store.checkpoint()
        #expect(try #require(next).logPages < copied.logPages)
    }

    @Test func nothingCheckpointsByItself() throws {
        var store: SQLiteJobStore? = try SQLiteJobStore(path: path, at: 0)
        _ = try store?.enqueue(25_000)
        store = nil
        // More than the 1,000 pages of SQLite's own automatism, and closed; yet the log is there, whole.
        let reopened = try SQLiteJobStore(path: path, at: 0)
        let size = try reopened.walBytes()
        #expect(size > 1000 * 4096)
        let report = try reopened.checkpoint()
        #expect(Int64(try #require(report).copiedPages) * 4096 > size / 2)
    }

    @Test func aLongLogIsCheckpointedWhenDueAndShrinks() throws {
        var options = SQLiteOptions()
        options.walLimitBytes = 1 << 20
        let store = try SQLiteJobStore(path: path, options: options, at: 0)
        #expect(try store.checkpointIfNeeded() == nil)
        let lease = try store.acquireLease()
        _ = try store.enqueue(10_000)
        #expect(try store.walBytes() > 1 << 20, "with a daemon alive, the enqueue leaves the log to it")
        #expect(try store.checkpointIfNeeded() != nil)
        _ = try store.enqueue(1)
        #expect(try store.walBytes() <= 1 << 20)
        #expect(try store.checkpointIfNeeded() == nil)
        // A daemon that does not keep up, because it is stopped or hangs, must not let the disk fill up.
        _ = try store.enqueue(60_000)
        #expect(try store.walBytes() < 8 << 20)
        lease.release()
        _ = try store.enqueue(20_000)
        #expect(try store.walBytes() < 3 << 20, "without a daemon, the enqueue checkpoints")
    }

    /// One thread enqueues and cancels, another works; each has its own store, as two processes have.
    @Test func enqueueAndWorkAtOnceLoseAndDoubleNothing() async throws {
        var options = SQLiteOptions()
        options.walLimitBytes = 200_000
        options.enqueueChunkRows = 50
        let daemon = try SQLiteJobStore(path: path, options: options, at: 0)
        let client = try SQLiteJobStore(path: path, options: options, at: 0)
        let enqueuedAll = Flag()

        async let enqueued = {
            defer { enqueuedAll.raise() }
            return try (0..<12).map { _ in try client.enqueue(100) }
        }()
        async let finished = {
            let lease = try daemon.acquireLease()
            defer { lease.release() }
            let life = try daemon.openIncarnation(lease: lease).incarnation
            var finished: [JobID] = []
            while true {
                let nothingComes = enqueuedAll.isRaised
                let jobs = try daemon.claimNext(32, incarnation: life, at: 20)
                if jobs.isEmpty && nothingComes { return finished }
                let report = try daemon.finish(jobs.map { .success($0) }, incarnation: life, at: 30)
                #expect(report.stale.isEmpty)
                finished += jobs.map(\.ticket.job)
                try daemon.maintain()
            }
        }()

        let jobs = try await finished
        #expect(jobs.count == 1200 && Set(jobs).count == 1200)
        for batch in try await enqueued {
            let summary = try client.batch(batch)
            #expect(summary.status == .completed && summary.counts.succeeded == 100)
            #expect(try client.allResults(ResultQuery(batch: batch)).count == 100)
        }
        let verdict = try client.read { try $0.row("PRAGMA integrity_check") { $0.text(0) } }
        #expect(verdict == "ok")
    }
}

/// Raised once, seen by another thread.
private final class Flag: Sendable {
    private let value = Atomic(false)
    var isRaised: Bool { value.load(ordering: .acquiring) }
    func raise() { value.store(true, ordering: .releasing) }
}
