// What the store tells about itself: batches and the whole system.

public import Runtime

/// A batch with its counters.
public struct BatchSummary: Hashable, Sendable {
    /// The batch.
    public var id: BatchID
    /// The file's name.
    public var name: String
    /// The name that somebody gave it.
    public var uniqueName: String?
    /// The endpoint of all jobs; nil if they differ.
    public var endpoint: String?
    /// The model asked for; nil if any will do.
    public var model: String?
    /// What results call the model, where a job has no name of its own for it; nil: `model`.
    public var modelName: String?
    /// Where it stands.
    public var status: BatchStatus
    /// Beside other batches.
    public var priority: BatchPriority
    /// When jobs that have not been claimed expire.
    public var deadline: Milliseconds?
    /// Since when no job of it is claimed, because somebody paused it.
    public var paused: Milliseconds?
    /// Why its model could not be used lately; nil if it could.
    public var modelTrouble: ModelTrouble?
    /// The batch whose jobs it runs again.
    public var retryOf: BatchID?
    /// When its first line was written.
    public var created: Milliseconds
    /// When its first job was claimed.
    public var started: Milliseconds?
    /// When it ended.
    public var finished: Milliseconds?
    /// Its jobs by state.
    public var counts: JobCounts
    /// Tokens of the jobs that ended.
    public var usage: TokenUsage
    /// Jobs over which `timings` sums.
    public var timedJobs: Int64
    /// Sums over `timedJobs`.
    public var timings: JobTimings
    /// How far its jobs in flight are; nil if none are, or nothing is known.
    public var progress: BatchProgress?

    /// For stores, and for tests of what reads them.
    public init(
        id: BatchID, name: String, uniqueName: String?, endpoint: String?, model: String?, modelName: String? = nil,
        status: BatchStatus, priority: BatchPriority, deadline: Milliseconds?, paused: Milliseconds?,
        modelTrouble: ModelTrouble?,
        retryOf: BatchID?, created: Milliseconds, started: Milliseconds?, finished: Milliseconds?, counts: JobCounts,
        usage: TokenUsage, timedJobs: Int64, timings: JobTimings, progress: BatchProgress? = nil
    ) {
        self.id = id
        self.name = name
        self.uniqueName = uniqueName
        self.endpoint = endpoint
        self.model = model
        self.modelName = modelName
        self.status = status
        self.priority = priority
        self.deadline = deadline
        self.paused = paused
        self.modelTrouble = modelTrouble
        self.retryOf = retryOf
        self.created = created
        self.started = started
        self.finished = finished
        self.counts = counts
        self.usage = usage
        self.timedJobs = timedJobs
        self.timings = timings
        self.progress = progress
    }

    /// A draft that somebody still writes, or left behind.
    public var isDraft: Bool { status == .validating }
}

/// A batch whose model could not be used, and will be tried again.
public struct ModelTrouble: Hashable, Sendable {
    /// How many times in a row.
    public var times: Int
    /// Why, the last time.
    public var reason: String
    /// When it is tried again; nil if that is now.
    public var until: Milliseconds?

    /// For stores, and for tests of what reads them.
    public init(times: Int, reason: String, until: Milliseconds?) {
        self.times = times
        self.reason = reason
        self.until = until
    }
}

/// Jobs of a batch that failed for the same kind of reason.
public struct FailureGroup: Hashable, Sendable {
    /// The error's code.
    public var code: String
    /// How many jobs.
    public var jobs: Int64
    /// The most attempts that one of them had.
    public var attempts: Int
    /// The first of their lines.
    public var line: Int64
    /// What the first one's error says.
    public var message: String

    /// For stores, and for tests of what reads them.
    public init(code: String, jobs: Int64, attempts: Int, line: Int64, message: String) {
        self.code = code
        self.jobs = jobs
        self.attempts = attempts
        self.line = line
        self.message = message
    }
}

/// Jobs of a batch that wait for another attempt.
public struct AnotherAttempt: Hashable, Sendable {
    /// How many wait for their time.
    public var jobs: Int64
    /// When the first of them is due.
    public var next: Milliseconds

    /// For stores, and for tests of what reads them.
    public init(jobs: Int64, next: Milliseconds) {
        self.jobs = jobs
        self.next = next
    }
}

/// The jobs of a batch by state.
public struct JobCounts: Hashable, Sendable {
    /// All of them.
    public var total: Int64
    /// Of the failed: lines that were never fit to run.
    public var rejected: Int64
    /// Waiting.
    public var pending: Int64
    /// With the daemon.
    public var running: Int64
    /// Ended with a text.
    public var succeeded: Int64
    /// Ended with an error.
    public var failed: Int64
    /// Cancelled before they ended.
    public var cancelled: Int64
    /// Out of time.
    public var expired: Int64

    /// For stores, and for tests of what reads them.
    public init(
        total: Int64, rejected: Int64, pending: Int64, running: Int64, succeeded: Int64, failed: Int64,
        cancelled: Int64, expired: Int64
    ) {
        self.total = total
        self.rejected = rejected
        self.pending = pending
        self.running = running
        self.succeeded = succeeded
        self.failed = failed
        self.cancelled = cancelled
        self.expired = expired
    }

    /// Ended, in whichever way.
    public var finished: Int64 { succeeded + failed + cancelled + expired }
}

/// The latest completions of a batch, for rates and times of arrival.
public struct RecentCompletions: Hashable, Sendable {
    /// Completions after `from`, up to and including `to`.
    public var jobs: Int64
    /// When the one before the first of them came.
    public var from: Milliseconds
    /// When the last came.
    public var to: Milliseconds

    /// For stores, and for tests of what reads them.
    public init(jobs: Int64, from: Milliseconds, to: Milliseconds) {
        self.jobs = jobs
        self.from = from
        self.to = to
    }

    /// Jobs a second; nil if they all came at once.
    public var jobsPerSecond: Double? {
        to > from ? Double(jobs) * 1000 / Double(to - from) : nil
    }
}

/// The whole system at a glance.
public struct SystemStatus: Hashable, Sendable {
    /// Whether a daemon owns the database.
    public var daemon: DaemonPresence
    /// The latest life of the daemon, over or not.
    public var latestIncarnation: IncarnationSummary?
    /// Since when nothing is claimed, because somebody paused the whole queue.
    public var paused: Milliseconds?
    /// Batches in progress.
    public var openBatches: Int64
    /// Drafts being written or left behind.
    public var drafts: Int64
    /// Jobs that wait, drafts aside.
    public var pendingJobs: Int64
    /// Jobs with the daemon.
    public var runningJobs: Int64
    /// The latest interval of metrics.
    public var latestMetrics: MetricsInterval?

    /// For stores, and for tests of what reads them.
    public init(
        daemon: DaemonPresence, latestIncarnation: IncarnationSummary?, paused: Milliseconds?, openBatches: Int64,
        drafts: Int64, pendingJobs: Int64, runningJobs: Int64, latestMetrics: MetricsInterval?
    ) {
        self.daemon = daemon
        self.latestIncarnation = latestIncarnation
        self.paused = paused
        self.openBatches = openBatches
        self.drafts = drafts
        self.pendingJobs = pendingJobs
        self.runningJobs = runningJobs
        self.latestMetrics = latestMetrics
    }
}

/// What retention deleted.
public struct PruneReport: Hashable, Sendable {
    /// The batches.
    public var batches: [BatchID] = []
    /// Their jobs.
    public var jobs: Int64 = 0
    /// Intervals of metrics.
    public var metrics: Int64 = 0

    /// Nothing deleted.
    public init() {}
}
