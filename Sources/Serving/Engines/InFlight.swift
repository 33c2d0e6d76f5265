// A client's requests between submission and end, shared by its threads.

package import Platform
import Runtime

/// Requests that have not ended, each with what its client knows it by and the replica that it went to. A thread can wait here
/// until there is room or news.
package final class InFlight<Ticket: Sendable>: @unchecked Sendable {
    private let lock = WaitingLock()
    private var requests: [RequestID: (ticket: Ticket, replica: Int)] = [:]
    private var unfinished: [Int]
    private var news = 0
    private var putBacks = 0

    /// No requests yet for any of `replicas`.
    package init(replicas: Int) { unfinished = Array(repeating: 0, count: replicas) }

    /// Requests that have not ended.
    package var count: Int { lock.withLock { requests.count } }

    /// The tickets of all of them.
    package var all: [Ticket] { lock.withLock { requests.values.map(\.ticket) } }

    /// Requests of each replica.
    package var loads: [Int] { lock.withLock { unfinished } }

    /// The replica that a request went to; nil once it has ended.
    package func replica(of id: RequestID) -> Int? { lock.withLock { requests[id]?.replica } }

    /// Counts what `waitForNews` waits for.
    package var newsCount: Int { lock.withLock { news } }

    /// Counts how often requests were put back.
    package var putBackCount: Int { lock.withLock { putBacks } }

    /// Gives a request to the replica that has the fewest, and returns which that is.
    @discardableResult
    package func add(_ id: RequestID, _ ticket: Ticket) -> Int {
        lock.withLock {
            let replica = unfinished.indices.min { unfinished[$0] < unfinished[$1] }!
            requests[id] = (ticket, replica)
            unfinished[replica] += 1
            return replica
        }
    }

    /// Requests have ended.
    package func remove(_ removed: some Sequence<RequestID>) {
        lock.change {
            take(removed)
            news += 1
        }
    }

    /// Requests were put back: they can be submitted again.
    package func removePutBack(_ removed: some Sequence<RequestID>) {
        lock.change {
            take(removed)
            putBacks += 1
            news += 1
        }
    }

    /// Ends a wait early, for news that is not about a request.
    package func nudge() {
        lock.change { news += 1 }
    }

    /// Waits until a request has ended or `nudge` was called since `newsCount` was `seen`, or for `limit`.
    ///
    /// The count is taken before looking at what there is to do, so that nothing which happens meanwhile is missed.
    package func waitForNews(since seen: Int, atMost limit: Duration) {
        lock.wait(atMost: limit, until: { news != seen }, then: {})
    }

    private func take(_ removed: some Sequence<RequestID>) {
        for id in removed {
            if let request = requests.removeValue(forKey: id) { unfinished[request.replica] -= 1 }
        }
    }
}
