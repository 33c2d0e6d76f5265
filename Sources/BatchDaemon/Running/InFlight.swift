// The jobs between claim and end, shared by the threads of a session.

import JobStore

/// Jobs that were claimed and have not ended. The feeder waits here until there is room or news.
final class InFlight: @unchecked Sendable {
    private let lock = WaitingLock()
    private var tickets: Set<ClaimTicket> = []
    private var news = 0
    private var putBacks = 0

    var count: Int { lock.withLock { tickets.count } }

    var all: [ClaimTicket] { lock.withLock { Array(tickets) } }

    /// Counts what `waitForNews` waits for.
    var newsCount: Int { lock.withLock { news } }

    /// Counts how often jobs went back into the queue.
    var putBackCount: Int { lock.withLock { putBacks } }

    func add(_ ticket: ClaimTicket) {
        lock.withLock { _ = tickets.insert(ticket) }
    }

    func remove(_ removed: some Sequence<ClaimTicket>) {
        lock.change {
            tickets.subtract(removed)
            news += 1
        }
    }

    /// Jobs are in the queue again.
    func removePutBack(_ removed: some Sequence<ClaimTicket>) {
        lock.change {
            tickets.subtract(removed)
            putBacks += 1
            news += 1
        }
    }

    /// Ends a wait early, for news that is not about a job.
    func nudge() {
        lock.change { news += 1 }
    }

    /// Waits until a job has ended or somebody nudged since `newsCount` was `seen`, or for `limit`.
    ///
    /// The count is taken before looking at what there is to do, so that nothing which happens meanwhile is slept over.
    func waitForNews(since seen: Int, atMost limit: Duration) {
        lock.wait(atMost: limit, until: { news != seen }, then: {})
    }
}
