// What a client hands to the store: a batch, its jobs, and lines that cannot run.

public import Runtime

/// A batch to be enqueued.
public struct NewBatch: Hashable, Sendable {
    /// The file's name.
    public var name: String
    /// A name that no other batch has, so that an enqueue can be repeated safely.
    public var uniqueName: String?
    /// Batches of higher priority are claimed first.
    public var priority: BatchPriority
    /// Jobs that have not been claimed by this time expire.
    public var deadline: Milliseconds?
    /// The model of all its jobs; nil if they ask for none.
    public var model: String?
    /// The model name in results of jobs without a name of their own; nil: `model`.
    public var modelName: String?
    /// The batch of which it is a retry.
    public var retryOf: BatchID?
    /// The time that its prompts see, where a chat template tells the date; nil: that of the enqueue.
    public var promptTime: Milliseconds?
    /// Whose it is; nil: for whoever sees all.
    public var tenant: Tenant?
    /// What its client said of it; nil if it is not made of an uploaded file.
    public var submission: Submission?
    /// The submitted batch that the draft fills; nil: the draft makes a batch of its own.
    public var submitted: BatchID?
    /// Its files of results.
    public var files = ResultFiles.random()

    /// Makes a batch to be enqueued.
    public init(
        name: String, model: String? = nil, modelName: String? = nil, uniqueName: String? = nil,
        priority: BatchPriority = .normal, deadline: Milliseconds? = nil, retryOf: BatchID? = nil,
        promptTime: Milliseconds? = nil, tenant: Tenant? = nil, submission: Submission? = nil
    ) {
        self.name = name
        self.model = model
        self.modelName = modelName
        self.uniqueName = uniqueName
        self.priority = priority
        self.deadline = deadline
        self.retryOf = retryOf
        self.promptTime = promptTime
        self.tenant = tenant
        self.submission = submission
    }
}

extension NewBatch {
    /// The time from which it goes before the others of its priority: half of the time to its deadline has passed then.
    package func urgent(from now: Milliseconds) -> Milliseconds? {
        deadline.map { now + max(0, ($0 - now) / 2) }
    }

    /// A batch with jobs of an earlier one, whose prompts see `promptTime`.
    package init(copyOf original: BatchSummary, promptTime: Milliseconds?) {
        self.init(
            name: original.name, model: original.model, modelName: original.modelName, priority: original.priority,
            retryOf: original.id, promptTime: promptTime, tenant: original.tenant, submission: original.submission)
    }
}

/// A validated line of input.
public struct NewJob: Hashable, Sendable {
    /// The line's number in the input, from 1; unique in the batch. It gives the order of results.
    public var line: Int64
    /// The `custom_id` of the line; unique in the batch.
    public var customID: String
    /// The URL of the request, e.g. `/v1/chat/completions`.
    public var endpoint: String
    /// The request body, byte for byte as in the input: JSON in UTF-8.
    public var body: [UInt8]
    /// The model name in its result; nil: the batch's.
    public var modelName: String?
    /// Jobs of a batch are claimed in order of their ranks; those of equal rank in input order. Prompts with a common
    /// prefix get neighbouring ranks, so that they share the cached prefix.
    public var claimRank: Int64

    /// Makes a job; its rank is its line number unless given.
    public init(
        line: Int64, customID: String, endpoint: String, body: [UInt8], modelName: String? = nil,
        claimRank: Int64? = nil
    ) {
        self.line = line
        self.customID = customID
        self.endpoint = endpoint
        self.body = body
        self.modelName = modelName
        self.claimRank = claimRank ?? line
    }
}

/// A line that cannot run. It is stored as a failed job at once.
public struct RejectedLine: Hashable, Sendable {
    /// The line's number in the input, from 1; unique in the batch.
    public var line: Int64
    /// The `custom_id` of the line, if it has a readable one. It need not be unique.
    public var customID: String?
    /// What is wrong with the line.
    public var error: JobError

    /// Makes a rejected line.
    public init(line: Int64, customID: String?, error: JobError) {
        self.line = line
        self.customID = customID
        self.error = error
    }
}

/// A line whose `custom_id` an earlier line of the batch has. It was not stored.
public struct DuplicateCustomID: Hashable, Sendable {
    /// The later line.
    public var line: Int64
    /// The earlier line, which was stored.
    public var firstLine: Int64
    /// The `custom_id` of both.
    public var customID: String

    /// Makes the report of a duplicate.
    public init(line: Int64, firstLine: Int64, customID: String) {
        self.line = line
        self.firstLine = firstLine
        self.customID = customID
    }
}

/// A batch that is being written. The daemon does not see it until `commit`. Only one thread may use a draft.
///
/// The draft belongs to this process while the object exists. If the process dies, `JobStore.sweepOrphanedDrafts` finds
/// that the draft has no owner and deletes it.
public protocol BatchDraft: AnyObject {
    /// The batch's identifier. The commit keeps it.
    var id: BatchID { get }

    /// Writes jobs in short transactions. Jobs whose `custom_id` is taken are not stored; they are returned.
    ///
    /// After an error the draft may contain some of the jobs. Only `discard` may be called then.
    func append(_ jobs: [NewJob], rejected: [RejectedLine]) throws(JobStoreError) -> [DuplicateCustomID]

    /// Makes the jobs claimable. The batch is durable when it returns.
    ///
    /// - Throws: `.nameTaken` if another batch took its unique name first; only `discard` may be called then.
    func commit(at now: Milliseconds) throws(JobStoreError) -> BatchID

    /// Deletes the draft.
    func discard() throws(JobStoreError)
}

extension BatchDraft {
    /// Writes jobs; see `append(_:rejected:)`.
    public func append(_ jobs: [NewJob]) throws(JobStoreError) -> [DuplicateCustomID] {
        try append(jobs, rejected: [])
    }
}
