// What somebody who enqueues hands to the store: a batch, its jobs, and lines that were not fit to run.

public import Runtime

/// A batch to be written.
public struct NewBatch: Hashable, Sendable {
    /// The file's name.
    public var name: String
    /// A name that no other batch has, given so that enqueuing can be repeated.
    public var uniqueName: String?
    /// Batches of higher priority are claimed first.
    public var priority: BatchPriority
    /// Jobs that have not been claimed by then expire.
    public var deadline: Milliseconds?
    /// The model of all its jobs; nil if any will do.
    public var model: String?
    /// What results call the model, where a job has no name of its own for it; nil: `model`.
    public var modelName: String?
    /// The batch whose jobs it runs again.
    public var retryOf: BatchID?

    /// Describes a batch.
    public init(
        name: String, model: String? = nil, modelName: String? = nil, uniqueName: String? = nil,
        priority: BatchPriority = .normal, deadline: Milliseconds? = nil, retryOf: BatchID? = nil
    ) {
        self.name = name
        self.model = model
        self.modelName = modelName
        self.uniqueName = uniqueName
        self.priority = priority
        self.deadline = deadline
        self.retryOf = retryOf
    }
}

/// A validated line of input.
public struct NewJob: Hashable, Sendable {
    /// The line's number in the input, from 1; unique in the batch. Results in input order follow it.
    public var line: Int64
    /// The caller's name for the job; unique in the batch.
    public var customID: String
    /// The URL of the request, e.g. `/v1/chat/completions`.
    public var endpoint: String
    /// The request body as it was written, JSON in UTF-8.
    public var body: [UInt8]
    /// What its result calls the model; nil: as its batch does.
    public var modelName: String?
    /// Jobs of a batch are claimed in order of their ranks, those of equal rank in order of input. Alike ranks bring
    /// prompts that begin alike together, so that they can share what is computed of their beginning.
    public var claimRank: Int64

    /// Describes a job; where no rank is given, it is its own line.
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

/// A line that cannot run, recorded as a failed job at once.
public struct RejectedLine: Hashable, Sendable {
    /// The line's number in the input, from 1; unique in the batch.
    public var line: Int64
    /// The caller's name, where the line has a readable one. It need not be unique.
    public var customID: String?
    /// What is wrong with the line.
    public var error: JobError

    /// Describes a line that cannot run.
    public init(line: Int64, customID: String?, error: JobError) {
        self.line = line
        self.customID = customID
        self.error = error
    }
}

/// A line whose `custom_id` an earlier line of the batch has. It was not stored.
public struct DuplicateCustomID: Hashable, Sendable {
    /// The line that came later.
    public var line: Int64
    /// The line that has the name.
    public var firstLine: Int64
    /// The name of both.
    public var customID: String

    /// Describes a duplicate.
    public init(line: Int64, firstLine: Int64, customID: String) {
        self.line = line
        self.firstLine = firstLine
        self.customID = customID
    }
}

/// A batch that is being written: invisible to the daemon until `commit`. One thread uses it.
///
/// The draft belongs to this process while the object lives. If the process dies, `JobStore.sweepOrphanedDrafts` finds
/// the draft without an owner and deletes it.
public protocol BatchDraft: AnyObject {
    /// The identifier that the batch has, and will have.
    var id: BatchID { get }

    /// Writes some jobs, in short transactions. Jobs whose `custom_id` is taken are left out and returned.
    ///
    /// After an error the draft may hold a part of the jobs; only `discard` is left to do.
    func append(_ jobs: [NewJob], rejected: [RejectedLine]) throws(JobStoreError) -> [DuplicateCustomID]

    /// Hands the batch to the daemon. When it returns, a power cut does not lose the batch.
    ///
    /// - Throws: `.nameTaken` if another batch with its unique name came first; the draft then can only be discarded.
    func commit(at now: Milliseconds) throws(JobStoreError) -> BatchID

    /// Deletes everything that was written.
    func discard() throws(JobStoreError)
}

extension BatchDraft {
    /// Writes some jobs; see `append(_:rejected:)`.
    public func append(_ jobs: [NewJob]) throws(JobStoreError) -> [DuplicateCustomID] {
        try append(jobs, rejected: [])
    }
}
