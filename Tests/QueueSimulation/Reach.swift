// What schedules came across, so that a simulation in which nothing happens is noticed.

/// How often things happened.
struct Reach: CustomStringConvertible {
    private var counts: [String: Int] = [:]

    /// What every thousand schedules must have come across, and how often at least.
    private static let wanted = [
        "jobs succeeded": 5000, "jobs failed": 100, "jobs expired": 100, "jobs cancelled": 100,
        "crashed jobs failed": 50, "bad outputs failed": 50, "model unavailable": 50, "models failed at work": 5,
        "models killed daemons": 1, "device faults": 100, "bad outputs": 100, "daemons killed": 50,
        "daemons stopped": 100, "daemons drained": 100, "daemons gave up": 0, "store troubles": 50, "pauses": 100,
        "names taken": 20, "orphaned drafts": 50, "retries": 20, "clock set back": 20,
        "sessions of several replicas": 100, "faults of one replica among several": 50,

        // Of several hosts.
        "schedules of several hosts": 150, "calls not made": 20, "answers lost": 50, "claims unheard of": 3,
        "enqueues unheard of": 20, "cancels unheard of": 5, "partitions": 50, "hangs": 50, "server restarts": 20,
        "clocks hours off": 20, "hosts drained": 10, "hosts removed": 5, "models missing on hosts": 20,
        "machines lost for good": 10, "lives declared dead": 50, "lives begun anew": 20, "judges cut short": 1,
        "jobs released for declaredDead": 50, "jobs released for restart": 50, "results of dead lives refused": 5,
        "claims of batches that others work on": 50,
    ]

    mutating func count(_ what: String, _ times: Int = 1) { counts[what, default: 0] += times }

    mutating func add(_ other: Reach) { counts.merge(other.counts, uniquingKeysWith: +) }

    /// What happened too seldom in so many thousand schedules; nil if nothing did.
    func missing(inThousands thousands: Int) -> String? {
        Self.wanted.sorted { $0.key < $1.key }.first { counts[$0.key, default: 0] < max(1, $0.value * thousands) }?.key
    }

    var description: String {
        counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}
