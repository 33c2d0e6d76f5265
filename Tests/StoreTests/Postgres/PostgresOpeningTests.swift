// Opening a queue in PostgreSQL: schemas of other versions, databases that have none, and poolers in between.

import Foundation
import Glibc
import Migrations
import PostgresClient
import PostgresStore
import Runtime
import StoreContract
import TestSupport
import Testing

@Suite("Opening a queue in PostgreSQL", .enabled(if: PostgresServer.programs != nil))
struct PostgresOpeningTests {
    private let database: PostgresDatabase

    init() throws { database = try PostgresDatabase() }

    private func writing() throws -> PostgresJobStore {
        try PostgresJobStore(database.address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
    }

    private func reading() throws -> PostgresJobStore {
        try PostgresJobStore(
            readingFrom: database.address, stateDirectory: database.stateDirectory, patience: .seconds(60))
    }

    /// Daemons of two versions run side by side, as long as the newer one's tables are good for both.
    @Test func aNewerSchemaIsUsedUnlessItForbidsThat() throws {
        try database.execute("UPDATE meta SET schema_version = 99; ALTER TABLE jobs ADD COLUMN novelty text")
        let store = try writing()
        let lease = try store.acquireLease()
        defer { lease.release() }
        let life = try store.openIncarnation(lease: lease, at: 1).incarnation
        let batch = try store.enqueue(3)
        let jobs = try store.claim(3, of: batch, incarnation: life, at: 2)
        #expect(try store.finish(jobs.map { .success($0) }, incarnation: life, at: 3).finished == 3)
        #expect(try reading().batch(batch).status == .completed)
        try database.execute("UPDATE meta SET oldest_writer = 99")
        let refusal = JobStoreError.newerSchema(path: "\(database.address)", found: 99, supported: 2)
        #expect(throws: refusal) { try writing() }
        #expect(throws: refusal) { try reading() }
    }

    /// Daemons of the first version work on while one of this version changes the tables.
    @Test func theTablesOfTheFirstVersionAreTakenAlong() throws {
        try database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        let first = Migration.postgres[0]
        try database.execute(first.sql)
        try database.execute(
            "INSERT INTO migrations (version, name, checksum, applied_ms) VALUES (1, '\(first.name)', '\(first.checksum)', 0)"
        )
        let older = JobStoreError.olderSchema(path: "\(database.address)", found: 1, supported: 2)
        #expect(throws: older) { try reading() }
        // As long as somebody reads a table that must be changed, nobody waits behind the change.
        var reader = try PostgresConnection.connect(to: database.address, for: "tests", patience: .seconds(60))
        try reader.execute("BEGIN; SELECT FROM daemons")
        let error = #expect(throws: JobStoreError.self) { try writing() }
        #expect(error?.isTemporary == true, "\(error as Any)")
        try reader.execute("COMMIT")
        let store = try writing()
        let lease = try store.acquireLease()
        defer { lease.release() }
        #expect(try store.openIncarnation(lease: lease, at: 1).orphans.requeued == 0)
        #expect(try reading().hosts().count == 1)
    }

    @Test func aMigrationThatWasChangedIsNamed() throws {
        try database.execute("UPDATE migrations SET checksum = 'other'")
        let error = #expect(throws: JobStoreError.self) { try writing() }
        guard case .migrationChanged(_, "0001_queue", "other", _) = error else {
            Issue.record("\(error as Any)")
            return
        }
    }

    /// Whoever reads makes no tables.
    @Test func anEmptyDatabaseIsNoQueueYet() throws {
        try database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        #expect(throws: JobStoreError.notFound(path: "\(database.address)")) { try reading() }
        _ = try writing()
        #expect(try reading().batches(before: nil, limit: 9, includingDrafts: true).isEmpty)
    }

    /// Rights that are missing are told as the server tells them.
    @Test func whoMayNotMakeTablesIsToldSo() throws {
        let role = "r" + UUID().uuidString.filter(\.isHexDigit).lowercased()
        try database.execute(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE ROLE \(role) LOGIN; GRANT USAGE ON SCHEMA public TO \(role)"
        )
        let address = try #require(PostgresAddress(try database.uri.replacing("tests@", with: "\(role)@")))
        let error = #expect(throws: JobStoreError.self) {
            try PostgresJobStore(address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
        }
        #expect("\(error as Any)".contains("permission denied for schema public"), "\(error as Any)")
        try database.execute("DROP OWNED BY \(role); DROP ROLE \(role)")
    }

    // MARK: - Poolers

    private static let pooler = "/usr/sbin/pgbouncer"

    /// What belongs to a session would be another's.
    @Test(.enabled(if: access(Self.pooler, X_OK) == 0), arguments: ["session", "transaction"])
    func aPoolerMustKeepSessions(mode: String) throws {
        let folder = URL(filePath: "/tmp/ttbatch-pooler-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let settings = """
            [databases]
            * = host=\(try database.socketFolder) user=tests
            [pgbouncer]
            listen_addr =
            unix_socket_dir = \(folder.path)
            auth_type = any
            pool_mode = \(mode)
            """
        try Data(settings.utf8).write(to: folder.appending(path: "settings.ini"))
        // It refuses to be root, as the server does.
        var words = [Self.pooler, folder.path + "/settings.ini"]
        if geteuid() == 0, let user = getpwnam("postgres") {
            chown(folder.path, user.pointee.pw_uid, user.pointee.pw_gid)
            words = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] + words
        }
        let pooler = try RunningProgram(
            Array(words.dropFirst()), program: words[0], environment: ["PATH": "/usr/bin:/bin"], in: folder)
        defer { kill(pooler.process, SIGKILL) }
        for _ in 0..<600 where access(folder.path + "/.s.PGSQL.6432", F_OK) != 0 { usleep(50_000) }
        let place = folder.path.replacing("/", with: "%2F")
        let uri = try database.uri.replacing(
            try database.socketFolder.replacing("/", with: "%2F"), with: "\(place):6432")
        let address = try #require(PostgresAddress(uri))
        func open() throws -> PostgresJobStore {
            try PostgresJobStore(address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
        }
        for _ in 0..<3 {
            if mode == "session" {
                #expect(try open().batches(before: nil, limit: 9, includingDrafts: true).isEmpty)
            } else {
                let error = #expect(throws: JobStoreError.self) { try open() }
                #expect("\(error as Any)".contains("pool_mode = session"), "\(error as Any)")
            }
        }
    }
}
