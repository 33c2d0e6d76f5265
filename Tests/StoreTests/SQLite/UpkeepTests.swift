// Check, backup, vacuum: what `ttbatch db` does.

import Foundation
import GRDB
import Runtime
import TestSupport
import Testing

@testable import SQLiteStore
@testable import StoreContract

@Suite
struct UpkeepTests {
    let folder: TemporaryFolder
    let path: String
    let store: SQLiteJobStore

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("jobs.db")
        store = try SQLiteJobStore(path: path, at: 0)
    }

    /// A batch of 10 of which some have succeeded, some failed, and some wait.
    @discardableResult
    private func someWork() throws -> BatchID {
        let batch = try store.enqueue(10)
        let lease = try store.acquireLease()
        defer { lease.release() }
        let life = try store.openIncarnation(lease: lease).incarnation
        let jobs = try store.claim(6, of: batch, incarnation: life, at: 20)
        let completions = jobs.prefix(3).map { JobCompletion.success($0) } + jobs.dropFirst(3).map { .failure($0) }
        _ = try store.finish(completions, incarnation: life, at: 30)
        try store.closeIncarnation(life, at: 40)
        return batch
    }

    // MARK: Check

    @Test func aSoundDatabaseHasNoProblems() throws {
        try someWork()
        let check = try SQLiteJobStore(readingFrom: path).check()
        #expect(check.problems == [] && check.remarks == [])
        #expect(check.batches == 1 && check.jobs == 10 && check.schemaVersion == Schema.latest)
        #expect(check.databaseBytes > 0 && check.walBytes > 0 && check.engineVersion.hasPrefix("3."))
    }

    @Test func jobsInFlightOfADeadDaemonAndDraftsAreToldButNoProblem() throws {
        _ = try store.enqueue(10)
        let life = try store.openIncarnation(lease: store.acquireLease()).incarnation
        _ = try store.claimNext(6, incarnation: life, at: 20)
        let draft = try store.beginBatch(NewBatch(name: "b"), at: 1)
        _ = try draft.append([.sample(1)])
        let check = try store.check()
        #expect(check.problems == [] && check.remarks.count == 2)
        #expect(check.remarks[0].contains("6 jobs were in flight"))
    }

    @Test(arguments: [
        ("UPDATE batches SET succeeded = succeeded - 1", "batch_1: its counters"),
        ("UPDATE batches SET completion_tokens = 1", "batch_1: its counters"),
        ("UPDATE batches SET queued_ms = 1", "batch_1: its counters"),
        ("UPDATE jobs SET finish_seq = 9 WHERE finish_seq = 6", "batch_1: its counters"),
        ("DELETE FROM job_results WHERE job_id = 1", "job_1 is succeeded, and its result"),
        ("DELETE FROM job_results WHERE job_id = 5", "job_5 is failed, and its result"),
        ("INSERT INTO job_results (job_id, text, finish_reason) VALUES (9, 'x', 'stop')", "job_9 is pending, and its"),
        ("DELETE FROM job_bodies WHERE job_id = 7", "job_7 has lost its request"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM incarnations", "of jobs belongs to a row of incarnations"),
    ])
    func wrongRowsAreFound(sql: String, problem: String) throws {
        try someWork()
        try DatabaseQueue(path: path).writeWithoutTransaction { try $0.execute(sql: sql) }
        let problems = try store.check().problems
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
    }

    @Test func filesThatOthersCanReadAreFound() throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        #expect(try store.check().problems == ["\(path) can be used by other users; chmod 600 it"])
    }

    /// Each page in turn is overwritten: damage is found, and named, or does no harm. Nothing crashes.
    @Test func aDamagedFileIsAnErrorThatSaysWhatToDo() throws {
        try someWork()
        _ = try store.checkpoint()
        let sound = try Data(contentsOf: URL(filePath: path))
        let pages = sound.count / 4096
        var found = 0
        for page in 0..<pages {
            let damaged = folder.file("damaged-\(page).db")
            var bytes = sound
            bytes.replaceSubrange(page * 4096..<page * 4096 + 4096, with: Data(repeating: 0xA5, count: 4096))
            try bytes.write(to: URL(filePath: damaged))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: damaged)
            do {
                let problems = try SQLiteJobStore(path: damaged, at: 0).check().problems
                if !problems.isEmpty { found += 1 }
            } catch {
                found += 1
                switch error {
                case .corrupt, .notAJobStore: #expect("\(error)".contains("backup"), "\(error)")
                default: Issue.record("page \(page): \(error)")
                }
            }
        }
        // A free page belongs to no table.
        #expect(found >= pages - 2, "\(found) of \(pages)")
    }

    @Test func aTruncatedFileIsFound() throws {
        try someWork()
        _ = try store.checkpoint()
        let sound = try Data(contentsOf: URL(filePath: path))
        let short = folder.file("short.db")
        try sound.prefix(sound.count / 2).write(to: URL(filePath: short))
        do {
            #expect(try !SQLiteJobStore(path: short, at: 0).check().problems.isEmpty)
        } catch JobStoreError.corrupt {}
    }

    // MARK: Backup

    @Test func aBackupWorksInTheDatabasesPlace() throws {
        let batch = try someWork()
        let copy = folder.file("copy.db")
        // What is only in the log is in the copy, too, and others may write meanwhile.
        let draft = try store.beginBatch(NewBatch(name: "b"), at: 1)
        try SQLiteJobStore(readingFrom: path).backup(to: copy)
        try draft.discard()
        let mode = try FileManager.default.attributesOfItem(atPath: copy)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy { !$0.contains("part") })

        let restored = try SQLiteJobStore(path: copy, at: 50)
        #expect(try restored.batch(batch).counts == store.batch(batch).counts)
        #expect(try restored.sweepOrphanedDrafts().count == 1)
        let writer = try #require(restored.writer)
        #expect(try writer.unsafeRead { try $0.row("PRAGMA journal_mode") { $0.text(0) } } == "wal")
        let life = try restored.openIncarnation(lease: restored.acquireLease(), at: 60).incarnation
        #expect(try restored.claimNext(9, incarnation: life, at: 70).count == 4)
        #expect(try restored.check().problems == [])
    }

    @Test func aBackupReplacesNothing() throws {
        let copy = folder.file("copy.db")
        try Data("mine".utf8).write(to: URL(filePath: copy))
        let error = #expect(throws: JobStoreError.self) { try store.backup(to: copy) }
        #expect(error.map { "\($0)" } == "cannot create \(copy): File exists")
        #expect(try Data(contentsOf: URL(filePath: copy)) == Data("mine".utf8))
        #expect(throws: JobStoreError.self) { try store.backup(to: folder.file("no/such/folder.db")) }
    }

    // MARK: Vacuum

    @Test func vacuumGivesRoomBack() throws {
        _ = try store.enqueue(20_000)
        let batch = try store.enqueue(10)
        _ = try store.cancel(BatchID(rawValue: 1), at: 5)
        #expect(try store.prune(finishedBefore: 6).jobs == 20_000)
        let report = try store.vacuum()
        #expect(report.bytesAfter * 4 < report.bytesBefore, "\(report)")
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int64
        #expect(size == report.bytesAfter)
        _ = try store.enqueue(1)
        #expect(try store.walBytes() <= store.options.walLimitBytes / 2)
        #expect(try store.batch(batch).counts.pending == 10)
        #expect(try store.check().problems == [])
    }

    @Test func vacuumNeedsTheQueueForItself() throws {
        let lease = try store.acquireLease()
        defer { lease.release() }
        #expect(throws: JobStoreError.self) { try store.vacuum() }
    }

    // MARK: Prune

    /// Whoever prunes is killed half-way: the batch is a draft without an owner, and the next one carries on.
    @Test func aPruningThatDiedIsCarriedOn() throws {
        let batch = try store.enqueue(10)
        _ = try store.cancel(batch, at: 5)
        _ = try store.write {
            try $0.run("UPDATE batches SET status = 'validating', finished_ms = NULL")
            try $0.run("DELETE FROM jobs WHERE line < 5")
        }
        #expect(throws: JobStoreError.batchIsDraft(batch)) {
            try store.results(ResultQuery(batch: batch), after: 0, limit: 1)
        }
        #expect(try store.check().problems == [])
        #expect(try store.sweepOrphanedDrafts() == [batch])
        #expect(try store.read { try $0.number("SELECT count(*) FROM jobs") } == 0)
    }

    // MARK: Transactions

    /// A transaction that begins as a reader and then writes is refused at once where another one wrote meanwhile.
    @Test func everyWriteIsInATransactionThatTookTheLockAtItsStart() throws {
        let statements = Statements()
        let writer = try #require(store.writer)
        writer.unsafeRead { db in db.trace { event in statements.add(event.description) } }
        var scenario = Scenario(path: path) { throw $0 }
        // The same deeds on the traced connection.
        try scenario.run(on: store)
        let batch = try someWork()
        _ = try store.cancel(batch, at: 55)
        _ = try store.retry(batch, states: [.failed, .succeeded], at: 60)
        _ = try store.prune(finishedBefore: 1000)
        try store.checkpoint()

        var isImmediate = false
        var writes = 0
        for statement in statements.all {
            let word = statement.prefix { $0.isLetter }.uppercased()
            switch word {
            case "BEGIN":
                #expect(statement.uppercased().hasPrefix("BEGIN IMMEDIATE"), "\(statement)")
                isImmediate = true
            case "COMMIT", "ROLLBACK": isImmediate = false
            case "INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER":
                writes += 1
                #expect(isImmediate, "\(statement)")
            default: break
            }
        }
        #expect(writes > 50)
    }
}

/// Statements as a connection traces them.
private final class Statements: @unchecked Sendable {
    // Only the queue of the traced connection adds.
    private(set) var all: [String] = []
    func add(_ statement: String) { all.append(statement) }
}
