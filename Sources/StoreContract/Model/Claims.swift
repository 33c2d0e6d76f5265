// Jobs handed to the daemon, and jobs taken back from it.

public import Runtime

/// A batch with a job that can be claimed.
public struct ClaimableBatch: Hashable, Sendable {
    /// The batch.
    public let id: BatchID
    /// The model that its jobs ask for; nil if any will do.
    public let model: String?
    /// What it has before other batches: priority, then a deadline that is near.
    public let rank: Rank

    /// What counts before the fair share. Within a rank, batches take turns; urgent ones go by their deadlines.
    public struct Rank: Hashable, Comparable, Sendable {
        /// Its priority.
        public let priority: BatchPriority
        /// More than half of the time up to its deadline is over.
        public let isUrgent: Bool

        /// For stores.
        public init(priority: BatchPriority, isUrgent: Bool) {
            self.priority = priority
            self.isUrgent = isUrgent
        }

        /// What is claimed first is greater.
        public static func < (left: Rank, right: Rank) -> Bool {
            (left.priority, left.isUrgent ? 1 : 0) < (right.priority, right.isUrgent ? 1 : 0)
        }
    }

    /// For stores.
    public init(id: BatchID, model: String?, rank: Rank) {
        self.id = id
        self.model = model
        self.rank = rank
    }
}

/// What the passing of time changed; see `JobStore.advanceTime`.
public struct TimeAdvance: Hashable, Sendable {
    /// Jobs whose batch's deadline has come.
    public var expired: Int64
    /// Batches which that ended.
    public var closedBatches: [BatchID]
    /// When time will change something next; nil if only others' writing can.
    public var next: Milliseconds?

    /// For stores, and for tests of what reads them.
    public init(expired: Int64 = 0, closedBatches: [BatchID] = [], next: Milliseconds? = nil) {
        self.expired = expired
        self.closedBatches = closedBatches
        self.next = next
    }
}

/// The right to finish one job, once: it names the attempt, so a late result of an earlier attempt is recognised.
public struct ClaimTicket: Hashable, Sendable {
    /// The job.
    public let job: JobID
    /// Its batch.
    public let batch: BatchID
    /// 1 for the first try.
    public let attempt: Int

    /// Names an attempt at a job.
    public init(job: JobID, batch: BatchID, attempt: Int) {
        self.job = job
        self.batch = batch
        self.attempt = attempt
    }
}

/// A job to run.
public struct ClaimedJob: Hashable, Sendable {
    /// What finishes or releases it.
    public let ticket: ClaimTicket
    /// Its line in the input, from 1.
    public let line: Int64
    /// The caller's name for it.
    public let customID: String
    /// The URL of the request.
    public let endpoint: String
    /// The request body as it was written, JSON in UTF-8.
    public let body: [UInt8]
    /// Attempts that took the daemon or its device with them: above 0, the job is under suspicion.
    public let crashes: Int
    /// When it was enqueued.
    public let created: Milliseconds

    /// For stores, and for tests of what reads them.
    public init(
        ticket: ClaimTicket, line: Int64, customID: String, endpoint: String, body: [UInt8], crashes: Int,
        created: Milliseconds
    ) {
        self.ticket = ticket
        self.line = line
        self.customID = customID
        self.endpoint = endpoint
        self.body = body
        self.crashes = crashes
        self.created = created
    }
}

/// Why a claimed job goes back unfinished.
public enum ReleaseReason: Hashable, Sendable {
    /// The daemon stops or had no room: no blame on the job.
    case stopping
    /// The device or daemon failed under it, `because` where that is known: counts against the job, and `maxCrashes` of
    /// them fail it.
    case crash(maxCrashes: Int, backoff: Backoff = .none, because: String? = nil)
    /// The device answered, but nothing that could be a token: `maxBadOutputs` of them fail the job.
    case badOutput(maxBadOutputs: Int, backoff: Backoff = .none, because: String)
}

/// How long something that failed is left alone: twice as long after each time.
public struct Backoff: Hashable, Sendable {
    /// Milliseconds after the first time.
    public var firstMS: Int64
    /// Milliseconds at most.
    public var longestMS: Int64

    /// Waits that begin with `firstMS` and never exceed `longestMS`.
    public init(firstMS: Int64, longestMS: Int64) {
        self.firstMS = firstMS
        self.longestMS = longestMS
    }

    /// Try again at once.
    public static let none = Backoff(firstMS: 0, longestMS: 0)

    /// Milliseconds to wait after the `times`-th failure.
    public func delayMS(after times: Int) -> Int64 {
        var delay = firstMS
        for _ in 1..<max(times, 1) where delay < longestMS { delay *= 2 }
        return min(delay, longestMS)
    }
}

/// What became of jobs that were put back.
public struct ReleaseReport: Hashable, Sendable {
    /// Jobs that wait again.
    public var requeued: Int
    /// Jobs that failed because it was one time too many.
    public var failed: Int
    /// Batches which that ended.
    public var closedBatches: [BatchID]

    /// For stores, and for tests of what reads them.
    public init(requeued: Int, failed: Int, closedBatches: [BatchID]) {
        self.requeued = requeued
        self.failed = failed
        self.closedBatches = closedBatches
    }
}

/// What became of a cancelled batch.
public struct CancelReport: Hashable, Sendable {
    /// Jobs that this call cancelled.
    public var cancelled: Int64
    /// Jobs that had ended before, and keep their results.
    public var keptFinished: Int64

    /// For stores, and for tests of what reads them.
    public init(cancelled: Int64, keptFinished: Int64) {
        self.cancelled = cancelled
        self.keptFinished = keptFinished
    }
}
