// Metrics as rows: the daemon's work in each interval, so that a night's run can be examined in the morning.

public import Runtime

/// The work of an incarnation from `start` to `end`.
public struct MetricsInterval: Hashable, Sendable, Codable {
    /// The incarnation.
    public var incarnation: Incarnation
    /// The start, inclusive.
    public var start: Milliseconds
    /// The end, exclusive.
    public var end: Milliseconds
    /// Prompt tokens prefilled.
    public var promptTokens: Int64 = 0
    /// Prompt tokens that needed no prefill because they were in the KV cache.
    public var cachedTokens: Int64 = 0
    /// Tokens generated.
    public var generatedTokens: Int64 = 0
    /// Prefill steps, summed over the replicas.
    public var prefillSteps: Int64 = 0
    /// Decode steps, summed over the replicas.
    public var decodeSteps: Int64 = 0
    /// Occupied batch slots, summed over the decode steps. Divided by `decodeSteps × slots` it is the occupancy.
    public var decodeRows: Int64 = 0
    /// How often a job was preempted: it lost its KV blocks to an older job and has to be prefilled again.
    public var preemptions: Int64 = 0
    /// Batch slots of one replica of the model.
    public var slots: Int64 = 0
    /// KV blocks in use in all replicas, mean over the steps.
    public var kvBlocksMean: Double = 0
    /// KV blocks in use, maximum.
    public var kvBlocksMax: Int64 = 0
    /// KV blocks of all replicas.
    public var kvBlocksTotal: Int64 = 0
    /// Pending jobs at the end of the interval.
    public var queueDepth: Int64 = 0
    /// Jobs that succeeded.
    public var jobsSucceeded: Int64 = 0
    /// Jobs that failed.
    public var jobsFailed: Int64 = 0

    /// Makes an interval in which nothing has happened yet.
    public init(incarnation: Incarnation, start: Milliseconds, end: Milliseconds) {
        self.incarnation = incarnation
        self.start = start
        self.end = end
    }
}

/// Selects intervals.
public enum MetricsScope: Hashable, Sendable {
    /// Those of one incarnation.
    case incarnation(Incarnation)
    /// Intervals that begin in `[from, to)`.
    case period(from: Milliseconds, to: Milliseconds)
    /// Intervals that overlap the time from a batch's first claim to its end (or to the latest interval).
    case batch(BatchID)
}

/// The sums over several intervals.
public struct MetricsSummary: Hashable, Sendable, Codable {
    /// The number of intervals.
    public var intervals: Int64
    /// The time that they cover, in milliseconds.
    public var coveredMS: Int64
    /// Prompt tokens prefilled.
    public var promptTokens: Int64
    /// Prompt tokens that were in the KV cache.
    public var cachedTokens: Int64
    /// Tokens generated.
    public var generatedTokens: Int64
    /// Prefill steps, summed over the replicas.
    public var prefillSteps: Int64
    /// Decode steps, summed over the replicas.
    public var decodeSteps: Int64
    /// Occupied batch slots, summed over the decode steps.
    public var decodeRows: Int64
    /// Batch slots, occupied or not, summed over the decode steps.
    public var decodeRowCapacity: Int64
    /// How often a job was preempted.
    public var preemptions: Int64
    /// KV blocks in use, mean weighted by time.
    public var kvBlocksMean: Double
    /// KV blocks in use, maximum.
    public var kvBlocksMax: Int64
    /// KV blocks of all replicas, maximum.
    public var kvBlocksTotal: Int64
    /// Jobs that succeeded.
    public var jobsSucceeded: Int64
    /// Jobs that failed.
    public var jobsFailed: Int64

    /// For store implementations and tests.
    public init(
        intervals: Int64, coveredMS: Int64, promptTokens: Int64, cachedTokens: Int64, generatedTokens: Int64,
        prefillSteps: Int64, decodeSteps: Int64, decodeRows: Int64, decodeRowCapacity: Int64, preemptions: Int64,
        kvBlocksMean: Double, kvBlocksMax: Int64, kvBlocksTotal: Int64, jobsSucceeded: Int64, jobsFailed: Int64
    ) {
        self.intervals = intervals
        self.coveredMS = coveredMS
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.generatedTokens = generatedTokens
        self.prefillSteps = prefillSteps
        self.decodeSteps = decodeSteps
        self.decodeRows = decodeRows
        self.decodeRowCapacity = decodeRowCapacity
        self.preemptions = preemptions
        self.kvBlocksMean = kvBlocksMean
        self.kvBlocksMax = kvBlocksMax
        self.kvBlocksTotal = kvBlocksTotal
        self.jobsSucceeded = jobsSucceeded
        self.jobsFailed = jobsFailed
    }

    /// The fraction of batch slots that were occupied in decode steps, 0…1; nil without decode steps.
    public var occupancy: Double? {
        decodeRowCapacity > 0 ? Double(decodeRows) / Double(decodeRowCapacity) : nil
    }
    /// Generated tokens per second; nil if the intervals cover no time.
    public var generatedTokensPerSecond: Double? {
        coveredMS > 0 ? Double(generatedTokens) * 1000 / Double(coveredMS) : nil
    }
}

/// The sums over the metrics intervals of one part of a longer time.
public struct MetricsPart: Hashable, Sendable {
    /// Which part it is, from 0.
    public var index: Int
    /// The sums.
    public var summary: MetricsSummary
    /// The most pending jobs at the end of an interval.
    public var queueDepth: Int64

    /// For store implementations and tests.
    public init(index: Int, summary: MetricsSummary, queueDepth: Int64) {
        self.index = index
        self.summary = summary
        self.queueDepth = queueDepth
    }
}
