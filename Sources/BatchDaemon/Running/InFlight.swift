// The jobs between claim and end, shared by the threads of a session.

import Foundation
import JobStore

/// Jobs that were claimed and have not ended. The feeder waits here until there is room or news.
final class InFlight: @unchecked Sendable {
    private let condition = NSCondition()
    private var tickets: Set<ClaimTicket> = []
    private var changes = 0

    var count: Int { condition.withLock { tickets.count } }

    var all: [ClaimTicket] { condition.withLock { Array(tickets) } }

    func add(_ ticket: ClaimTicket) {
        condition.withLock { _ = tickets.insert(ticket) }
    }

    func remove(_ removed: some Sequence<ClaimTicket>) {
        condition.withLock {
            tickets.subtract(removed)
            changes += 1
            condition.broadcast()
        }
    }

    /// Ends a wait early, for news that is not about a job.
    func nudge() {
        condition.withLock {
            changes += 1
            condition.broadcast()
        }
    }

    /// Waits until a job has ended, somebody nudges, or `deadline` comes.
    func waitForChange(until deadline: Date) {
        condition.withLock {
            let seen = changes
            while changes == seen, condition.wait(until: deadline) {}
        }
    }
}
