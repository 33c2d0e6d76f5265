// A queue in memory: what the SQLite store keeps in its file, as plain arrays.
//
// It is written for plainness: what the SQLite store counts, this one counts anew each time. So it is a model of the queue
// as well as a store that is quick enough for a hundred thousand simulated nights.

package import Runtime
import StoreContract
import Synchronization

/// What stores in memory share, as several processes share a database. It outlives the daemons that use it.
package final class MemoryQueue: Sendable {
    let rows = Mutex(Rows())
    /// Whether daemons of several hosts share it, as they share a server's; else it has one owner, as a file has.
    let hasSeveralOwners: Bool
    /// From how many jobs on a model is loaded that another daemon has loaded already.
    let jobsWorthLoading: Int
    /// What is wrong with it on purpose.
    let defect: StoreDefect?
    private let clock: TimeSource?

    /// An empty queue.
    ///
    /// - Parameters:
    ///   - clock: the store's own, by which several owners are judged; nil: the system's, and the first heartbeat of a life
    ///     is at the time that it says.
    ///   - jobsWorthLoading: from how many jobs on a model is loaded that another daemon has loaded already.
    ///   - defect: what is wrong with it on purpose.
    package init(
        hasSeveralOwners: Bool = false, clock: TimeSource? = nil, jobsWorthLoading: Int = 256,
        defect: StoreDefect? = nil
    ) {
        self.defect = defect
        self.hasSeveralOwners = hasSeveralOwners
        self.clock = clock
        self.jobsWorthLoading = jobsWorthLoading
    }

    /// The time by the store's own clock.
    var now: Milliseconds { (clock ?? .system).now }

    /// When a life begins that says `time`.
    func firstHeard(at time: Milliseconds) -> Milliseconds { clock?.now ?? time }

    /// Ends a daemon's lease like the death of its process, without a notification.
    package func killDaemon(_ identity: String = "") {
        rows.withLock { $0.leases[identity] = nil }
    }

    /// Forgets who was heard of, like a crash of the server: heartbeats are all that it does not keep.
    package func forgetHeartbeats() {
        rows.withLock { rows in
            for index in rows.lives.indices { rows.lives[index].heard = nil }
        }
    }

    /// What has happened since the last call.
    package func takeEvents() -> [QueueEvent] {
        rows.withLock { rows in
            defer { rows.events.removeAll(keepingCapacity: true) }
            return rows.events
        }
    }
}

/// A batch. Rows are objects, since copies of them would be most of the work; they are used under the queue's lock.
final class BatchRow: @unchecked Sendable {
    let id: BatchID
    var new: NewBatch
    let created: Milliseconds
    let urgentFrom: Milliseconds?
    var status = BatchStatus.validating
    var hasName = false
    /// Whether the writer of a draft is there.
    var isOwned = true
    /// Whether it is yet to be validated, by whomever.
    var isSubmission = false
    var inputErrors: String?
    var turn: Int64 = 0
    var isUrgent = false
    var paused: Milliseconds?
    var started: Milliseconds?
    var finished: Milliseconds?
    /// Places in `Rows.jobs`.
    var jobs: [Int] = []

    init(id: BatchID, new: NewBatch, created: Milliseconds, urgentFrom: Milliseconds?) {
        self.id = id
        self.new = new
        self.created = created
        self.urgentFrom = urgentFrom
    }
}

/// A job.
final class JobRow: @unchecked Sendable {
    let id: JobID
    let batch: BatchID
    let line: Int64
    let customID: String?
    let endpoint: String?
    let body: [UInt8]
    let modelName: String?
    let claimRank: Int64
    let isRejected: Bool
    let created: Milliseconds
    var state = JobState.pending
    var attempt = 0
    var faults = JobFaults()
    /// How many lives have ended while they had it.
    var deaths = 0
    var notBefore: Milliseconds?
    var owner: Incarnation?
    var outcome = JobResult.Outcome.unfinished
    var usage = TokenUsage()
    var timings: JobTimings?
    var finished: Milliseconds?
    var finishSequence: Int64?

    init(
        id: JobID, batch: BatchID, line: Int64, customID: String?, endpoint: String?, body: [UInt8], modelName: String?,
        claimRank: Int64, isRejected: Bool, created: Milliseconds
    ) {
        self.id = id
        self.batch = batch
        self.line = line
        self.customID = customID
        self.endpoint = endpoint
        self.body = body
        self.modelName = modelName
        self.claimRank = claimRank
        self.isRejected = isRejected
        self.created = created
    }

    var isReady: Bool { state == .pending && notBefore == nil }

    /// The right to its current attempt.
    var ticket: ClaimTicket { ClaimTicket(job: id, batch: batch, attempt: attempt) }

