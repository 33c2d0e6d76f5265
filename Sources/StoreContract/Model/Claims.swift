// Claims and releases: how the daemon gets jobs and returns them.

public import Runtime

/// A batch with a job that can be claimed.
public struct ClaimableBatch: Hashable, Sendable {
    /// The batch.
    public let id: BatchID
    /// The model that its jobs ask for; nil if they ask for none.
    public let model: String?
    /// Its rank among batches.
    public let rank: Rank

    /// What is compared before the fair share: the priority, then whether the deadline is near. Batches of equal rank
    /// take turns; urgent ones go in order of their deadlines.
    public struct Rank: Hashable, Comparable, Sendable {
        /// Its priority.
        public let priority: BatchPriority
        /// Whether more than half of the time to its deadline has passed.
        public let isUrgent: Bool

        /// For store implementations.
        public init(priority: BatchPriority, isUrgent: Bool) {
            self.priority = priority
            self.isUrgent = isUrgent
        }

        /// A greater rank is claimed first.
        public static func < (left: Rank, right: Rank) -> Bool {
            (left.priority, left.isUrgent ? 1 : 0) < (right.priority, right.isUrgent ? 1 : 0)
        }
    }

    /// For store implementations.
    public init(id: BatchID, model: String?, rank: Rank) {
        self.id = id
        self.model = model
        self.rank = rank
    }
}

/// What changed because time passed; see `JobStore.advanceTime`.
public struct TimeAdvance: Hashable, Sendable {
    /// The number of jobs that expired.
    public var expired: Int64
    /// Batches that ended because of that.
    public var closedBatches: [BatchID]
    /// The next time at which something will change; nil if nothing is scheduled.
    public var next: Milliseconds?

    /// For store implementations and tests.
    public init(expired: Int64 = 0, closedBatches: [BatchID] = [], next: Milliseconds? = nil) {
        self.expired = expired
        self.closedBatches = closedBatches
        self.next = next
    }
}

/// The right to finish or release one attempt at a job. A late result of an earlier attempt is recognised by its
/// ticket.
public struct ClaimTicket: Hashable, Sendable {
    /// The job.
    public let job: JobID
    /// Its batch.
    public let batch: BatchID
    /// The number of the attempt, from 1.
    public let attempt: Int

    /// Makes the ticket of an attempt.
    public init(job: JobID, batch: BatchID, attempt: Int) {
        self.job = job
        self.batch = batch
        self.attempt = attempt
    }
}

/// A job to run.
public struct ClaimedJob: Hashable, Sendable {
    /// The ticket to finish or release it with.
    public let ticket: ClaimTicket
    /// Its line number in the input, from 1.
    public let line: Int64
    /// The `custom_id` of the line.
    public let customID: String
    /// The URL of the request, e.g. `/v1/chat/completions`.
    public let endpoint: String
    /// The request body, byte for byte as it was enqueued: JSON in UTF-8.
    public let body: [UInt8]
    /// Attempts during which the daemon or its device failed. Above 0 the job is a suspect.
    public let crashes: Int
    /// The time of the enqueue.
    public let created: Milliseconds
    /// The time that its prompt sees, where a chat template tells the date.
    public let promptTime: Milliseconds

    /// For store implementations and tests.
    public init(
        ticket: ClaimTicket, line: Int64, customID: String, endpoint: String, body: [UInt8], crashes: Int,
        created: Milliseconds, promptTime: Milliseconds? = nil
    ) {
        self.ticket = ticket
        self.line = line
        self.customID = customID
        self.endpoint = endpoint
        self.body = body
        self.crashes = crashes
        self.created = created
        self.promptTime = promptTime ?? created
    }
}

/// Why a claimed job is released before it ended.
public enum ReleaseReason: Hashable, Sendable {
    /// The daemon stops, or had no room for the job. It does not count against the job.
    case stopping
    /// The device or the daemon failed during the attempt; `because` is the reason, if known. It counts against the
    /// job, which fails at the `maxCrashes`-th time.
    case crash(maxCrashes: Int, backoff: Backoff = .none, because: String? = nil)
    /// The device returned values that are no tokens. The job fails at the `maxBadOutputs`-th time.
    case badOutput(maxBadOutputs: Int, backoff: Backoff = .none, because: String)
}

/// The wait before a retry. It doubles after each failure.
public struct Backoff: Hashable, Sendable {
    /// Milliseconds after the first failure.
    public var firstMS: Int64
    /// The upper bound, in milliseconds.
    public var longestMS: Int64

    /// Makes a backoff that starts at `firstMS` and never exceeds `longestMS`.
    public init(firstMS: Int64, longestMS: Int64) {
        self.firstMS = firstMS
        self.longestMS = longestMS
    }

    /// Retry at once.
    public static let none = Backoff(firstMS: 0, longestMS: 0)

    /// Milliseconds to wait after the `times`-th failure.
    public func delayMS(after times: Int) -> Int64 {
        var delay = firstMS
        for _ in 1..<max(times, 1) where delay < longestMS { delay *= 2 }
        return min(delay, longestMS)
    }
}

/// What a release did.
public struct ReleaseReport: Hashable, Sendable {
    /// The number of jobs that are pending again.
    public var requeued: Int
    /// The number of jobs that failed because they reached the limit.
    public var failed: Int
    /// Batches that ended because of that.
    public var closedBatches: [BatchID]

    /// For store implementations and tests.
    public init(requeued: Int, failed: Int, closedBatches: [BatchID]) {
        self.requeued = requeued
        self.failed = failed
        self.closedBatches = closedBatches
    }
}

/// What a cancel did.
public struct CancelReport: Hashable, Sendable, Codable {
    /// The number of jobs that this call cancelled.
    public var cancelled: Int64
    /// The number of jobs that had ended before. They keep their results.
    public var keptFinished: Int64

    /// For store implementations and tests.
    public init(cancelled: Int64, keptFinished: Int64) {
        self.cancelled = cancelled
        self.keptFinished = keptFinished
    }
}
