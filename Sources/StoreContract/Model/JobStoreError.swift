public import Runtime

/// Everything that can go wrong in the store, with a message for people.
public enum JobStoreError: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    // Opening
    /// There is no store there.
    case notFound(path: String)
    /// The file is not a job store.
    case notAJobStore(path: String, reason: String)
    /// A newer program wrote it.
    case newerSchema(path: String, found: Int, supported: Int)
    /// It needs a migration, and this connection is read-only.
    case olderSchema(path: String, found: Int, supported: Int)
    /// The text of a migration that was applied to it differs from this program's.
    case migrationChanged(path: String, name: String, applied: String, known: String)
    /// SQLite's locks do not work there.
    case networkFilesystem(path: String, kind: String)
    /// The operating system refused a file operation.
    case system(operation: String, path: String, errno: Int32, reason: String)

    // Requests that cannot be carried out
    /// No such batch.
    case batchNotFound(BatchID)
    /// The batch is still being written.
    case batchIsDraft(BatchID)
    /// The batch has ended.
    case batchAlreadyFinished(BatchID, BatchStatus)
    /// The batch has not ended.
    case batchNotFinished(BatchID, BatchStatus)
    /// No job of the batch can be run again.
    case nothingToRetry(BatchID)
    /// Another batch has the name.
    case nameTaken(String, by: BatchID)
    /// Another key of the server has the name.
    case keyNameTaken(String)
    /// A batch without a single line.
    case emptyBatch
    /// The draft was committed, discarded or deleted.
    case draftClosed(BatchID)
    /// Another daemon owns the queue.
    case daemonRunning(path: String, pid: Int32?, since: Milliseconds?)
    /// This store was opened for reading.
    case readOnly(path: String)
    /// The life of this daemon was declared dead, since it was not heard of for too long.
    case declaredDead(Incarnation)
    /// What was asked is not for this kind of store.
    case notForThisStore(path: String, remedy: String)
    /// No host of the queue is called so.
    case hostNotFound(String)

    // Temporary faults: try again later
    /// The disk is full.
    case diskFull(path: String)
    /// Another connection held the lock for too long.
    case busy(path: String)

    // Permanent faults
    /// The file is damaged.
    case corrupt(path: String, reason: String)
    /// Any other error of the database.
    case database(path: String, code: Int32, reason: String)

    // Faults of a queue behind a server
    /// The server does not answer.
    case unreachable(server: String, reason: String)
    /// The server answered with an error that is not one of the queue.
    case refused(server: String, reason: String)

    /// Whether the same call may succeed later although nothing in the store is changed.
    public var isTemporary: Bool {
        switch self {
        case .diskFull, .busy, .unreachable: true
        default: false
        }
    }

    /// A message for a person.
    public var description: String {
        switch self {
        case .notFound(let path):
            "there is no job database at \(path); enqueue something or start the daemon to create it"
        case .notAJobStore(let path, let reason):
            "\(path) is not a job database of ttbatch (\(reason)); choose another path, or put a backup in its place if "
                + "it was one"
        case .newerSchema(let path, let found, let supported):
            "\(path) has schema \(found), this program knows schemas up to \(supported); use the newer ttbatch"
        case .olderSchema(let path, let found, let supported):
            "\(path) has schema \(found), this program needs \(supported); enqueue or start the daemon to upgrade it"
        case .migrationChanged(let path, let name, let applied, let known):
            "\(path) was made with another version of migration \(name) (checksum \(applied), here \(known))"
        case .networkFilesystem(let path, let kind):
            "\(path) lies on a network filesystem (\(kind)), where locks do not hold; choose a local disk"
        case .system(let operation, let path, _, let reason):
            "cannot \(operation) \(path): \(reason)"
        case .batchNotFound(let id):
            "there is no \(id)"
        case .batchIsDraft(let id):
            "\(id) is still being written; wait until its enqueue has ended"
        case .batchAlreadyFinished(let id, let status):
            "\(id) has already ended (\(status.rawValue))"
        case .batchNotFinished(let id, let status):
            "\(id) has not ended yet (\(status.rawValue)); wait for it or cancel it first"
        case .nothingToRetry(let id):
            "\(id) has no such job that could be run again; those that succeeded, and invalid lines, never are"
        case .nameTaken(let name, let id):
            "\(id) is called \(name) already; choose another name, or use --if-not-exists to get its id"
        case .keyNameTaken(let name):
            "there is a key \(name) already; choose another name, or remove it first"
        case .emptyBatch:
            "the batch has no lines"
        case .draftClosed(let id):
            "\(id) is no longer a draft of this process"
        case .daemonRunning(let path, let pid, let since):
            "a daemon already owns \(path)\(pid.map { ": process \($0)" } ?? "")"
                + (since.map { ", since \($0.localTime)" } ?? "")
        case .readOnly(let path):
            "\(path) was opened for reading only"
        case .declaredDead(let life):
            "\(life) was declared dead, since it was not heard of for too long; its jobs are back in the queue"
        case .notForThisStore(let path, let remedy):
            "\(path): \(remedy)"
        case .hostNotFound(let name):
            "no host of this queue is called \(name); `ttbatch hosts` lists them"
        case .diskFull(let path):
            "the disk that holds \(path) is full; free some space, nothing that was acknowledged is lost"
        case .busy(let path):
            "\(path) stayed locked by another process for too long; try again"
        case .corrupt(let path, let reason):
            "\(path) is damaged (\(reason)); stop what uses it, see what `ttbatch db check` finds, then put a backup in its "
                + "place, or rescue what is readable: sqlite3 \(path) .recover | sqlite3 rescued.db"
        case .database(let path, let code, let reason):
            "\(path): SQLite error \(code): \(reason)"
        case .unreachable(let server, let reason), .refused(let server, let reason):
            "\(server): \(reason)"
        }
    }

    /// The error as those see it who reach the store through a server: `place` is the server's address, or empty in its
    /// answer. Nil if the error is none of theirs: what it tells is about the server's files.
    public func seen(at place: String) -> JobStoreError? {
        switch self {
        case .batchNotFound, .batchIsDraft, .batchAlreadyFinished, .batchNotFinished, .nothingToRetry, .nameTaken,
            .emptyBatch:
            self
        case .diskFull: .diskFull(path: place)
        case .busy: .busy(path: place)
        default: nil
        }
    }
}