    /// Whether this attempt has ended the job so.
    func hasEnded(_ completion: JobCompletion, _ incarnation: Incarnation) -> Bool {
        state == completion.outcome.state && owner == incarnation && attempt == completion.ticket.attempt
    }

    func isHeld(by ticket: ClaimTicket, _ incarnation: Incarnation) -> Bool {
        state == .running && owner == incarnation && attempt == ticket.attempt && batch == ticket.batch
    }
}

/// Everything, in order of ids. Only drafts and what is pruned are ever deleted, and an id is never used again.
struct Rows {
    var batches: [BatchRow?] = []
    var jobs: [JobRow?] = []
    var lives: [LifeRow] = []
    var intervals: [MetricsInterval] = []
    var systems: [String: SystemRecord] = [:]
    var files: [UploadedFile] = []
    /// By name.
    var keys: [String: ServerKey] = [:]
    var paused: Milliseconds?
    /// By identity.
    var leases: [String: (holder: ObjectIdentifier, taken: Milliseconds)] = [:]
    /// Writes so far, by all and by each store, and what people did.
    var version: Int64 = 0
    var versions: [ObjectIdentifier: Int64] = [:]
    var changes: Int64 = 0
    /// What has happened and was not taken yet.
    var events: [QueueEvent] = []

    subscript(batch: BatchID) -> BatchRow? {
        get {
            let index = Int(batch.rawValue) - 1
            return batches.indices.contains(index) ? batches[index] : nil
        }
        set { batches[Int(batch.rawValue) - 1] = newValue }
    }

    subscript(job: JobID) -> JobRow? {
        get {
            let index = Int(job.rawValue) - 1
            return jobs.indices.contains(index) ? jobs[index] : nil
        }
        set { jobs[Int(job.rawValue) - 1] = newValue }
    }

    subscript(life: Incarnation) -> LifeRow? {
        get {
            let index = Int(life.rawValue) - 1
            return lives.indices.contains(index) ? lives[index] : nil
        }
        set { lives[Int(life.rawValue) - 1] = newValue! }
    }

    func jobs(of batch: BatchID) -> [JobRow] {
        self[batch]?.jobs.compactMap { jobs[$0] } ?? []
    }

    func batch(named name: String) -> BatchID? {
        batches.first { $0?.hasName == true && $0?.new.uniqueName == name }??.id
    }

    /// Throws unless the batch is there and has jobs that wait or run.
    func checkOpen(_ batch: BatchID) throws(JobStoreError) {
        guard let row = self[batch] else { throw .batchNotFound(batch) }
        guard row.status != .validating else { throw .batchIsDraft(batch) }
        guard !row.status.isTerminal else { throw .batchAlreadyFinished(batch, row.status) }
    }

    /// Batches with a job that can be claimed, whatever the whole queue's pause and the troubles with models, the next first.
    var claimable: [BatchRow] {
        let open = batches.compactMap(\.self).filter { batch in
            batch.status == .inProgress && batch.paused == nil
                && batch.jobs.contains { jobs[$0]!.isReady }
        }
        return open.sorted { left, right in
            let ranks = (ClaimableBatch.Rank(left), ClaimableBatch.Rank(right))
            if ranks.0 != ranks.1 { return ranks.0 > ranks.1 }
            return (left.turn, left.id) < (right.turn, right.id)
        }
    }

    /// Where the turns of a priority's batches stand.
    func nextTurn(_ priority: BatchPriority) -> Int64 {
        claimable.filter { $0.new.priority == priority && !$0.isUrgent }.map(\.turn).min() ?? 0
    }

    /// Ends a job, and its batch if that was the last one. Returns whether it was.
    mutating func end(
        _ job: JobID, as state: JobState, _ outcome: JobResult.Outcome, at now: Milliseconds
    ) -> Bool {
        let batch = self[job]!.batch
        self[job]!.finishSequence = Int64(jobs(of: batch).count { $0.state.isTerminal }) + 1
        self[job]!.state = state
        self[job]!.outcome = outcome
        self[job]!.finished = now
        return closeIfDone(batch, at: now)
    }

    mutating func closeIfDone(_ batch: BatchID, at now: Milliseconds) -> Bool {
        let states = jobs(of: batch).map(\.state)
        guard let status = self[batch]?.status, status == .inProgress || status == .cancelling,
            states.allSatisfy(\.isTerminal)
        else { return false }
        self[batch]!.finished = now
        self[batch]!.status =
            status == .cancelling ? .cancelled : states.contains(.expired) ? .expired : .completed
        return true
    }
}

extension ClaimableBatch.Rank {
    init(_ batch: BatchRow) {
        self.init(priority: batch.new.priority, isUrgent: batch.isUrgent)
    }
}
