// Where the queue is: a file of this machine, or a server that several hosts share.

import Runtime

/// The place of the job store.
public enum QueueLocation: Sendable, Hashable {
    /// A SQLite database at a path.
    case file(String)
    /// A PostgreSQL database, as `postgres://…`. It may have a password in it, so it is never shown.
    case postgres(uri: String)

    /// Reads what `db` says; nil if it names a place that no store is made for.
    init?(_ text: String) {
        switch ForeignLocation(text)?.scheme {
        case nil: self = .file(text)
        case "postgres", "postgresql": self = .postgres(uri: text)
        default: return nil
        }
    }
}

extension Configuration {
    /// The folder of the contents of uploaded files. They stay on the machine whose server took them.
    public var uploadsDirectory: String {
        switch database {
        case .file(let path): path + "-files"
        case .postgres: stateDirectory + "/files"
        }
    }
}
