// A store that is out of order for the moment: said once when it begins and once when it is over, not every second of a
// night.

import Logging
import StoreContract

/// Which temporary error of the store was logged last, for one of the threads that use it.
struct StoreBackoff {
    private let log: Logger
    private let consequence: String
    private var logged: JobStoreError?

    /// - Parameter consequence: what waits meanwhile, e.g. `results wait in memory`.
    init(consequence: String, log: Logger) {
        self.consequence = consequence
        self.log = log
    }

    /// Notes an error that will pass.
    ///
    /// - Throws: `error` itself where it will not.
    mutating func note(_ error: JobStoreError) throws(JobStoreError) {
        guard error.isTemporary else { throw error }
        if logged != error { log.error("\(error); \(consequence), trying again") }
        logged = error
    }

    /// Notes that the store works.
    mutating func reset() {
        if logged != nil { log.info("the job database can be used again") }
        logged = nil
    }
}
