// The migrations of the folder and those of the binary are the same.

import Foundation
import Migrations
import TestSupport
import Testing

@Suite struct MigrationsTests {
    /// `migrations/` beside `Tests/`.
    private var folder: URL { Locations.repository.appending(path: "migrations") }

    @Test func everyFileOfTheFolderIsListedInOrder() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".sql") }.sorted()
        #expect(!files.isEmpty)
        #expect(Migration.all.map { $0.name + ".sql" } == files)
        #expect(Migration.all.map(\.version) == Array(1...files.count))
        for (migration, file) in zip(Migration.all, files) {
            #expect(migration.sql == (try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)))
            #expect(file.hasPrefix(String(format: "%04d_", migration.version)))
        }
    }

    @Test(arguments: Migration.all.indices)
    func aReleasedMigrationIsNeverEdited(index: Int) {
        #expect(Migration.all[index].actualChecksum == Migration.all[index].checksum)
    }
}
