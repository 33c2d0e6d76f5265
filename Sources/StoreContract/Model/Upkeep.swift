// The reports of database maintenance.

/// What a check of a whole store found.
public struct StoreCheck: Sendable {
    /// Problems, each in one line for people; empty if there are none.
    public var problems: [String] = []
    /// Facts that are no problems but that the user should know.
    public var remarks: [String] = []
    /// What keeps the database.
    public var engine = "SQLite"
    /// The version of that, e.g. `3.40.1`.
    public var engineVersion = ""
    /// Whether that library can lose commits in an unguarded checkpoint (store rules §8).
    public var needsCheckpointGuard = false
    /// The version of the database's schema.
    public var schemaVersion = 0
    /// The name of the database's filesystem; empty if it is on another machine.
    public var filesystem = ""
    /// The size of the database file in bytes.
    public var databaseBytes: Int64 = 0
    /// Free bytes in the file; `vacuum` returns them to the filesystem.
    public var freeBytes: Int64 = 0
    /// The size of the write-ahead log in bytes.
    public var walBytes: Int64 = 0
    /// The number of batches that were checked. Drafts are not.
    public var batches: Int64 = 0
    /// The number of jobs that were checked.
    public var jobs: Int64 = 0

    /// Makes a report without findings.
    public init() {}
}

/// What `vacuum` did.
public struct VacuumReport: Hashable, Sendable {
    /// The size of the database file before.
    public var bytesBefore: Int64
    /// The size of the database file after.
    public var bytesAfter: Int64

    /// For store implementations and tests.
    public init(bytesBefore: Int64, bytesAfter: Int64) {
        self.bytesBefore = bytesBefore
        self.bytesAfter = bytesAfter
    }
}
