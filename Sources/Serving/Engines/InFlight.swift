// A client's requests between submission and end, shared by its threads.

package import Platform
import Runtime

/// Requests that have not ended, each with its client's ticket and its replica. A thread can wait here for a wake-up,
/// for example when a request has ended.
package final class InFlight<Ticket: Sendable>: @unchecked Sendable {
    private let lock = WaitingLock()
    private var requests: [RequestID: (ticket: Ticket, replica: Int, sequences: Int)] = [:]
    private var unfinished: [Int]
    private var news = 0
    private var putBacks = 0

    /// No requests, for `replicas` replicas.
    package init(replicas: Int) { unfinished = Array(repeating: 0, count: replicas) }

    /// Number of requests that have not ended.
    package var count: Int { lock.withLock { requests.count } }

    /// The tickets of all requests.
    package var all: [Ticket] { lock.withLock { requests.values.map(\.ticket) } }

    /// Number of sequences of each replica.
    package var loads: [Int] { lock.withLock { unfinished } }

    /// The replica that a request went to, and its number of sequences; nil once it has ended.
    package func place(of id: RequestID) -> (replica: Int, sequences: Int)? {
        lock.withLock { requests[id].map { ($0.replica, $0.sequences) } }
    }

    /// The number of wake-ups so far; see `waitForNews`.
    package var newsCount: Int { lock.withLock { news } }

    /// How many times requests were requeued.
    package var putBackCount: Int { lock.withLock { putBacks } }

    /// Adds a request of `sequences` sequences for the replica with the fewest, and returns that replica.
    @discardableResult
    package func add(_ id: RequestID, _ ticket: Ticket, sequences: Int = 1) -> Int {
        lock.withLock {
            let replica = unfinished.indices.min { unfinished[$0] < unfinished[$1] }!
            requests[id] = (ticket, replica, sequences)
            unfinished[replica] += sequences
            return replica
        }
    }

    /// Removes requests that have ended.
    package func remove(_ removed: some Sequence<RequestID>) {
        lock.change {
            take(removed)
            news += 1
        }
    }

    /// Removes requests whose jobs were requeued; they can be submitted again.
    package func removePutBack(_ removed: some Sequence<RequestID>) {
        lock.change {
            take(removed)
            putBacks += 1
            news += 1
        }
    }

    /// Wakes a waiting thread for another reason than a request.
    package func nudge() {
        lock.change { news += 1 }
    }

    /// Waits until a request was removed or `nudge` was called since `newsCount` was `seen`, or for `limit`.
    ///
    /// The caller reads `newsCount` before it polls, so that no wake-up in between is missed.
    package func waitForNews(since seen: Int, atMost limit: Duration) {
        lock.wait(atMost: limit, until: { news != seen }, then: {})
    }

    private func take(_ removed: some Sequence<RequestID>) {
        for id in removed {
            if let request = requests.removeValue(forKey: id) { unfinished[request.replica] -= request.sequences }
        }
    }
}
