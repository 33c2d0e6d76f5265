// Maintenance of a store's database.

public import Runtime

/// Checks, copies and shrinks a database.
public protocol DatabaseUpkeep: BatchLifecycle {
    /// Reads the whole database and reports what is wrong.
    func check() throws(JobStoreError) -> StoreCheck

    /// Writes a copy of the database as it is at this moment. Others may read and write meanwhile.
    ///
    /// The file gets its name when it is complete, checked and durable. It can replace the database.
    /// - Throws: `.system` if `target` exists or cannot be created, `.diskFull` naming `target`;
    ///   `.notForThisStore` where others do that.
    func backup(to target: String) throws(JobStoreError)

    /// Returns the space of deleted rows to the filesystem.
    /// - Throws: `.notForThisStore` where others do that.
    func vacuum() throws(JobStoreError) -> VacuumReport

    /// The batches that `prune` would delete, the oldest first.
    func prunable(finishedBefore limit: Milliseconds) throws(JobStoreError) -> [BatchSummary]

    /// The size of the write-ahead log in bytes.
    func walBytes() throws(JobStoreError) -> Int64
}
