// A queue in a database file of this machine: the only place that knows which store that is.

import Runtime
import SQLiteStore
package import StoreContract

/// Opens the database file at a path.
package enum QueueDatabase {
    /// The file, read-only; it must exist.
    package static func reading(_ path: String) throws(JobStoreError) -> any ServedStore & DatabaseUpkeep {
        try SQLiteJobStore(readingFrom: path)
    }

    /// The file, created or migrated if necessary.
    package static func writing(_ path: String) throws(JobStoreError) -> any ServedStore & DatabaseUpkeep {
        try SQLiteJobStore(path: path, at: TimeSource.system.now)
    }
}
