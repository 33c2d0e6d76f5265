// The states that jobs and batches pass through.

/// The state of a job: `pending → running → succeeded | failed | cancelled | expired`. A terminal job never changes.
public enum JobState: String, Hashable, Sendable, Codable, CaseIterable {
    case pending, running, succeeded, failed, cancelled, expired

    /// Whether the job has ended.
    public var isTerminal: Bool { self != .pending && self != .running }

    /// The four states in which a job can end.
    public static let terminal: Set<JobState> = [.succeeded, .failed, .cancelled, .expired]
}

/// The priority of a batch among others: −1000 to 1000, normally 0.
public struct BatchPriority: RawRepresentable, Hashable, Comparable, Sendable, Codable {
    /// A greater priority is claimed first.
    public let rawValue: Int64

    /// Returns nil outside of −1000 to 1000.
    public init?(rawValue: Int64) {
        guard (-1000...1000).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    /// The default.
    public static let normal = BatchPriority(rawValue: 0)!

    /// The greater priority is the more important one.
    public static func < (left: BatchPriority, right: BatchPriority) -> Bool { left.rawValue < right.rawValue }
}

/// The status of a batch, in the terms of the OpenAI batch API.
public enum BatchStatus: String, Hashable, Sendable, Codable, CaseIterable {
    /// A draft: its jobs are being written, or their writer has died. Its jobs cannot be claimed.
    case validating
    /// Its jobs are being claimed and run.
    case inProgress = "in_progress"
    /// None of its jobs runs or will run; the pending ones are being marked.
    case cancelling
    /// Every job has ended; some may have failed.
    case completed
    /// It was cancelled; jobs that had ended before keep their results.
    case cancelled
    /// The batch as a whole could not be run.
    case failed
    /// Its deadline came before all of its jobs were claimed. The claimed ones ran to their end.
    case expired

    /// Whether the batch has ended.
    public var isTerminal: Bool {
        switch self {
        case .validating, .inProgress, .cancelling: false
        case .completed, .cancelled, .failed, .expired: true
        }
    }
}
