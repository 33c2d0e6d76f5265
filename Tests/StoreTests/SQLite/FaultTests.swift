// Faults: full disks, locks, processes that die, rows that break the rules.

import Foundation
import GRDB
import Runtime
import Synchronization
import TestSupport
import Testing

@testable import SQLiteStore
@testable import StoreContract

@Suite
struct FaultTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("jobs.db")
    }

    @Test func aFullDiskIsATemporaryErrorAndLosesNothing() throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        let batch = try store.enqueue(3)
        let writer = try #require(store.writer)
        let pages = try writer.unsafeRead { try $0.number("PRAGMA page_count") }
        try writer.unsafeRead { _ = try $0.number("PRAGMA max_page_count = \(pages + 4)") }

        let draft = try store.beginBatch(NewBatch(name: "large"), at: 5)
        let error = #expect(throws: JobStoreError.self) { _ = try draft.append((1...2000).map { .sample($0) }) }
        #expect(error == .diskFull(path: store.path) && error?.isTemporary == true)
        try draft.discard()
        #expect(try store.batch(batch).counts.pending == 3)

        try writer.unsafeRead { _ = try $0.number("PRAGMA max_page_count = 1000000") }
        #expect(try store.batch(store.enqueue(2000)).counts.pending == 2000)
    }

    @Test func aForeignWriterMakesUsBusyButNeverBlocksReading() throws {
        var options = SQLiteOptions()
        options.busyTimeoutSeconds = 0.01
        let store = try SQLiteJobStore(path: path, options: options, at: 0)
        let batch = try store.enqueue(1)
        try DatabaseQueue(path: path).inTransaction(.immediate) { _ in
            #expect(throws: JobStoreError.busy(path: store.path)) { try store.cancel(batch, at: 1) }
            let pending = try store.batch(batch).counts.pending
            #expect(pending == 1)
            return .rollback
        }
    }

    /// The enqueuing process is killed in the middle: only its draft is recognised and deleted.
    @Test func aDraftOfAKilledProcessIsSwept() async throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        let living = try store.beginBatch(NewBatch(name: "living"), at: 0)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let store = try SQLiteJobStore(path: path, at: 0)
            let draft = try store.beginBatch(NewBatch(name: "killed"), at: 0)
            _ = try draft.append((1...3000).map { .sample($0) })
            kill(getpid(), SIGKILL)
        }
        let drafts = try store.batches(before: nil, limit: 9, includingDrafts: true)
        #expect(drafts.map(\.name) == ["killed", "living"] && drafts[0].counts.total == 3000)
        #expect(try store.sweepOrphanedDrafts() == [drafts[0].id])
        #expect(try store.batches(before: nil, limit: 9, includingDrafts: true).map(\.id) == [living.id])
        for table in ["jobs", "job_bodies"] {
            #expect(try store.read { try $0.number("SELECT count(*) FROM \(table)") } == 0)
        }
    }

    /// The daemon is killed with jobs in flight; the next one gets them at once, and what was finished stays finished.
    @Test func jobsOfAKilledDaemonComeBackAtOnce() async throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        let batch = try store.enqueue(5)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let store = try SQLiteJobStore(path: path, at: 0)
            let lease = try store.acquireLease()
            let life = try store.openIncarnation(lease: lease).incarnation
            let jobs = try store.claimNext(4, incarnation: life, at: 20)
            _ = try store.finish([.success(jobs[0])], incarnation: life, at: 30)
            kill(getpid(), SIGKILL)
        }
        #expect(try store.systemStatus().daemon == .absent)
        #expect(try store.batch(batch).counts.running == 3)
        let lease = try store.acquireLease()
        let opened = try store.openIncarnation(lease: lease, at: 40)
        #expect(opened.orphans.requeued == 3)
        let jobs = try store.claimNext(9, incarnation: opened.incarnation, at: 50)
        #expect(jobs.map(\.line) == [2, 3, 4, 5] && jobs.map(\.crashes) == [0, 0, 0, 0])
        _ = try store.finish(jobs.map { .success($0) }, incarnation: opened.incarnation, at: 60)
        #expect(try store.batch(batch).status == .completed)
    }

    @Test func aCancellationWhoseCallerDiedIsCarriedOn() throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        let batch = try store.enqueue(4)
        _ = try store.write { try $0.run("UPDATE batches SET status = 'cancelling' WHERE id = ?", batch) }
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease).incarnation
        #expect(try store.claimableBatch(among: nil) == nil)
        #expect(try store.claim(9, of: batch, incarnation: life, at: 1).isEmpty)
        #expect(try store.completeCancellations(at: 2) == [batch])
        #expect(try store.batch(batch).status == .cancelled)
        #expect(try store.batch(batch).counts.cancelled == 4)
    }

    /// Its caller holds the batch's lock meanwhile, so that his count is right.
    @Test func aCancellationThatIsUnderWayIsItsCallersAlone() throws {
        let (store, daemon) = (try SQLiteJobStore(path: path, at: 0), try SQLiteJobStore(path: path, at: 0))
        let batch = try store.enqueue(9000)
        let report = Mutex<Result<CancelReport, any Error>?>(nil)
        let cancelling = onThread {
            let result = Result { try store.cancel(batch, at: 1) }
            report.withLock { $0 = result }
        }
        var wasHeld = false
        while report.withLock({ $0 == nil }) {
            let lockPath = SQLiteBatchDraft.lockPath(database: path)
            if try ByteLock.isHeld(path: lockPath, offset: batch.rawValue) == true { wasHeld = true }
        }
        cancelling.wait()
        #expect(wasHeld)
        #expect(try report.withLock { try $0?.get() } == CancelReport(cancelled: 9000, keptFinished: 0))

        let other = try store.enqueue(1)
        _ = try store.write { try $0.run("UPDATE batches SET status = 'cancelling' WHERE id = ?", other) }
        let lock = try #require(try store.writerLock(of: other))
        #expect(try daemon.completeCancellations(at: 2).isEmpty)
        lock.release()
        #expect(try daemon.completeCancellations(at: 2) == [other])
    }

    @Test(arguments: [
        "UPDATE jobs SET state = 'done'",
        "UPDATE jobs SET state = 'running'",
        "UPDATE jobs SET state = 'running', incarnation = 1, claimed_ms = 1, attempt = 0",
        "UPDATE jobs SET state = 'succeeded', finished_ms = 1, finish_seq = 1",
        "UPDATE jobs SET state = 'cancelled'",
        "UPDATE jobs SET finished_ms = 1",
        "UPDATE jobs SET claimed_ms = 1",
        "UPDATE jobs SET rejected = 1",
        "UPDATE jobs SET custom_id = NULL",
        "UPDATE jobs SET incarnation = 99",
        "UPDATE jobs SET line = 1",
        "UPDATE batches SET status = 'completed'",
        "UPDATE batches SET status = 'completed', finished_ms = 1",
        "UPDATE batches SET finished_ms = 1",
        "UPDATE batches SET succeeded = 3",
        "UPDATE batches SET rejected = 1",
        "DELETE FROM batches",
        "INSERT INTO job_results (job_id) VALUES (1)",
        "INSERT INTO job_results (job_id, text, finish_reason, error_code, error_message, error_status) VALUES (1, '', '', '', '', 1)",
        "INSERT INTO job_results (job_id, text, finish_reason) VALUES (99, '', '')",
        "UPDATE jobs SET created_ms = 'yesterday'",
    ])
    func rowsCannotBreakTheLifecycle(sql: String) throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        _ = try store.enqueue(2)
        let error = #expect(throws: JobStoreError.self) { _ = try store.write { try $0.run(sql) } }
        guard case .database(_, let code, _) = error else { throw Unexpected() }
        #expect(code & 0xFF == 19, "a constraint")
    }
}
