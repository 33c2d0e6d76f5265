// Metrics as rows: what the daemon did in each interval, so that a night's run can be looked at in the morning.

public import Runtime

/// What an incarnation did from `start` to `end`.
public struct MetricsInterval: Hashable, Sendable {
    /// Who.
    public var incarnation: Incarnation
    /// Begin, inclusive.
    public var start: Milliseconds
    /// End, exclusive.
    public var end: Milliseconds
    /// Prompt tokens prefilled.
    public var promptTokens: Int64 = 0
    /// Prompt tokens that did not have to be prefilled, because they were in the KV cache already.
    public var cachedTokens: Int64 = 0
    /// Tokens generated.
    public var generatedTokens: Int64 = 0
    /// Prefill steps of the device, or of all replicas' devices.
    public var prefillSteps: Int64 = 0
    /// Decode steps of the device, or of all replicas' devices.
    public var decodeSteps: Int64 = 0
    /// Occupied rows, summed over the decode steps: divided by `decodeSteps × slots` it is the occupancy.
    public var decodeRows: Int64 = 0
    /// Times that a job lost its KV blocks to an older one, to be prefilled again.
    public var preemptions: Int64 = 0
    /// Rows of a device batch; each replica of the model has its own.
    public var slots: Int64 = 0
    /// KV blocks in use by all replicas, mean over the steps.
    public var kvBlocksMean: Double = 0
    /// KV blocks in use, at most.
    public var kvBlocksMax: Int64 = 0
    /// KV blocks that all replicas have.
    public var kvBlocksTotal: Int64 = 0
    /// Jobs waiting at the end.
    public var queueDepth: Int64 = 0
    /// Jobs that succeeded.
    public var jobsSucceeded: Int64 = 0
    /// Jobs that failed.
    public var jobsFailed: Int64 = 0

    /// An interval in which nothing has happened yet.
    public init(incarnation: Incarnation, start: Milliseconds, end: Milliseconds) {
        self.incarnation = incarnation
        self.start = start
        self.end = end
    }
}

/// Which intervals.
public enum MetricsScope: Hashable, Sendable {
    /// One life of the daemon.
    case incarnation(Incarnation)
    /// Intervals that begin in `[from, to)`.
    case period(from: Milliseconds, to: Milliseconds)
    /// Intervals that overlap the time from a batch's first claim to its end (or to the latest interval).
    case batch(BatchID)
}

/// Intervals added up.
public struct MetricsSummary: Hashable, Sendable {
    /// How many intervals.
    public var intervals: Int64
    /// Milliseconds that they cover.
    public var coveredMS: Int64
    /// Prompt tokens prefilled.
    public var promptTokens: Int64
    /// Prompt tokens that were in the KV cache already.
    public var cachedTokens: Int64
    /// Tokens generated.
    public var generatedTokens: Int64
    /// Prefill steps of the device.
    public var prefillSteps: Int64
    /// Decode steps of the device.
    public var decodeSteps: Int64
    /// Occupied rows of the decode steps.
    public var decodeRows: Int64
    /// Rows that the decode steps had, occupied or not.
    public var decodeRowCapacity: Int64
    /// Times that a job lost its KV blocks.
    public var preemptions: Int64
    /// KV blocks in use, mean weighted with time.
    public var kvBlocksMean: Double
    /// KV blocks in use, at most.
    public var kvBlocksMax: Int64
    /// KV blocks that there are, at most.
    public var kvBlocksTotal: Int64
    /// Jobs that succeeded.
    public var jobsSucceeded: Int64
    /// Jobs that failed.
    public var jobsFailed: Int64

    /// For stores, and for tests of what reads them.
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

    /// Share of the device batch that did useful work in decode steps, 0…1; nil without decode steps.
    public var occupancy: Double? {
        decodeRowCapacity > 0 ? Double(decodeRows) / Double(decodeRowCapacity) : nil
    }
    /// Tokens generated a second; nil without time.
    public var generatedTokensPerSecond: Double? {
        coveredMS > 0 ? Double(generatedTokens) * 1000 / Double(coveredMS) : nil
    }
}
