// Which files the store opens, how it leaves them, and how each connection is set up.

import CSQLiteShim
import Foundation
import GRDB
import Migrations
import Runtime
import Synchronization
import TestSupport
import Testing

@testable import SQLiteStore
@testable import StoreContract

@Suite struct OpeningTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("jobs.db")
    }

    private func execute(_ sql: String) throws {
        try DatabaseQueue(path: path).writeWithoutTransaction { try $0.execute(sql: sql) }
    }

    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test func filesAndFoldersArePrivate() throws {
        let deep = folder.file("a/b/jobs.db")
        let store = try SQLiteJobStore(path: deep, at: 0)
        _ = try store.enqueue(1)
        let lease = try store.acquireLease()
        defer { lease.release() }
        for file in [deep, deep + "-wal", deep + "-shm", deep + "-daemon.lock", deep + "-enqueue.lock"] {
            #expect(try mode(file) == 0o600, "\(file)")
        }
        #expect(try mode(folder.file("a")) == 0o700)
        #expect(try mode(folder.file("a/b")) == 0o700)
    }

    @Test func readingNeedsADatabase() throws {
        #expect(throws: JobStoreError.notFound(path: path)) { try SQLiteJobStore(readingFrom: path) }
        #expect(throws: JobStoreError.notFound(path: path + "/x/y")) { try SQLiteJobStore(readingFrom: path + "/x/y") }
        #expect(!FileManager.default.fileExists(atPath: path))
        try Data().write(to: URL(fileURLWithPath: path))
        #expect(throws: JobStoreError.notFound(path: path)) { try SQLiteJobStore(readingFrom: path) }
    }

    @Test func aReaderSeesWhatWritersDoAndWritesNothing() throws {
        let writing = try SQLiteJobStore(path: path, at: 0)
        let reading = try SQLiteJobStore(readingFrom: path)
        let batch = try writing.enqueue(2)
        #expect(try reading.batch(batch).counts.pending == 2)
        #expect(throws: JobStoreError.readOnly(path: reading.path)) { try reading.cancel(batch, at: 1) }
        #expect(throws: JobStoreError.readOnly(path: reading.path)) { _ = try reading.acquireLease() }
    }

    @Test func dataVersionTellsOfOthersOnly() throws {
        let daemon = try SQLiteJobStore(path: path, at: 0)
        let other = try SQLiteJobStore(path: path, at: 0)
        let before = try daemon.dataVersion()
        _ = try daemon.enqueue(1)
        #expect(try daemon.dataVersion() == before)
        _ = try other.enqueue(1)
        #expect(try daemon.dataVersion() != before)
    }

    @Test func aNewerDatabaseIsRefused() throws {
        _ = try SQLiteJobStore(path: path, at: 0)
        let newer = Schema.latest + 1
        try execute("PRAGMA user_version = \(newer)")
        let error = JobStoreError.newerSchema(path: path, found: newer, supported: Schema.latest)
        #expect(throws: error) { try SQLiteJobStore(path: path, at: 0) }
        #expect(throws: error) { try SQLiteJobStore(readingFrom: path) }
        #expect("\(error)".contains("schema \(newer)"))
    }

    @Test func anOlderDatabaseIsNotReadNorUpgradedUnderADaemon() throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        let lease = try store.acquireLease()
        defer { lease.release() }
        try execute("PRAGMA user_version = 0")
        #expect(throws: JobStoreError.olderSchema(path: path, found: 0, supported: Schema.latest)) {
            try SQLiteJobStore(readingFrom: path)
        }
        #expect {
            try SQLiteJobStore(path: path, at: 0)
        } throws: { error in
            guard case .daemonRunning(path, pid: getpid(), _) = error as? JobStoreError else { return false }
            return true
        }
    }

    @Test func aDatabaseOfTheFirstSchemaIsUpgradedWithItsJobs() throws {
        let first = Migration.all[0]
        try execute(
            """
            PRAGMA application_id = \(Schema.applicationID);
            PRAGMA journal_mode = WAL;
            \(Schema.createTable);
            \(first.sql)
            INSERT INTO schema_migrations VALUES (1, '\(first.name)', '\(first.checksum)', 0);
            PRAGMA user_version = 1;
            INSERT INTO batches (name, status, created_ms, total) VALUES ('old', 'in_progress', 0, 2);
            INSERT INTO jobs (batch_id, line, custom_id, state, created_ms)
                VALUES (1, 1, 'a', 'pending', 0), (1, 2, 'b', 'pending', 0);
            INSERT INTO job_bodies VALUES (1, '/v1/completions', x'7b7d'), (2, '/v1/completions', x'7b7d');
            """)
        #expect(throws: JobStoreError.olderSchema(path: path, found: 1, supported: Schema.latest)) {
            try SQLiteJobStore(readingFrom: path)
        }
        let store = try SQLiteJobStore(path: path, at: 5)
        let life = try store.openIncarnation(lease: store.acquireLease()).incarnation
        #expect(try store.claimNext(9, incarnation: life, at: 6).map(\.line) == [1, 2])
        try store.record(MetricsInterval(incarnation: life, start: 6, end: 7))
        #expect(try store.metrics(.incarnation(life), limit: 9).map(\.cachedTokens) == [0])
        _ = try SQLiteJobStore(readingFrom: path)
    }

    @Test func otherFilesAreRefusedAndLeftAlone() throws {
        try execute("CREATE TABLE theirs (a)")
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let error = JobStoreError.notAJobStore(path: path, reason: "another program's SQLite database")
        #expect(throws: error) { try SQLiteJobStore(path: path, at: 0) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)

        let text = folder.file("text.db")
        try Data(repeating: 65, count: 5000).write(to: URL(fileURLWithPath: text))
        #expect(throws: JobStoreError.notAJobStore(path: text, reason: "not an SQLite file")) {
            try SQLiteJobStore(path: text, at: 0)
        }
    }

    @Test func anEditedMigrationIsNoticed() throws {
        _ = try SQLiteJobStore(path: path, at: 0)
        try execute("UPDATE schema_migrations SET checksum = 'x'")
        #expect {
            try SQLiteJobStore(path: path, at: 0)
        } throws: { error in
            guard case .migrationChanged(_, "0001_jobs", "x", _) = error as? JobStoreError else { return false }
            return true
        }
    }

    @Test func severalMayCreateTheDatabaseAtOnce() async throws {
        let path = path
        try await withThrowingTaskGroup(of: BatchID.self) { group in
            for _ in 0..<4 {
                group.addTask { try SQLiteJobStore(path: path, at: 0).enqueue(1) }
            }
            let batches = try await group.reduce(into: Set<BatchID>()) { $0.insert($1) }
            #expect(batches.count == 4)
        }
    }

    @Test func symbolicLinksLeadToTheSameLocks() throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        let link = folder.file("link.db")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        let other = try SQLiteJobStore(path: link, at: 0)
        #expect(other.path == store.path)
        let lease = try store.acquireLease()
        defer { lease.release() }
        #expect {
            _ = try other.acquireLease()
        } throws: { error in
            guard case .daemonRunning(store.path, pid: getpid(), _) = error as? JobStoreError else { return false }
            return true
        }
    }

    @Test func aSecondDaemonIsToldSinceWhenTheFirstOneIsThereWhoeverHasEnqueued() throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        let lease = try store.acquireLease()
        defer { lease.release() }
        let began = [timespec(tv_sec: 0, tv_nsec: 0), timespec(tv_sec: 1000, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, FileDaemonLease.path(database: store.path), began, 0) == 0)
        _ = try store.enqueue(1)
        #expect(throws: JobStoreError.daemonRunning(path: store.path, pid: getpid(), since: 1_000_000)) {
            _ = try store.acquireLease()
        }
    }

    @Test func everyConnectionIsSetUp() throws {
        let store = try SQLiteJobStore(path: path, at: 0)
        // Writes that are not synced leave the connection as it was.
        _ = try store.enqueue(1)
        _ = try store.checkpoint()
        let writer = try #require(store.writer)
        let opened = store.checkpointer.withLock { $0 }
        let checkpointer = try #require(opened)
        func settings(_ queue: DatabaseQueue, _ names: [String]) throws -> [Int64] {
            try queue.unsafeRead { db in try names.map { try db.number("PRAGMA \($0)") } }
        }
        for queue in [writer, store.reader, checkpointer] {
            let names = ["wal_autocheckpoint", "foreign_keys", "mmap_size", "busy_timeout", "synchronous"]
            #expect(try settings(queue, names) == [0, 1, 0, 15_000, 2])
            #expect(queue.unsafeRead { csqlite_is_checkpoint_on_close_forbidden($0.sqliteConnection!) } == 1)
        }
        #expect(try writer.unsafeRead { try $0.row("PRAGMA journal_mode") { $0.text(0) } } == "wal")
    }

    @Test func networkFilesystemsAreKnown() {
        #expect(FilesystemKind(magic: 0x6969) == .network("NFS"))
        #expect(FilesystemKind(magic: Int64(Int32(bitPattern: 0xFF53_4D42))) == .network("CIFS"))
        #expect(FilesystemKind(magic: 0x6573_5546) == .doubtful("FUSE"))
        #expect(FilesystemKind(magic: 0xEF53) == .local)
    }

    @Test func batchIdentifiersAreParsed() {
        #expect(BatchID("batch_17") == BatchID(rawValue: 17) && BatchID("17") == BatchID(rawValue: 17))
        #expect("\(BatchID(rawValue: 17))" == "batch_17")
        for wrong in ["", "batch_", "batch_0", "-3", "+3", "batch_1x", "job_1", "99999999999999999999"] {
            #expect(BatchID(wrong) == nil, "\(wrong)")
        }
    }
}
