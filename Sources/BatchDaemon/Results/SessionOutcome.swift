// The writer's state, for the session's other threads.

import Foundation
import Platform
import Serving
import StoreContract

/// The device fault that ended an engine of a session.
package struct EngineFailure: Sendable, CustomStringConvertible {
    /// The fault.
    let fault: DeviceFault
    /// The engine's replica.
    var replica = Replica.only

    /// A one-line message.
    package var description: String { "\(replica.prefix)\(fault)" }
}

/// The outcome of a session so far.
struct SessionOutcome: Sendable {
    /// The device fault that ended an engine, if any; the last of several.
    var engineFailure: EngineFailure?
    /// The permanent error of the store, after which nothing can be written.
    var storeFailure: JobStoreError?
    /// Number of jobs of this session whose completion was committed.
    var finished = 0
    /// Number of jobs that failed because they were in flight at too many crashes.
    var failedSuspects = 0
    /// Whether results wait in memory because the store has a temporary error.
    var isWaitingForStore = false
}
