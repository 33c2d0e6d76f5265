// Jobs of an earlier batch are enqueued again through a draft. What is to be copied each store reads by itself.

public import Runtime

/// A store that finds jobs which are to run again; `retry` and `rerun` follow from that.
public protocol EnqueuingAgain: JobIntake, JobReading {
    /// The time that the prompts of a repeated job see; nil for other batches.
    func promptTime(of batch: BatchID) throws(JobStoreError) -> Milliseconds?

    /// Some jobs of a batch behind a line, by line: those that ended in one of `states`, with this code if it is not nil. None: these
    /// were all.
    func jobsToRetry(
        of batch: BatchID, states: Set<JobState>, errorCode: String?, after line: Int64
    ) throws(JobStoreError) -> [NewJob]

    /// A job with the time that its prompt saw; nil if the batch has no such job.
    func jobToRerun(
        _ customID: String, of batch: BatchID
    ) throws(JobStoreError) -> (job: NewJob, promptTime: Milliseconds)?
}

extension EnqueuingAgain {
    /// Copies through a draft, page by page, so its use of memory is bounded.
    public func retry(
        _ batch: BatchID, states: Set<JobState>, errorCode: String?, at now: Milliseconds
    ) throws(JobStoreError) -> BatchID {
        let original = try self.batch(batch)
        guard original.status.isTerminal else { throw .batchNotFinished(batch, original.status) }
        let promptTime = try promptTime(of: batch)
        let draft = try beginBatch(NewBatch(copyOf: original, promptTime: promptTime), at: now)
        do throws(JobStoreError) {
            var line: Int64 = 0
            while true {
                let page = try jobsToRetry(of: batch, states: states, errorCode: errorCode, after: line)
                // Looked at behind the page: whoever deletes the batch first withdraws it. The copy must not be committed with half
                // of its jobs.
                guard try self.batch(batch).status.isTerminal else { throw .batchNotFound(batch) }
                guard let last = page.last else { break }
                _ = try draft.append(page)
                line = last.line
            }
            return try draft.commit(at: now)
        } catch {
            // If the draft cannot be deleted now, it loses its owner soon and is swept later.
            try? draft.discard()
            throw error == .emptyBatch ? .nothingToRetry(batch) : error
        }
    }

    /// The copy is read and written in two transactions: a finished job never changes.
    public func rerun(
        _ customID: String, of batch: BatchID, at now: Milliseconds
    ) throws(JobStoreError) -> BatchID {
        let original = try self.batch(batch)
        guard let copy = try jobToRerun(customID, of: batch) else { throw .nothingToRetry(batch) }
        let draft = try beginBatch(NewBatch(copyOf: original, promptTime: copy.promptTime), at: now)
        do {
            _ = try draft.append([copy.job])
            return try draft.commit(at: now)
        } catch {
            try? draft.discard()
            throw error
        }
    }
}
