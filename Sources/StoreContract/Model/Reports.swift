// Reports about batches and about the whole system.

public import Runtime

/// A batch with its counters.
public struct BatchSummary: Hashable, Sendable, Codable {
    /// The batch.
    public var id: BatchID
    /// The file's name.
    public var name: String
    /// Its unique name; nil if it has none.
    public var uniqueName: String?
    /// The endpoint of all jobs; nil if they differ.
    public var endpoint: String?
    /// The model that its jobs ask for; nil if they ask for none.
    public var model: String?
    /// The model name in results of jobs without a name of their own; nil: `model`.
    public var modelName: String?
    /// Where it stands.
    public var status: BatchStatus
    /// Its priority among batches.
    public var priority: BatchPriority
    /// When its jobs that have not been claimed expire.
    public var deadline: Milliseconds?
    /// Since when the batch itself is paused; nil if it is not.
    public var paused: Milliseconds?
    /// Why its model could not be used recently; nil if it could.
    public var modelTrouble: ModelTrouble?
    /// The batch of which it is a retry.
    public var retryOf: BatchID?
    /// When the batch was begun.
    public var created: Milliseconds
    /// When its first job was claimed.
    public var started: Milliseconds?
    /// When it ended.
    public var finished: Milliseconds?
    /// The numbers of its jobs by state.
    public var counts: JobCounts
    /// The tokens of the jobs that ended.
    public var usage: TokenUsage
    /// The number of jobs in `timings`.
    public var timedJobs: Int64
    /// The times, summed over `timedJobs` jobs.
    public var timings: JobTimings
    /// The progress of its jobs in flight; nil if there are none, or none is reported.
    public var progress: BatchProgress?
    /// Whose it is; nil: for whoever sees all.
    public var tenant: Tenant?
    /// What its client said of it; nil if it was not made of an uploaded file.
    public var submission: Submission?
    /// Why its file was refused, as a JSON array; nil if it was not.
    public var inputErrors: String?
    /// Its files of results.
    public var files: ResultFiles

    /// For store implementations and tests.
    public init(
        id: BatchID, name: String, uniqueName: String?, endpoint: String?, model: String?, modelName: String? = nil,
        status: BatchStatus, priority: BatchPriority, deadline: Milliseconds?, paused: Milliseconds?,
        modelTrouble: ModelTrouble?,
        retryOf: BatchID?, created: Milliseconds, started: Milliseconds?, finished: Milliseconds?, counts: JobCounts,
        usage: TokenUsage, timedJobs: Int64, timings: JobTimings, progress: BatchProgress? = nil, tenant: Tenant? = nil,
        submission: Submission? = nil, inputErrors: String? = nil, files: ResultFiles = .random()
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
        self.tenant = tenant
        self.submission = submission
        self.inputErrors = inputErrors
        self.files = files
    }

    /// Whether it is a draft: still being written, or left by a writer that died.
    public var isDraft: Bool { status == .validating }
}

/// Why and until when a batch waits for a model that could not be used.
public struct ModelTrouble: Hashable, Sendable, Codable {
    /// The number of failures in a row.
    public var times: Int
    /// The reason of the last failure.
    public var reason: String
    /// When it is retried; nil if it can be now.
    public var until: Milliseconds?

    /// For store implementations and tests.
    public init(times: Int, reason: String, until: Milliseconds?) {
        self.times = times
        self.reason = reason
        self.until = until
    }
}

/// Failed jobs of a batch with the same error code.
public struct FailureGroup: Hashable, Sendable, Codable {
    /// The error's code.
    public var code: String
    /// The number of jobs.
    public var jobs: Int64
    /// The greatest number of attempts among them.
    public var attempts: Int
    /// The lowest of their line numbers.
    public var line: Int64
    /// The error message of that line.
    public var message: String

    /// For store implementations and tests.
    public init(code: String, jobs: Int64, attempts: Int, line: Int64, message: String) {
        self.code = code
        self.jobs = jobs
        self.attempts = attempts
        self.line = line
        self.message = message
    }
}

/// The jobs of a batch that wait for a retry.
public struct AnotherAttempt: Hashable, Sendable, Codable {
    /// The number of jobs whose backoff is not over.
    public var jobs: Int64
    /// When the first of them can be claimed.
    public var next: Milliseconds

    /// For store implementations and tests.
    public init(jobs: Int64, next: Milliseconds) {
        self.jobs = jobs
        self.next = next
    }
}

/// The numbers of jobs of a batch by state.
public struct JobCounts: Hashable, Sendable, Codable {
    /// All jobs.
    public var total: Int64
    /// Those of `failed` that were rejected at the enqueue.
    public var rejected: Int64
    /// Pending jobs.
    public var pending: Int64
    /// Jobs that the daemon has claimed.
    public var running: Int64
    /// Jobs that ended with a text.
    public var succeeded: Int64
    /// Jobs that ended with an error.
    public var failed: Int64
    /// Jobs that were cancelled before they ended.
    public var cancelled: Int64
    /// Jobs that were not claimed before the deadline.
    public var expired: Int64

    /// For store implementations and tests.
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

