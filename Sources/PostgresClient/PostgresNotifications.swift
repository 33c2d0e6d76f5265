// NOTIFY of others: heard a millisecond after their commit, by whoever listens.

import CPostgres
import Glibc

/// What somebody said on a channel.
package struct PostgresNotification: Sendable, Hashable {
    /// The channel.
    package let channel: String
    /// What was said.
    package let text: String
}

extension PostgresConnection {
    /// Hears notifications on a channel from now on.
    package mutating func listen(to channel: String) throws(PostgresError) {
        try execute("LISTEN \"\(channel.replacing("\"", with: "\"\""))\"")
    }

    /// What was said since the last call; waits for at most `time` if that is nothing.
    package mutating func notifications(within time: Duration) throws(PostgresError) -> [PostgresNotification] {
        try checkIsThere()
        let end = ContinuousClock.now + time
        while true {
            guard cpq_consume_input(handle) == 1 else { throw lose() }
            let found = taken()
            if !found.isEmpty || ContinuousClock.now >= end { return found }
            _ = Self.wait(for: Int16(POLLIN), on: handle, until: end)
        }
    }

    private func taken() -> [PostgresNotification] {
        var found: [PostgresNotification] = []
        var next = cpq_notification()
        while cpq_next_notification(handle, &next) {
            found.append(
                PostgresNotification(channel: String(cString: next.channel), text: String(cString: next.payload)))
            cpq_free(next.memory)
        }
        return found
    }
}
