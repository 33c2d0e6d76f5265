// The typed identifiers of the queue.

/// The identifier of a batch. Printed and parsed as `batch_17`; never used again after a deletion.
public struct BatchID: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The number that the store gave it.
    public let rawValue: Int64

    /// Wraps a number that the store gave out.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// Parses `batch_17` or `17`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let digits = text.hasPrefix("batch_") ? text.dropFirst("batch_".count) : text[...]
        guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let number = Int64(digits), number > 0
        else { return nil }
        self.rawValue = number
    }

    /// `batch_17`.
    public var description: String { "batch_\(rawValue)" }

    /// In order of submission.
    public static func < (left: BatchID, right: BatchID) -> Bool { left.rawValue < right.rawValue }
}

/// The identifier of a job, which is one prompt of a batch.
public struct JobID: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The number that the store gave it.
    public let rawValue: Int64

    /// Wraps a number that the store gave out.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// `job_17`.
    public var description: String { "job_\(rawValue)" }

    /// In order of submission.
    public static func < (left: JobID, right: JobID) -> Bool { left.rawValue < right.rawValue }
}

/// The number of an incarnation: one run of the daemon's process.
public struct Incarnation: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The number that the store gave it.
    public let rawValue: Int64

    /// Wraps a number that the store gave out.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// `incarnation 3`.
    public var description: String { "incarnation \(rawValue)" }

    /// In order of start.
    public static func < (left: Incarnation, right: Incarnation) -> Bool { left.rawValue < right.rawValue }
}
