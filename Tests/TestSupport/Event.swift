// How the threads of a test wait for each other.

import Foundation
import Runtime

/// Something that happens, for which another thread waits.
package final class Event: @unchecked Sendable {
    private let condition = NSCondition()
    private var count = 0

    package init() {}

    /// Signals so far.
    package var current: Int { condition.withLock { count } }

    package func signal() {
        condition.withLock {
            count += 1
            condition.broadcast()
        }
    }

    /// Waits for the `times`-th signal; a test that waits for ever is ended by `etc/test`.
    package func wait(times: Int = 1) {
        condition.withLock { while count < times { condition.wait() } }
    }
}

/// Runs `body` on a thread of its own; the event tells its end.
package func onThread(_ body: @escaping @Sendable () -> Void) -> Event {
    let ended = Event()
    DetachedThread.start("test") {
        body()
        ended.signal()
    }
    return ended
}
