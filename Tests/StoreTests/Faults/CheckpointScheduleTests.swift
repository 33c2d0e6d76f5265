// The WAL-reset bug of SQLite 3.7.0 to 3.51.2, provoked by a commit in its window, and the guard that closes the window.
//
// A checkpoint reads the log's header. All of the log has been checkpointed by then, so another connection's commit may
// start the log anew. The checkpoint goes on with the old header, finds nothing of the new log checkpointed, and notes at
// its end that as many pages were as the old log had: the next checkpoints leave out what was committed.

import Foundation
import GRDB
import GRDBSQLite
import Runtime
import Synchronization
import Testing

@testable import SQLiteStore
@testable import StoreContract

@Suite("Checkpoints against commits")
struct CheckpointScheduleTests {
    private let disk: FaultyDisk
    private let path: String

    init() throws {
        disk = try FaultyDisk()
        path = try disk.newDatabase()
    }

    private func options(busyTimeoutSeconds: Double) -> SQLiteOptions {
        var options = SQLiteOptions()
        options.busyTimeoutSeconds = busyTimeoutSeconds
        return options
    }

    /// The checkpoint without the guard: on its own connection, while no connection holds the write lock.
    private func checkpointUnguarded(_ connection: DatabaseQueue) throws {
        _ = try connection.writeWithoutTransaction { try $0.checkpoint(.passive) }
    }

    /// What a process sees that opens the database after all others have gone.
    private func survivors() throws -> Int {
        try SQLiteJobStore(readingFrom: path).batches(before: nil, limit: 1000, includingDrafts: false).count
    }

    /// Whether any of the work that `enqueue` says was acknowledged is gone.
    private func loses(_ enqueue: () throws -> Int) throws -> Bool {
        do {
            let enqueued = try enqueue()
            return try survivors() < enqueued || !SQLiteJobStore(readingFrom: path).check().problems.isEmpty
        } catch is JobStoreError {
            // What is left may be damaged so far that it cannot be worked with.
            return true
        }
    }

    /// Two processes' work around a checkpoint: enqueues before, in its window and after. Returns those acknowledged.
    private func enqueueAround(_ checkpoint: (_ inWindow: @escaping () -> Void) throws -> Void) throws -> Int {
        let client = try SQLiteJobStore(path: path, options: options(busyTimeoutSeconds: 0.01), at: 0)
        _ = try client.enqueue(2000)
        _ = try client.checkpoint()
        // The log is fully checkpointed, and longer than what comes in the window.
        var enqueued = 1
        try checkpoint {
            // A client in another process would wait and try again.
            if (try? client.enqueue(500)) != nil { enqueued += 1 }
        }
        _ = try client.enqueue(1)
        _ = try client.checkpoint()
        for _ in 0..<40 { _ = try client.enqueue(1) }
        _ = try client.checkpoint()
        return enqueued + 41
    }

    /// The same with a client that is another process: the built program, started in the window.
    private func enqueueInAnotherProcess(around checkpoint: (_ inWindow: @escaping () -> Void) throws -> Void) throws
        -> Int
    {
        var client: EnqueuingProcess?
        let enqueued = try enqueueAround { _ in
            try checkpoint {
                client = try? EnqueuingProcess(into: path, in: disk.folder)
                // Where nothing keeps it out, it is done long before.
                client?.wait(seconds: 2)
            }
            // What it printed is acknowledged.
            #expect(try #require(client).succeeds())
        }
        return enqueued + 1
    }

    @Test func withoutTheGuardAnotherProcessLosesItsWork() throws {
        _ = try SQLiteJobStore(path: path, at: 0)
        let connection = try DatabaseQueue.connection(to: path, as: .checkpointer, options: SQLiteOptions())
        try checkpointUnguarded(connection)
        let loses = try loses {
            try enqueueInAnotherProcess { commit in
                disk.onStaleCheckpoint(commit)
                try checkpointUnguarded(connection)
            }
        }
        #expect(loses == SQLiteJobStore.libraryNeedsCheckpointGuard)
    }

    @Test func withTheGuardAnotherProcessWaits() throws {
        let daemon = try SQLiteJobStore(path: path, at: 0)
        _ = try daemon.checkpoint()
        let enqueued = try enqueueInAnotherProcess { commit in
            disk.onStaleCheckpoint { [path] in
                commit()
                let stored = try? SQLiteJobStore(readingFrom: path).batches(
                    before: nil, limit: 10, includingDrafts: true)
                #expect(stored?.count == 1, "nothing was written in the window")
            }
            _ = try daemon.checkpoint()
        }
        #expect(try survivors() == enqueued)
        #expect(try daemon.check().problems == [])
    }

    /// Shows that this test would notice: without the guard, libraries that have the bug lose acknowledged work.
    @Test func withoutTheGuardTheBugIsThere() throws {
        _ = try SQLiteJobStore(path: path, at: 0)
        let connection = try DatabaseQueue.connection(to: path, as: .checkpointer, options: SQLiteOptions())
        // It has an old header, as the connection of a daemon has that checkpointed a while ago.
        try checkpointUnguarded(connection)
        var wasInWindow = false
        let loses = try loses {
            try enqueueAround { commit in
                disk.onStaleCheckpoint {
                    wasInWindow = true
                    commit()
                }
                try checkpointUnguarded(connection)
            }
        }
        #expect(wasInWindow)
        #expect(loses == SQLiteJobStore.libraryNeedsCheckpointGuard)
    }

    @Test func withTheGuardNoCommitGetsIntoTheWindow() throws {
        let daemon = try SQLiteJobStore(path: path, at: 0)
        _ = try daemon.checkpoint()
        var wasInWindow = false
        let enqueued = try enqueueAround { commit in
            disk.onStaleCheckpoint {
                wasInWindow = true
                commit()
            }
            _ = try daemon.checkpoint()
        }
        #expect(wasInWindow)
        #expect(enqueued == 42, "the commit in the window was kept out")
        #expect(try survivors() == enqueued)
        #expect(try daemon.check().problems == [])
    }
}
