// Recognises a job database and migrates it to the schema of this program, forward only.

import Failpoints
import GRDB
import Glibc
import Migrations
import Runtime
import StoreContract

/// The versions of the schema; `application_id` and `user_version` of the file hold them.
enum Schema {
    /// `ttbq`, in the file's header.
    static let applicationID: Int64 = 0x7474_6271
    static let latest = Migration.all.count

    /// The kind of a file.
    enum State: Equatable {
        case empty
        case version(Int)
    }

    /// Throws if the file is no job store, or newer than this program.
    static func state(_ db: Database, path: String) throws -> State {
        let application = try db.number("PRAGMA application_id")
        let version = Int(try db.number("PRAGMA user_version"))
        if application == 0 && version == 0, try db.number("SELECT count(*) FROM sqlite_master") == 0 {
            return .empty
        }
        guard application == applicationID else {
            throw JobStoreError.notAJobStore(path: path, reason: "another program's SQLite database")
        }
        guard version <= latest else {
            throw JobStoreError.newerSchema(path: path, found: version, supported: latest)
        }
        return .version(version)
    }

    /// Checks a database that is opened read-only.
    static func verify(_ db: Database, path: String) throws {
        guard case .version(let version) = try state(db, path: path) else {
            throw JobStoreError.notFound(path: path)
        }
        guard version == latest else {
            throw JobStoreError.olderSchema(path: path, found: version, supported: latest)
        }
        try verifyChecksums(db, path: path)
    }

    /// Migrates a database in one transaction, so that no other connection sees half of a schema.
    static func migrate(_ db: Database, path: String, at now: Milliseconds) throws {
        let found = try state(db, path: path)
        try ensureWriteAheadLog(db, path: path)
        if case .version(latest) = found { return try verifyChecksums(db, path: path) }
        try db.inTransaction(.immediate) {
            // Another process may have migrated it meanwhile.
            switch try state(db, path: path) {
            case .empty:
                try db.execute(sql: "PRAGMA application_id = \(applicationID)")
                try db.execute(sql: createTable)
                try apply(Migration.all[...], db, at: now)
            case .version(let version):
                // A running daemon with an older schema would not expect the newer one.
                if version < latest, try FileDaemonLease.presence(database: path) != .absent {
                    throw FileDaemonLease.refusal(database: path)
                }
                try verifyChecksums(db, path: path)
                try apply(Migration.all[version...], db, at: now)
            }
            failpoint("migrate.committing")
            return .commit
        }
        failpoint("migrate.committed")
    }

    /// A new file is not in WAL mode, and neither is a backup. If two connections set the mode at the same time, one of
    /// them fails at once without waiting, so it tries again.
    private static func ensureWriteAheadLog(_ db: Database, path: String) throws {
        for _ in 0..<500 {
            do {
                if try db.row("PRAGMA journal_mode", read: { $0.text(0) }) == "wal" { return }
                let mode = try db.row("PRAGMA journal_mode = WAL") { $0.text(0) }
                if mode == "wal" { return }
                throw JobStoreError.database(path: path, code: 1, reason: "write-ahead logging is not possible there")
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
                usleep(10_000)
            }
        }
        throw JobStoreError.busy(path: path)
    }

    /// The table of applied migrations. No migration creates it.
    static let createTable = """
        CREATE TABLE schema_migrations (
            version    INTEGER PRIMARY KEY,
            name       TEXT NOT NULL,
            checksum   TEXT NOT NULL,
            applied_ms INTEGER NOT NULL
        ) STRICT
        """

    private static func apply(_ migrations: ArraySlice<Migration>, _ db: Database, at now: Milliseconds) throws {
        for migration in migrations {
            try db.execute(sql: migration.sql)
            try db.run(
                "INSERT INTO schema_migrations (version, name, checksum, applied_ms) VALUES (?, ?, ?, ?)",
                migration.version, migration.name, migration.checksum, now)
            try db.execute(sql: "PRAGMA user_version = \(migration.version)")
        }
    }

    private static func verifyChecksums(_ db: Database, path: String) throws {
        let applied = try db.rows("SELECT version, name, checksum FROM schema_migrations ORDER BY version") {
            (version: $0.int(0), name: $0.text(1), checksum: $0.text(2))
        }
        let version = try db.number("PRAGMA user_version")
        guard Int64(applied.count) == version else {
            throw JobStoreError.notAJobStore(
                path: path, reason: "it says schema \(version) but lists \(applied.count) migrations")
        }
        for (known, applied) in zip(Migration.all, applied) where known.checksum != applied.checksum {
            throw JobStoreError.migrationChanged(
                path: path, name: applied.name, applied: applied.checksum, known: known.checksum)
        }
    }
}
