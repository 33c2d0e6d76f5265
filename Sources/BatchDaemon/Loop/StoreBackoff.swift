// Logs a temporary error of the store: once when it begins and once when it is over, not at every retry.

import CoreMetrics
import Logging
import StoreContract

/// The temporary error of the store that one of its threads has logged last.
struct StoreBackoff {
    private let log: Logger
    private let consequence: String
    private let retries = Counter(label: "ttbatch_store_retries_total")
    private var logged: JobStoreError?

    /// - Parameter consequence: the effect of the error, for example `results wait in memory`.
    init(consequence: String, log: Logger) {
        self.consequence = consequence
        self.log = log
    }

    /// Records a temporary error.
    ///
    /// - Throws: `error` itself if it is permanent.
    mutating func note(_ error: JobStoreError) throws(JobStoreError) {
        guard error.isTemporary else { throw error }
        retries.increment()
        if logged != error { log.error("\(error); \(consequence), trying again") }
        logged = error
    }

    /// Records that the store works.
    mutating func reset() {
        if logged != nil { log.info("the job database can be used again") }
        logged = nil
    }
}
