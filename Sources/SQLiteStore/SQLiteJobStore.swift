// The job store in one SQLite file on a local disk, shared by the daemon and any number of command-line processes.
//
// Its extensions in the folders contain the operations: enqueue, claim, finish, cancel, queries, metrics, checkpoint.

import Failpoints
import GRDB
public import Runtime
public import StoreContract
import Synchronization

/// The queue in one SQLite file. Any number of processes may open it; one daemon runs its jobs.
///
/// Within an object, writes exclude each other and reads exclude each other, but a read and a write do not.
public final class SQLiteJobStore: JobStore, FileKeeping, DatabaseUpkeep {
    /// The database file, absolute and without symbolic links.
    public let path: String
    /// The same as `path`.
    public var location: String { path }
    /// What a person should know about the database's place, e.g. that its filesystem is unsuitable.
    public let warnings: [String]

    let options: SQLiteOptions
    /// nil if opened for reading.
    let writer: DatabaseQueue?
    let reader: DatabaseQueue
    /// The second connection of a guarded checkpoint; opened at the first checkpoint.
    let checkpointer = Mutex<DatabaseQueue?>(nil)

    /// Opens a database for reading and writing. It is created or migrated if necessary.
    ///
    /// A new file and its folders are private to the user (0600, 0700).
    /// - Throws: `.newerSchema`, `.notAJobStore`, `.networkFilesystem`, `.daemonRunning` (a migration while a daemon
    ///   runs), `.migrationChanged`, and the errors of files and databases.
    public init(
        path: String, options: SQLiteOptions = SQLiteOptions(), at now: Milliseconds
    ) throws(JobStoreError) {
        let file = try DatabaseFile(creating: path)
        do {
            let writer = try DatabaseQueue.connection(to: file.path, as: .writer, options: options)
            try writer.writeWithoutTransaction { try Schema.migrate($0, path: file.path, at: now) }
            self.reader = try DatabaseQueue.connection(to: file.path, as: .reader, options: options)
            self.writer = writer
        } catch {
            throw JobStoreError(error, path: file.path)
        }
        self.path = file.path
        self.warnings = file.warnings
        self.options = options
    }

    /// Opens an existing database for reading only. The connection and writers do not block each other.
    /// - Throws: `.notFound`, `.olderSchema`, `.newerSchema`, `.notAJobStore`, `.networkFilesystem`.
    public init(readingFrom path: String, options: SQLiteOptions = SQLiteOptions()) throws(JobStoreError) {
        let file = try DatabaseFile(existing: path)
        reader = try Self.reader(of: file, options)
        self.writer = nil
        self.path = file.path
        self.warnings = file.warnings
        self.options = options
    }

    /// A read-only connection. It also works if this user may not write the files of the write-ahead log.
    private static func reader(
        of file: DatabaseFile, _ options: SQLiteOptions
    ) throws(JobStoreError) -> DatabaseQueue {
        do {
            let reader = try DatabaseQueue.connection(to: file.path, as: .reader, options: options)
            try reader.read { try Schema.verify($0, path: file.path) }
            return reader
        } catch let error as DatabaseError
            where [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode.primaryResultCode)
        {
            try file.checkReadable()
            guard let address = file.addressWithoutLog else {
                try file.checkIndex()
                throw JobStoreError(error, path: file.path)
            }
            do {
                let reader = try DatabaseQueue.connection(to: address, as: .reader, options: options)
                try reader.read { try Schema.verify($0, path: file.path) }
                return reader
            } catch { throw JobStoreError(error, path: file.path) }
        } catch {
            throw JobStoreError(error, path: file.path)
        }
    }

    /// The version of the SQLite library in use, e.g. `3.40.1`; for the log.
    public func libraryVersion() throws(JobStoreError) -> String {
        try read { try $0.row("SELECT sqlite_version()") { $0.text(0) } ?? "" }
    }

    /// Changes with commits of other connections and processes. Commits of this object count only if it is read-only.
    public func dataVersion() throws(JobStoreError) -> Int64 {
        // On the writer, own commits do not count.
        let queue = writer ?? reader
        do {
            return try queue.unsafeRead { try $0.number("PRAGMA data_version") }
        } catch {
            throw JobStoreError(error, path: path)
        }
    }

    /// Runs one transaction that takes the write lock at its start, so that it cannot fail in the middle because
    /// another connection has the lock.
    ///
    /// - Parameters:
    ///   - name: the operation's name. The failpoints `name.committing` and `name.committed` are before and after its
    ///     commit.
    ///   - isSynced: whether it must survive a power cut. If false, it becomes durable with the next synced write,
    ///     because the write-ahead log keeps their order.
    func write<T>(
        in name: StaticString = #function, isSynced: Bool = true, _ operation: (Database) throws -> T
    ) throws(JobStoreError) -> T {
        guard let writer else { throw .readOnly(path: path) }
        do {
            let result = try writer.writeWithoutTransaction { db in
                var result: T?
                if !isSynced { try db.execute(sql: "PRAGMA synchronous = NORMAL") }
                defer { if !isSynced { db.syncCommits() } }
                do {
                    try db.inTransaction(.immediate) {
                        result = try operation(db)
                        failpoint(operationName(name) + ".committing")
                        return .commit
                    }
                } catch {
                    throw JobStoreError(error, path: path, connection: db)
                }
                return result!
            }
            failpoint(operationName(name) + ".committed")
            return result
        } catch {
            throw JobStoreError(error, path: path)
        }
    }

    /// Keeps the statement journal in memory. In a temporary file it would be most of what an enqueue writes. Only for
    /// connections that do not sort or rewrite whole tables.
    func undoStatementsInMemory() throws(JobStoreError) {
        guard let writer else { throw .readOnly(path: path) }
        do {
            try writer.writeWithoutTransaction { try $0.execute(sql: "PRAGMA temp_store = MEMORY") }
        } catch {
            throw JobStoreError(error, path: path)
        }
    }

    /// Runs queries in one transaction, so that they see one state of the database.
    func read<T>(_ query: (Database) throws -> T) throws(JobStoreError) -> T {
        do {
            return try reader.read { db in
                do { return try query(db) } catch { throw JobStoreError(error, path: path, connection: db) }
            }
        } catch {
            throw JobStoreError(error, path: path)
        }
    }
}

extension Database {
    /// Makes the commits of this connection durable again, which is the default.
    fileprivate func syncCommits() {
        do {
            try execute(sql: "PRAGMA synchronous = FULL")
        } catch {
            // This cannot fail outside of a transaction. To continue would mean to acknowledge commits that a power cut
            // can undo.
            fatalError("commits cannot be made durable: \(error)")
        }
    }
}

/// `claim` for `claim(_:of:incarnation:at:)`.
private func operationName(_ function: StaticString) -> String {
    String("\(function)".prefix { $0 != "(" })
}
