// Looking after a store that is a database file of its own.

public import Runtime

/// Checks, copies and shrinks a database.
public protocol DatabaseUpkeep: BatchLifecycle {
    /// Reads all of it and says what is wrong.
    func check() throws(JobStoreError) -> StoreCheck

    /// Writes a copy, as the database is at this moment, while others go on reading and writing.
    ///
    /// The file gets its name when it is complete, checked and durable. Put in the database's place, it works as that did.
    /// - Throws: `.system` if `target` exists or cannot be made, `.diskFull` naming `target`.
    func backup(to target: String) throws(JobStoreError)

    /// Gives the room of deleted rows back.
    func vacuum() throws(JobStoreError) -> VacuumReport

    /// What `prune` would delete, the oldest first.
    func prunable(finishedBefore limit: Milliseconds) throws(JobStoreError) -> [BatchSummary]

    /// Bytes of the write-ahead log.
    func walBytes() throws(JobStoreError) -> Int64
}
