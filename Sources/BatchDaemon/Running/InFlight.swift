// The jobs between claim and end, shared by the threads of a session.

import JobStore

/// Jobs that were claimed and have not ended, each with the replica that it went to. The feeder waits here until there is
/// room or news.
final class InFlight: @unchecked Sendable {
    private let lock = WaitingLock()
    private var replicas: [ClaimTicket: Int] = [:]
    private var unfinished: [Int]
    private var news = 0
    private var putBacks = 0

    /// No jobs yet for any of `replicas`.
    init(replicas: Int) { unfinished = Array(repeating: 0, count: replicas) }

    var count: Int { lock.withLock { replicas.count } }

    var all: [ClaimTicket] { lock.withLock { Array(replicas.keys) } }

    /// Jobs of each replica.
    var loads: [Int] { lock.withLock { unfinished } }

    /// The replica that a job went to; nil once it has ended.
    func replica(of ticket: ClaimTicket) -> Int? { lock.withLock { replicas[ticket] } }

    /// Counts what `waitForNews` waits for.
    var newsCount: Int { lock.withLock { news } }

    /// Counts how often jobs went back into the queue.
    var putBackCount: Int { lock.withLock { putBacks } }

    /// Gives a job to the replica that has the fewest, and returns which that is.
    @discardableResult
    func add(_ ticket: ClaimTicket) -> Int {
        lock.withLock {
            let replica = unfinished.indices.min { unfinished[$0] < unfinished[$1] }!
            replicas[ticket] = replica
            unfinished[replica] += 1
            return replica
        }
    }

    func remove(_ removed: some Sequence<ClaimTicket>) {
        lock.change {
            take(removed)
            news += 1
        }
    }

    /// Jobs are in the queue again.
    func removePutBack(_ removed: some Sequence<ClaimTicket>) {
        lock.change {
            take(removed)
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

    private func take(_ removed: some Sequence<ClaimTicket>) {
        for ticket in removed {
            if let replica = replicas.removeValue(forKey: ticket) { unfinished[replica] -= 1 }
        }
    }
}
