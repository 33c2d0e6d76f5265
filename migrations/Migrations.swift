// The schema of the job store, as numbered SQL files that are embedded in the binary.
//
// A migration that was released is never edited: its checksum stands below, in the database that it was applied to, and
// in a test. A change of schema is a new file, added to the resources of this target and to `all`.

/// One numbered step of the schema.
public struct Migration: Sendable {
    /// 1, 2, 3 …; a database's `user_version` is that of its last migration.
    public let version: Int
    /// The file's name without its ending, e.g. `0001_jobs`.
    public let name: String
    /// The statements.
    public let sql: String
    /// FNV-1a (64 bit, hexadecimal) of the file's bytes, as released.
    public let checksum: String

    init(version: Int, name: String, bytes: [UInt8], checksum: String) {
        self.version = version
        self.name = name
        self.sql = String(decoding: bytes, as: UTF8.self)
        self.checksum = checksum
    }

    /// The checksum of the text that is really embedded; a test holds it against `checksum`.
    public var actualChecksum: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in sql.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension Migration {
    /// The migrations of the job store, in the order in which they are applied. (SwiftPM drops the first digit of a resource's name.)
    public static let all: [Migration] = [
        Migration(
            version: 1, name: "0001_jobs", bytes: PackageResources._001_jobs_sql, checksum: "4167a03e115b8bc2"),
        Migration(
            version: 2, name: "0002_prefix_sharing", bytes: PackageResources._002_prefix_sharing_sql,
            checksum: "16445009230dcdfb"),
        Migration(
            version: 3, name: "0003_lifecycle", bytes: PackageResources._003_lifecycle_sql,
            checksum: "c47cfd50329fcd99"),
        Migration(
            version: 4, name: "0004_progress", bytes: PackageResources._004_progress_sql,
            checksum: "641594a72d22da03"),
        Migration(
            version: 5, name: "0005_model_faults", bytes: PackageResources._005_model_faults_sql,
            checksum: "fffee1928cb35aa3"),
        Migration(
            version: 6, name: "0006_names_and_params", bytes: PackageResources._006_names_and_params_sql,
            checksum: "ca416feb7e68802c"),
        Migration(
            version: 7, name: "0007_choices", bytes: PackageResources._007_choices_sql, checksum: "2d9fe08958f51a4d"),
        Migration(
            version: 8, name: "0008_scores", bytes: PackageResources._008_scores_sql, checksum: "18f3c8a32871e5ab"),
        Migration(
            version: 9, name: "0009_systems", bytes: PackageResources._009_systems_sql, checksum: "e67f025f564f9e79"),
        Migration(
            version: 10, name: "0010_files", bytes: PackageResources._010_files_sql, checksum: "2387a8218eaf043b"),
        Migration(
            version: 11, name: "0011_keys", bytes: PackageResources._011_keys_sql, checksum: "e6aaaf9d9c90fbc1"),
    ]

    /// The migrations of a queue in PostgreSQL.
    public static let postgres: [Migration] = [
        Migration(
            version: 1, name: "0001_queue", bytes: PackageResources._001_queue_sql, checksum: "8fbeb44397a6da3d"),
        Migration(
            version: 2, name: "0002_repeats_and_scopes", bytes: PackageResources._002_repeats_and_scopes_sql,
            checksum: "01246c1a4afe340e"),
    ]
}
