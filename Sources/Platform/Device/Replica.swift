// Which of the replicas of a model something is, or is for.

/// One of the replicas of a model that run side by side, each on a device of its own (data parallel, TT contract §3).
public struct Replica: Sendable, Hashable, CustomStringConvertible {
    /// Its number, from 0.
    public let index: Int
    /// How many there are.
    public let count: Int

    /// The replica at `index` of `count`.
    public init(index: Int, of count: Int) {
        precondition((0..<count).contains(index))
        self.index = index
        self.count = count
    }

    /// The one that there is where a model has no more.
    public static let only = Replica(index: 0, of: 1)

    /// All of `count` replicas.
    public static func all(_ count: Int) -> [Replica] { (0..<count).map { Replica(index: $0, of: count) } }

    /// `replica 1` is the first.
    public var description: String { "replica \(index + 1)" }

    /// What a line of the log about it begins with; nothing where it is the only one.
    public var prefix: String { count == 1 ? "" : "\(self): " }
}
