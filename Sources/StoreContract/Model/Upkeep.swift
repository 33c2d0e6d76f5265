// What looking after a database finds and gives.

/// What a look at a whole store found.
public struct StoreCheck: Sendable {
    /// What is wrong, each in one line for a person; empty if nothing is.
    public var problems: [String] = []
    /// What is in order, but worth knowing.
    public var remarks: [String] = []
    /// The SQLite library, e.g. `3.40.1`.
    public var libraryVersion = ""
    /// Whether that library can lose commits in a checkpoint that nobody guards.
    public var needsCheckpointGuard = false
    /// The schema of the database.
    public var schemaVersion = 0
    /// Where the database lies, by the filesystem's name.
    public var filesystem = ""
    /// Bytes of the database file.
    public var databaseBytes: Int64 = 0
    /// Bytes of it that are free for new rows; `vacuum` gives them back to the disk.
    public var freeBytes: Int64 = 0
    /// Bytes of the write-ahead log.
    public var walBytes: Int64 = 0
    /// Batches that were looked at, drafts left out.
    public var batches: Int64 = 0
    /// Jobs that were looked at.
    public var jobs: Int64 = 0

    /// Nothing found yet.
    public init() {}
}

/// What rewriting a database has given.
public struct VacuumReport: Hashable, Sendable {
    /// Its size before.
    public var bytesBefore: Int64
    /// And after.
    public var bytesAfter: Int64

    /// For stores, and for tests of what reads them.
    public init(bytesBefore: Int64, bytesAfter: Int64) {
        self.bytesBefore = bytesBefore
        self.bytesAfter = bytesAfter
    }
}
