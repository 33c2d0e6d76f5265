// Reading the results of a batch page by page, also while it runs.

public import Runtime

/// A job that ended, or (where asked for) one that has not.
public struct JobResult: Hashable, Sendable {
    /// How the job stands.
    public enum Outcome: Hashable, Sendable {
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
    /// Its line in the input, from 1.
    public var line: Int64
    /// The caller's name; nil only for a rejected line that has no readable one.
    public var customID: String?
    /// The URL of the request; nil for a rejected line.
    public var endpoint: String?
    /// What it calls the model; nil: as its batch does.
    public var modelName: String?
    /// Its state.
    public var state: JobState
    /// Tries so far; 0 if it never ran.
    public var attempt: Int
    /// How it ended.
    public var outcome: Outcome
    /// What it cost.
    public var usage: TokenUsage
    /// Where the time went; nil if it never reached the device.
    public var timings: JobTimings?
    /// When it was enqueued.
    public var created: Milliseconds
    /// When it ended.
    public var finished: Milliseconds?
    /// 1 for the first of its batch that ended, and so on.
    public var finishSequence: Int64?

    /// For stores, and for tests of what reads them.
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

/// In which order results come.
public enum ResultOrder: String, Hashable, Sendable, CaseIterable {
    /// As the lines stood in the input.
    case input
    /// As the jobs ended. Only ended jobs have a place in it.
    case completion
}

/// Which results of a batch.
public struct ResultQuery: Hashable, Sendable {
    /// The batch.
    public var batch: BatchID
    /// In which order.
    public var order: ResultOrder
    /// In which states; all terminal ones by default.
    public var states: Set<JobState>

    /// Asks for results.
    public init(batch: BatchID, order: ResultOrder = .input, states: Set<JobState> = JobState.terminal) {
        self.batch = batch
        self.order = order
        self.states = states
    }
}

/// Walks over results. Between pages nothing is held open, so a slow reader never keeps the store from tidying up.
public struct ResultsCursor: Sendable {
    private let store: any JobReading
    private let query: ResultQuery
    private let pageSize: Int

    /// The last place that was read: a line, or a finish sequence. Start there again to read only what is new.
    public private(set) var position: Int64

    /// Starts behind `position` (0: at the beginning).
    public init(store: any JobReading, query: ResultQuery, after position: Int64 = 0, pageSize: Int = 500) {
        precondition(pageSize > 0, "a page holds at least one result")
        self.store = store
        self.query = query
        self.position = position
        self.pageSize = pageSize
    }

    /// The next results; empty when there are no more at this moment.
    public mutating func nextPage() throws(JobStoreError) -> [JobResult] {
        let page = try store.results(query, after: position, limit: pageSize)
        if let last = page.last {
            position = query.order == .input ? last.line : (last.finishSequence ?? position)
        }
        return page
    }
}