    /// Jobs that have ended, in any state.
    public var finished: Int64 { succeeded + failed + cancelled + expired }
}

/// The latest completions of a batch, from which rates and times of arrival are estimated.
public struct RecentCompletions: Hashable, Sendable, Codable {
    /// The number of completions after `from`, up to and including `to`.
    public var jobs: Int64
    /// The time of the completion before the first of them.
    public var from: Milliseconds
    /// The time of the last completion.
    public var to: Milliseconds

    /// For store implementations and tests.
    public init(jobs: Int64, from: Milliseconds, to: Milliseconds) {
        self.jobs = jobs
        self.from = from
        self.to = to
    }

    /// Jobs per second; nil if all completed at the same time.
    public var jobsPerSecond: Double? {
        to > from ? Double(jobs) * 1000 / Double(to - from) : nil
    }
}

/// The state of the whole system.
public struct SystemStatus: Hashable, Sendable, Codable {
    /// Whether a daemon holds the lease of the database.
    public var daemon: DaemonPresence
    /// The latest incarnation of the daemon, whether it still runs or not.
    public var latestIncarnation: IncarnationSummary?
    /// Since when the whole queue is paused; nil if it is not.
    public var paused: Milliseconds?
    /// The number of batches in progress.
    public var openBatches: Int64
    /// The number of drafts, being written or abandoned.
    public var drafts: Int64
    /// The number of pending jobs, without those of drafts.
    public var pendingJobs: Int64
    /// The number of jobs that the daemon has claimed.
    public var runningJobs: Int64
    /// The latest interval of metrics.
    public var latestMetrics: MetricsInterval?
    /// Where several hosts share the queue: they, and their server.
    public var cluster: ClusterStatus?

    /// For store implementations and tests.
    public init(
        daemon: DaemonPresence, latestIncarnation: IncarnationSummary?, paused: Milliseconds?, openBatches: Int64,
        drafts: Int64, pendingJobs: Int64, runningJobs: Int64, latestMetrics: MetricsInterval?,
        cluster: ClusterStatus? = nil
    ) {
        self.daemon = daemon
        self.latestIncarnation = latestIncarnation
        self.paused = paused
        self.openBatches = openBatches
        self.drafts = drafts
        self.pendingJobs = pendingJobs
        self.runningJobs = runningJobs
        self.latestMetrics = latestMetrics
        self.cluster = cluster
    }
}

/// The hosts of a queue that several share, and the server that keeps it.
public struct ClusterStatus: Hashable, Sendable, Codable {
    /// The hosts.
    public var hosts: [HostSummary]
    /// The server and its version, e.g. `PostgreSQL 15.18`.
    public var server: String
    /// The server's `synchronous_commit`.
    public var synchronousCommit: String
    /// The server's `synchronous_standby_names`; empty: no other server has what was acknowledged.
    public var synchronousStandbys: String

    /// For store implementations and tests.
    public init(hosts: [HostSummary], server: String, synchronousCommit: String, synchronousStandbys: String) {
        self.hosts = hosts
        self.server = server
        self.synchronousCommit = synchronousCommit
        self.synchronousStandbys = synchronousStandbys
    }

    /// What becomes of acknowledged work when the server is lost.
    public var durability: String {
        guard synchronousCommit != "off" else {
            return "synchronous_commit is off: a crash of the server may undo the last results that were acknowledged"
        }
        return synchronousStandbys.isEmpty
            ? "on this server; without a synchronous standby a failover may undo the last results that were acknowledged"
            : "on this server and its synchronous standbys (\(synchronousStandbys))"
    }
}

/// The whole queue in numbers, which cost the same however many jobs there are.
public struct QueueState: Hashable, Sendable {
    /// The number of batches by status.
    public var batches: [BatchStatus: Int64]
    /// The number of jobs by state, without those of drafts.
    public var jobs: [JobState: Int64]
    /// The number of pending jobs that wait for another attempt.
    public var delayedJobs: Int64
    /// The enqueue of the oldest batch with jobs to claim, by priority. Paused batches do not count, postponed ones do.
    public var oldestPending: [BatchPriority: Milliseconds]
    /// Since when the whole queue is paused; nil if it is not.
    public var paused: Milliseconds?
    /// The size of the write-ahead log in bytes; nil if the store has none.
    public var logBytes: Int64?

    /// For store implementations and tests.
    public init(
        batches: [BatchStatus: Int64] = [:], jobs: [JobState: Int64] = [:], delayedJobs: Int64 = 0,
        oldestPending: [BatchPriority: Milliseconds] = [:], paused: Milliseconds? = nil, logBytes: Int64? = nil
    ) {
        self.batches = batches
        self.jobs = jobs
        self.delayedJobs = delayedJobs
        self.oldestPending = oldestPending
        self.paused = paused
        self.logBytes = logBytes
    }
}

/// What retention deleted.
public struct PruneReport: Hashable, Sendable {
    /// The batches that were deleted.
    public var batches: [BatchID] = []
    /// The number of their jobs.
    public var jobs: Int64 = 0
    /// The number of metrics intervals that were deleted.
    public var metrics: Int64 = 0

    /// Makes an empty report.
    public init() {}
}
