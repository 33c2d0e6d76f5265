// What the session's other threads may know of the writer.

import Foundation
import Platform
import Serving
import StoreContract

/// How an engine of a session ended, if it was not told to.
package struct EngineFailure: Sendable, CustomStringConvertible {
    /// What happened.
    let fault: DeviceFault
    /// The replica whose engine it was.
    var replica = Replica.only

    /// One line for a person.
    package var description: String { "\(replica.prefix)\(fault)" }
}

/// What has become of a session so far.
struct SessionOutcome: Sendable {
    /// The device fault that ended an engine, if one did; the last where there were several.
    var engineFailure: EngineFailure?
    /// The error for which nothing more can be written.
    var storeFailure: JobStoreError?
    /// Jobs of this session whose end was committed.
    var finished = 0
    /// Jobs that were failed because they were in flight at too many crashes.
    var failedSuspects = 0
    /// Results wait in memory, because the store is out of order for the moment.
    var isWaitingForStore = false
}
