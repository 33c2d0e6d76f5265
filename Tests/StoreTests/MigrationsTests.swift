// The migrations of the folder and those of the binary are the same.

import Foundation
import Migrations
import TestSupport
import Testing

@Suite struct MigrationsTests {
    /// Folders of migrations, and what the program has of them.
    private static let kinds = [("migrations", Migration.all), ("migrations/postgres", Migration.postgres)]

    @Test(arguments: kinds.indices) func everyFileOfTheFolderIsListedInOrder(kind: Int) throws {
        let (path, migrations) = Self.kinds[kind]
        let folder = Locations.repository.appending(path: path)
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".sql") }.sorted()
        #expect(!files.isEmpty)
        #expect(migrations.map { $0.name + ".sql" } == files)
        #expect(migrations.map(\.version) == Array(1...files.count))
        for (migration, file) in zip(migrations, files) {
            #expect(migration.sql == (try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)))
            #expect(file.hasPrefix(String(format: "%04d_", migration.version)))
        }
    }

    @Test(arguments: kinds.indices) func aReleasedMigrationIsNeverEdited(kind: Int) {
        for migration in Self.kinds[kind].1 {
            #expect(migration.actualChecksum == migration.checksum, "\(migration.name)")
        }
    }
}
