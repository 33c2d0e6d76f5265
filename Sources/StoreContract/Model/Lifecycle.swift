// The states that jobs and batches pass through.

/// Where a job stands: `pending → running → succeeded | failed | cancelled | expired`. A terminal job never changes.
public enum JobState: String, Hashable, Sendable, CaseIterable {
    case pending, running, succeeded, failed, cancelled, expired

    /// Whether the job has ended for good.
    public var isTerminal: Bool { self != .pending && self != .running }

    /// The four states in which a job can end.
    public static let terminal: Set<JobState> = [.succeeded, .failed, .cancelled, .expired]
}

/// How much a batch matters beside others: −1000 to 1000, normally 0.
public struct BatchPriority: RawRepresentable, Hashable, Comparable, Sendable {
    /// Greater is first.
    public let rawValue: Int64

    /// nil outside of −1000 to 1000.
    public init?(rawValue: Int64) {
        guard (-1000...1000).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    /// That of a batch for which nothing else was asked.
    public static let normal = BatchPriority(rawValue: 0)!

    /// More important is greater.
    public static func < (left: BatchPriority, right: BatchPriority) -> Bool { left.rawValue < right.rawValue }
}

/// Where a batch stands, in the words of the OpenAI batch API.
public enum BatchStatus: String, Hashable, Sendable, CaseIterable {
    /// A draft: somebody is writing its jobs (or died while writing them). No job of it can be claimed.
    case validating
    /// Its jobs are claimed and run.
    case inProgress = "in_progress"
    /// No job of it runs or will run; the waiting ones are being marked.
    case cancelling
    /// Every job ended; some may have failed.
    case completed
    /// It was cancelled; jobs that had ended before keep their results.
    case cancelled
    /// The batch as a whole could not be run.
    case failed
    /// Its deadline came before some of its jobs were claimed; the others ran to their end.
    case expired

    /// Whether the batch has ended for good.
    public var isTerminal: Bool {
        switch self {
        case .validating, .inProgress, .cancelling: false
        case .completed, .cancelled, .failed, .expired: true
        }
    }
}
