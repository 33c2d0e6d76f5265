// What schedules came across, so that a simulation in which nothing happens is noticed.

/// How often things happened.
struct Reach: CustomStringConvertible {
    private var counts: [String: Int] = [:]

    /// What every thousand schedules must have come across.
    private static let wanted = [
        "jobs succeeded", "jobs failed", "jobs expired", "jobs cancelled", "crashed jobs failed", "bad outputs failed",
        "model unavailable", "models failed at work", "models killed daemons", "device faults", "bad outputs",
        "daemons killed", "daemons stopped", "daemons drained", "daemons gave up", "store troubles", "pauses",
        "names taken",
        "orphaned drafts", "retries", "clock set back", "sessions of several replicas",
        "faults of one replica among several",
    ]

    mutating func count(_ what: String, _ times: Int = 1) { counts[what, default: 0] += times }

    mutating func add(_ other: Reach) { counts.merge(other.counts, uniquingKeysWith: +) }

    /// Something that never happened; nil if all did.
    var missing: String? { Self.wanted.first { counts[$0, default: 0] == 0 } }

    var description: String {
        counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}
