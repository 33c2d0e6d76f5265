// The tables of a queue in PostgreSQL: made and changed step by step, by one process at a time.

import Migrations
import PostgresClient
import Runtime
import StoreContract

enum PostgresSchema {
    /// A number that stands for this in the server's advisory locks.
    private static let lock: Int64 = 0x7474_6261_7463_6800

    /// Whether this program can read what is there.
    ///
    /// - Throws: `.notFound`, `.newerSchema`, `.olderSchema`.
    static func check(_ db: inout PostgresConnection, location: String) throws {
        guard try db.row("SELECT to_regclass('meta') IS NOT NULL", read: { $0.bool(0) }) == true else {
            throw JobStoreError.notFound(path: location)
        }
        let newest = Migration.postgres.last!.version
        let (version, oldest) = try db.row(
            "SELECT schema_version, oldest_writer FROM meta", read: { ($0.int(0), $0.int(1)) })!
        if oldest > newest { throw JobStoreError.newerSchema(path: location, found: oldest, supported: newest) }
        if version < newest { throw JobStoreError.olderSchema(path: location, found: version, supported: newest) }
    }

    /// Applies what is missing.
    ///
    /// - Throws: `.newerSchema` where only newer programs may write; `.migrationChanged`.
    static func migrate(_ connection: inout PostgresConnection, location: String, at now: Milliseconds) throws {
        let newest = Migration.postgres.last!.version
        try connection.transaction { db in
            try db.row("SELECT pg_advisory_xact_lock($1)", lock) { _ in }
            let isNew = try db.row("SELECT to_regclass('meta') IS NULL") { $0.bool(0) } ?? true
            var applied: [Int: String] = [:]
            if !isNew {
                let oldest = try db.number("SELECT oldest_writer FROM meta")
                guard oldest <= newest else {
                    throw JobStoreError.newerSchema(path: location, found: Int(oldest), supported: newest)
                }
                for (version, checksum) in try db.rows(
                    "SELECT version, checksum FROM migrations", read: { ($0.int(0), $0.text(1)) })
                {
                    applied[version] = checksum
                }
            }
            // A table that somebody reads for long is not waited for: all others would wait behind this.
            try db.execute("SET LOCAL lock_timeout = 2000")
            for migration in Migration.postgres {
                if let checksum = applied[migration.version] {
                    guard checksum == migration.checksum else {
                        throw JobStoreError.migrationChanged(
                            path: location, name: migration.name, applied: checksum, known: migration.checksum)
                    }
                    continue
                }
                try db.execute(migration.sql)
                try db.run(
                    "INSERT INTO migrations (version, name, checksum, applied_ms) VALUES ($1, $2, $3, $4)",
                    migration.version, migration.name, migration.checksum, now)
            }
        }
    }
}
