// Reading the results of a batch page by page, even while it runs.

public import Runtime

/// A job that has ended or, if asked for, one that has not.
public struct JobResult: Hashable, Sendable, Codable {
    /// The result of the job so far.
    public enum Outcome: Hashable, Sendable, Codable {
        case unfinished
        case succeeded(Generation)
        case failed(JobError)
        case cancelled
        case expired
    }

    /// The job.
    public var id: JobID
    /// Its batch.
    public var batch: BatchID
    /// Its line number in the input, from 1.
    public var line: Int64
    /// The `custom_id` of the line; nil only for a rejected line without a readable one.
    public var customID: String?
    /// The URL of the request; nil for a rejected line.
    public var endpoint: String?
    /// The model name in the result; nil: the batch's.
    public var modelName: String?
    /// Its state.
    public var state: JobState
    /// The number of attempts so far; 0 if it never ran.
    public var attempt: Int
    /// How it ended.
    public var outcome: Outcome
    /// The tokens of the job.
    public var usage: TokenUsage
    /// The times of the job; nil if it never reached the device.
    public var timings: JobTimings?
    /// The time of the enqueue.
    public var created: Milliseconds
    /// When it ended.
    public var finished: Milliseconds?
    /// Its place in the batch's order of completion, from 1.
    public var finishSequence: Int64?

    /// For store implementations and tests.
    public init(
        id: JobID, batch: BatchID, line: Int64, customID: String?, endpoint: String?, modelName: String? = nil,
        state: JobState, attempt: Int, outcome: Outcome, usage: TokenUsage, timings: JobTimings?,
        created: Milliseconds, finished: Milliseconds?, finishSequence: Int64?
    ) {
        self.id = id
        self.batch = batch
        self.line = line
        self.customID = customID
        self.endpoint = endpoint
        self.modelName = modelName
        self.state = state
        self.attempt = attempt
        self.outcome = outcome
        self.usage = usage
        self.timings = timings
        self.created = created
        self.finished = finished
        self.finishSequence = finishSequence
    }
}

/// A job of a sample: where its time went, without its text.
public struct SampledJob: Hashable, Sendable {
    /// Its place in the batch's order of completion, from 1.
    public var finishSequence: Int64
    /// How it ended.
    public var state: JobState
    /// Its tokens.
    public var usage: TokenUsage
    /// Its times.
    public var timings: JobTimings

    /// For store implementations and tests.
    public init(finishSequence: Int64, state: JobState, usage: TokenUsage, timings: JobTimings) {
        self.finishSequence = finishSequence
        self.state = state
        self.usage = usage
        self.timings = timings
    }

    /// The places in the order of completion, from 1 to `finished`, of at most `limit` jobs spread evenly over it, the
    /// first and the last among them.
    public static func places(of finished: Int64, limit: Int) -> [Int64] {
        guard finished > Int64(limit) else { return finished > 0 ? Array(1...finished) : [] }
        guard limit > 1 else { return limit == 1 ? [1] : [] }
        return (0..<Int64(limit)).map { 1 + $0 * (finished - 1) / Int64(limit - 1) }
    }
}

/// The order of results.
public enum ResultOrder: String, Hashable, Sendable, CaseIterable {
    /// The order of the lines in the input.
    case input
    /// The order in which the jobs ended. It contains only ended jobs.
    case completion
}

/// Selects results of a batch.
public struct ResultQuery: Hashable, Sendable {
    /// The batch.
    public var batch: BatchID
    /// The order.
    public var order: ResultOrder
    /// The states of the jobs to read; all terminal ones by default.
    public var states: Set<JobState>

    /// Makes a query.
    public init(batch: BatchID, order: ResultOrder = .input, states: Set<JobState> = JobState.terminal) {
        self.batch = batch
        self.order = order
        self.states = states
    }
}

/// Iterates over results. No transaction stays open between pages, so a slow reader never blocks the store's
/// checkpoints.
public struct ResultsCursor: Sendable {
    private let store: any JobReading
    private let query: ResultQuery
    private let pageSize: Int

    /// The last place that was read: a line number or a finish sequence. A cursor that starts after it reads only new
    /// results.
    public private(set) var position: Int64

    /// Starts after `position` (0: at the beginning).
    public init(store: any JobReading, query: ResultQuery, after position: Int64 = 0, pageSize: Int = 500) {
        precondition(pageSize > 0, "a page holds at least one result")
        self.store = store
        self.query = query
        self.position = position
        self.pageSize = pageSize
    }

    /// The next page of results; empty if there are no more at this moment.
    public mutating func nextPage() throws(JobStoreError) -> [JobResult] {
        let page = try store.results(query, after: position, limit: pageSize)
        if let last = page.last {
            position = query.order == .input ? last.line : (last.finishSequence ?? position)
        }
        return page
    }
}
