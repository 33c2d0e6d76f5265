// The number of a replica among the replicas of a model.

/// One of the replicas of a model that run in parallel, each on its own device (data parallel, TT contract §3).
public struct Replica: Sendable, Hashable, CustomStringConvertible {
    /// Its number, from 0.
    public let index: Int
    /// The number of replicas.
    public let count: Int

    /// The replica at `index` of `count`.
    public init(index: Int, of count: Int) {
        precondition((0..<count).contains(index))
        self.index = index
        self.count = count
    }

    /// The replica of a model that has one only.
    public static let only = Replica(index: 0, of: 1)

    /// All of `count` replicas.
    public static func all(_ count: Int) -> [Replica] { (0..<count).map { Replica(index: $0, of: count) } }

    /// `replica 1` for index 0, and so on.
    public var description: String { "replica \(index + 1)" }

    /// The prefix of its log lines; empty if it is the only replica.
    public var prefix: String { count == 1 ? "" : "\(self): " }
}
