// Jobs handed to the daemon, and jobs taken back from it.

/// A batch with a job waiting.
public struct ClaimableBatch: Hashable, Sendable {
    /// The batch.
    public let id: BatchID
    /// The model that its jobs ask for; nil if any will do.
    public let model: String?
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
    /// The device or daemon failed under it: counts against the job, and `maxCrashes` of them fail it.
    case crash(maxCrashes: Int)
}

/// What became of jobs that were put back.
public struct ReleaseReport: Hashable, Sendable {
    /// Jobs that wait again.
    public var requeued: Int
    /// Jobs that failed because they were in flight at too many crashes.
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
