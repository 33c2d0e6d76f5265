// A job store on a queue in memory: transactions, enqueue, cancel, pause.

package import Runtime
package import StoreContract
import Synchronization

/// One process's view of a queue in memory. It passes the conformance suite, and that for several owners.
package final class MemoryJobStore: JobStore, FileKeeping {
    let queue: MemoryQueue
    /// The machine and state directory of the process: each has one daemon at most.
    let identity: String
    private let before: Fault?
    private let after: Fault?

    /// Throws what a transaction meets.
    package typealias Fault = @Sendable () throws(JobStoreError) -> Void

    /// A store on `queue`, as another process opens a database.
    ///
    /// - Parameters:
    ///   - identity: the machine and state directory of the process.
    ///   - before: called before each transaction; it may throw in its place, as a full disk does.
    ///   - after: called after each transaction that writes; if it throws, the answer is lost, but not the effect.
    package init(_ queue: MemoryQueue, identity: String = "", before: Fault? = nil, after: Fault? = nil) {
        self.queue = queue
        self.identity = identity
        self.before = before
        self.after = after
    }

    /// Runs a transaction. One that throws must not have changed anything.
    func write<Value: Sendable>(
        _ body: (inout Rows) throws(JobStoreError) -> Value
    ) throws(JobStoreError) -> Value {
        try before?()
        let result: Result<Value, JobStoreError> = queue.rows.withLock { rows in
            do throws(JobStoreError) {
                let value = try body(&rows)
                rows.version += 1
                rows.versions[ObjectIdentifier(self), default: 0] += 1
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
        try after?()
        return try result.get()
    }

    func read<Value: Sendable>(_ body: (Rows) throws(JobStoreError) -> Value) throws(JobStoreError) -> Value {
        try before?()
        let result: Result<Value, JobStoreError> = queue.rows.withLock { rows in
            do throws(JobStoreError) { return .success(try body(rows)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// With one owner whatever others write changes it; with several only what people do.
    package func dataVersion() throws(JobStoreError) -> Int64 {
        try read { [queue] rows in
            queue.hasSeveralOwners ? rows.changes : rows.version - (rows.versions[ObjectIdentifier(self)] ?? 0)
        }
    }

    package func watch(_ handler: @escaping @Sendable () -> Void) -> (any StoreWatch)? { nil }
    package func maintain() throws(JobStoreError) {}
    package func settle() throws(JobStoreError) {}

    package func prune(finishedBefore limit: Milliseconds) throws(JobStoreError) -> PruneReport {
        try write { rows in
            var report = PruneReport()
            for batch in rows.batches.compactMap(\.self) {
                guard batch.status.isTerminal, let finished = batch.finished, finished < limit else { continue }
                report.batches.append(batch.id)
                report.jobs += Int64(batch.jobs.count)
                for job in batch.jobs { rows.jobs[job] = nil }
                rows[batch.id] = nil
            }
            for batch in rows.batches.compactMap(\.self) {
                if let original = batch.new.retryOf, report.batches.contains(original) { batch.new.retryOf = nil }
            }
            let kept = rows.intervals.filter { $0.end >= limit }
            report.metrics = Int64(rows.intervals.count - kept.count)
            rows.intervals = kept
            return report
        }
    }
}

// MARK: - Enqueue

extension MemoryJobStore {
    package func beginBatch(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> any BatchDraft {
        try MemoryBatchDraft(batch, in: self, at: now)
    }

    package func sweepOrphanedDrafts() throws(JobStoreError) -> [BatchID] {
        try write { rows in
            let orphans = rows.batches.compactMap(\.self).filter {
                $0.status == .validating && !$0.isOwned && !$0.isSubmission
            }
            .map(\.id)
            for orphan in orphans { rows.delete(orphan) }
            return orphans
        }
    }

    package func retry(
        _ batch: BatchID, states: Set<JobState>, errorCode: String?, at now: Milliseconds
    ) throws(JobStoreError) -> BatchID {
        let original = try self.batch(batch)
        guard original.status.isTerminal else { throw .batchNotFinished(batch, original.status) }
        let jobs = try read { $0.jobs(of: batch) }.filter { job in
            states.contains(job.state) && !job.isRejected && (errorCode == nil || job.errorCode == errorCode)
        }
        guard !jobs.isEmpty else { throw .nothingToRetry(batch) }
        let draft = try beginBatch(
            NewBatch(
                name: original.name, model: original.model, modelName: original.modelName, priority: original.priority,
                retryOf: batch, promptTime: try read { $0[batch]?.new.promptTime }, tenant: original.tenant,
                submission: original.submission), at: now)
        _ = try draft.append(
            jobs.sorted { $0.line < $1.line }.map {
                $0.copy
            })
        return try draft.commit(at: now)
    }

    package func rerun(
        _ customID: String, of batch: BatchID, at now: Milliseconds
    ) throws(JobStoreError) -> BatchID {
        let original = try self.batch(batch)
        let found = try read { rows in
            rows.jobs(of: batch).first { $0.customID == customID && !$0.isRejected }.map { job in
                (job: job.copy, promptTime: rows[batch]!.new.promptTime ?? job.created)
            }
        }
        guard let found else { throw .nothingToRetry(batch) }
        let draft = try beginBatch(
            NewBatch(
                name: original.name, model: original.model, modelName: original.modelName, priority: original.priority,
                retryOf: batch, promptTime: found.promptTime, tenant: original.tenant, submission: original.submission),
            at: now)
        _ = try draft.append([found.job])
        return try draft.commit(at: now)
    }
}

extension JobRow {
    /// The code with which it failed; nil if it did not.
    fileprivate var errorCode: String? {
        if case .failed(let error) = outcome { error.code } else { nil }
    }

    /// The job as it was enqueued.
    fileprivate var copy: NewJob {
        NewJob(
            line: line, customID: customID!, endpoint: endpoint!, body: body, modelName: modelName,
            claimRank: claimRank)
    }
}

extension Rows {
    mutating func delete(_ batch: BatchID) {
        deleteJobs(of: batch)
        self[batch] = nil
    }

    mutating func deleteJobs(of batch: BatchID) {
        for index in self[batch]!.jobs { jobs[index] = nil }
        self[batch]!.jobs = []
    }

    /// Adds the row of a draft.
    mutating func add(_ batch: NewBatch, at now: Milliseconds) -> BatchID {
        let id = BatchID(rawValue: Int64(batches.count) + 1)
        batches.append(
            BatchRow(
                id: id, new: batch, created: now, urgentFrom: batch.deadline.map { now + max(0, ($0 - now) / 2) }))
        return id
    }
}

/// A draft in memory.
final class MemoryBatchDraft: BatchDraft {
    let id: BatchID
    private let store: MemoryJobStore
    private let batch: NewBatch
    private let created: Milliseconds
    private var isOpen = true

    init(_ batch: NewBatch, in store: MemoryJobStore, at now: Milliseconds) throws(JobStoreError) {
        id = try store.write { (rows) throws(JobStoreError) in
            if let original = batch.retryOf, rows[original]?.status ?? .validating == .validating {
                throw .batchNotFound(original)
            }
            guard let submitted = batch.submitted else { return rows.add(batch, at: now) }
            guard let row = rows[submitted], row.status == .validating, row.isSubmission else {
                throw .draftClosed(submitted)
            }
            guard !row.isOwned else { throw .busy(path: "memory") }
            row.isOwned = true
            row.new.model = batch.model
            row.new.modelName = batch.modelName
            rows.deleteJobs(of: submitted)
            return submitted
        }
        self.store = store
        self.batch = batch
        created = now
    }

    deinit {
        guard isOpen else { return }
        store.queue.rows.withLock { $0[id]?.isOwned = false }
    }

    func append(_ jobs: [NewJob], rejected: [RejectedLine]) throws(JobStoreError) -> [DuplicateCustomID] {
        guard isOpen else { throw .draftClosed(id) }
        return try store.write { [id, created] (rows) throws(JobStoreError) in
            guard rows[id]?.status == .validating else { throw .draftClosed(id) }
            var duplicates: [DuplicateCustomID] = []
            for job in jobs {
                if let first = rows.jobs(of: id).first(where: { !$0.isRejected && $0.customID == job.customID }) {
                    duplicates.append(
                        DuplicateCustomID(line: job.line, firstLine: first.line, customID: job.customID))
                    continue
                }
                rows.add(
                    JobRow(
                        id: rows.nextJob, batch: id, line: job.line, customID: job.customID, endpoint: job.endpoint,
                        body: job.body, modelName: job.modelName, claimRank: job.claimRank, isRejected: false,
                        created: created))
            }
            for line in rejected {
                let row = JobRow(
                    id: rows.nextJob, batch: id, line: line.line, customID: line.customID, endpoint: nil, body: [],
                    modelName: nil, claimRank: 0, isRejected: true, created: created)
                rows.add(row)
                _ = rows.end(row.id, as: .failed, .failed(line.error), at: created)
            }
            return duplicates
        }
    }

    func commit(at now: Milliseconds) throws(JobStoreError) -> BatchID {
        guard isOpen else { throw .draftClosed(id) }
        try store.write { [id, batch] (rows) throws(JobStoreError) in
            if let name = batch.uniqueName, let other = rows.batch(named: name) { throw .nameTaken(name, by: other) }
            guard rows[id]?.status == .validating else { throw .draftClosed(id) }
            guard rows[id]?.jobs.isEmpty == false else { throw .emptyBatch }
            let turn = rows.nextTurn(batch.priority)
            rows[id]!.status = .inProgress
            rows[id]!.isSubmission = false
            if batch.uniqueName != nil { rows[id]!.hasName = true }
            rows[id]!.turn = turn
            rows.changes += 1
            _ = rows.closeIfDone(id, at: now)
        }
        isOpen = false
        return id
    }

    func discard() throws(JobStoreError) {
        guard isOpen else { throw .draftClosed(id) }
        isOpen = false
        try store.write { [id, batch] rows in
            guard batch.submitted != nil else { return rows.delete(id) }
            if rows[id]?.status == .validating { rows.deleteJobs(of: id) }
            rows[id]?.isOwned = false
        }
    }
}

extension Rows {
    fileprivate var nextJob: JobID { JobID(rawValue: Int64(jobs.count) + 1) }

    fileprivate mutating func add(_ job: JobRow) {
        self[job.batch]!.jobs.append(jobs.count)
        jobs.append(job)
    }
}

// MARK: - Cancel and pause

extension MemoryJobStore {
    package func cancel(_ batch: BatchID, at now: Milliseconds) throws(JobStoreError) -> CancelReport {
        try write { (rows) throws(JobStoreError) in
            let isSubmission = rows[batch]?.isSubmission == true && rows[batch]?.status == .validating
            if !isSubmission { try rows.checkOpen(batch) }
            rows[batch]!.isSubmission = false
            let jobs = rows.jobs(of: batch)
            let kept = jobs.count { $0.state.isTerminal }
            rows[batch]!.status = .cancelling
            rows.changes += 1
            for state in [JobState.running, .pending] {
                for job in jobs where job.state == state {
                    rows[job.id]!.notBefore = nil
                    rows.events.append(.ended(job.ticket, .cancelled, by: nil))
                    _ = rows.end(job.id, as: .cancelled, .cancelled, at: now)
                }
            }
            _ = rows.closeIfDone(batch, at: now)
            return CancelReport(cancelled: Int64(jobs.count - kept), keptFinished: Int64(kept))
        }
    }

    package func completeCancellations(at now: Milliseconds) throws(JobStoreError) -> [BatchID] { [] }

    package func pause(_ batch: BatchID?, at now: Milliseconds) throws(JobStoreError) {
        try write { (rows) throws(JobStoreError) in
            rows.changes += 1
            guard let batch else {
                rows.paused = rows.paused ?? now
                return
            }
            try rows.checkOpen(batch)
            rows[batch]!.paused = rows[batch]!.paused ?? now
        }
    }

    package func resume(_ batch: BatchID?) throws(JobStoreError) {
        try write { (rows) throws(JobStoreError) in
            rows.changes += 1
            guard let batch else {
                rows.paused = nil
                return
            }
            try rows.checkOpen(batch)
            guard rows[batch]!.paused != nil else { return }
            rows.join(batch) { $0.paused = nil }
        }
    }
}

extension Rows {
    /// Lets a batch take part again from where the turns of the others stand.
    func join(_ batch: BatchID, _ change: (BatchRow) -> Void) {
        let turn = nextTurn(self[batch]!.new.priority)
        if !self[batch]!.isUrgent { self[batch]!.turn = turn }
        change(self[batch]!)
    }
}
