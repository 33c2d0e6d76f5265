// A store that is out of order for the moment: told once when it begins and once when it is over, not every second of a
// night.

import JobStore
import Logging

/// Which temporary error of the store was told last, for one of the threads that use it.
struct StoreTrouble {
    private let log: Logger
    private let consequence: String
    private var told: JobStoreError?

    /// - Parameter consequence: what waits meanwhile, e.g. `results wait in memory`.
    init(consequence: String, log: Logger) {
        self.consequence = consequence
        self.log = log
    }

    /// Takes note of an error that will pass.
    ///
    /// - Throws: `error` itself where it will not.
    mutating func note(_ error: JobStoreError) throws(JobStoreError) {
        guard error.isTemporary else { throw error }
        if told != error { log.error("\(error); \(consequence), trying again") }
        told = error
    }

    /// Takes note that the store works.
    mutating func isOver() {
        if told != nil { log.info("the job database can be used again") }
        told = nil
    }
}
