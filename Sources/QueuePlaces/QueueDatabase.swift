// A queue in a database, of this machine or of a server: the only place that knows which store that is.

import PostgresClient
import PostgresStore
import Runtime
import SQLiteStore
package import Settings
package import StoreContract

/// Opens the database that a configuration names.
package enum QueueDatabase {
    /// The queue, read-only; it must exist.
    package static func reading(_ configuration: Configuration) throws(JobStoreError) -> any ServedStore
        & DatabaseUpkeep
    {
        switch configuration.database {
        case .file(let path): try SQLiteJobStore(readingFrom: path)
        case .postgres(let uri):
            try PostgresJobStore(readingFrom: try address(uri), stateDirectory: configuration.stateDirectory)
        }
    }

    /// The queue, created or migrated if necessary.
    package static func writing(_ configuration: Configuration) throws(JobStoreError) -> any ServedStore
        & DatabaseUpkeep
    {
        switch configuration.database {
        case .file(let path): try writing(path)
        case .postgres(let uri):
            try PostgresJobStore(
                try address(uri), stateDirectory: configuration.stateDirectory, at: TimeSource.system.now)
        }
    }

    /// The file at a path, created or migrated if necessary.
    package static func writing(_ path: String) throws(JobStoreError) -> any ServedStore & DatabaseUpkeep {
        try SQLiteJobStore(path: path, at: TimeSource.system.now)
    }

    private static func address(_ uri: String) throws(JobStoreError) -> PostgresAddress {
        guard let address = PostgresAddress(uri) else {
            throw .notForThisStore(path: "db", remedy: "expected postgres://USER@HOST:PORT/DATABASE")
        }
        return address
    }
}
