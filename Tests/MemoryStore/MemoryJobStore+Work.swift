// Claims, completions, releases, and what time does to the queue.

package import Runtime
package import StoreContract

extension MemoryJobStore {
    package func advanceTime(to now: Milliseconds) throws(JobStoreError) -> TimeAdvance {
        let next = try read(\.nextChange)
        guard let next, next <= now else { return TimeAdvance(next: next) }
        return try write { rows in
            var passed = TimeAdvance()
            for job in rows.jobs.compactMap(\.self)
            where job.state == .pending && job.notBefore.map({ $0 <= now }) == true {
                rows[job.id]!.notBefore = nil
            }
            for batch in rows.batches.compactMap(\.self) where batch.status == .inProgress {
                if let due = batch.notBefore, due <= now { rows.join(batch.id) { $0.notBefore = nil } }
                if let from = batch.urgentFrom, from <= now, !batch.isUrgent {
                    rows[batch.id]!.isUrgent = true
                    rows[batch.id]!.turn = batch.new.deadline!.rawValue
                }
                guard let deadline = batch.new.deadline, deadline <= now else { continue }
                for job in rows.jobs(of: batch.id) where job.isReady {
                    passed.expired += 1
                    if rows.end(job.id, as: .expired, .expired, at: now) { passed.closedBatches.append(batch.id) }
                }
            }
            passed.next = rows.nextChange
            return passed
        }
    }

    package func claimableBatch(
        among: Set<BatchID>?, fitting model: String?, for life: Incarnation?
    ) throws(JobStoreError) -> ClaimableBatch? {
        try read { rows in
            guard rows.paused == nil else { return nil }
            let next = rows.claimable.first { batch in
                (among?.contains(batch.id) ?? true)
                    && (model == nil || batch.new.model == nil || batch.new.model == model)
            }
            return next.map { ClaimableBatch(id: $0.id, model: $0.new.model, rank: ClaimableBatch.Rank($0)) }
        }
    }

    package func nextAttempt(among: Set<BatchID>?, for life: Incarnation?) throws(JobStoreError) -> Milliseconds? {
        try read { rows in
            guard rows.paused == nil else { return nil }
            let batches = rows.batches.compactMap(\.self).filter { batch in
                batch.status == .inProgress && batch.paused == nil && (among?.contains(batch.id) ?? true)
            }
            let jobs = batches.flatMap { rows.jobs(of: $0.id) }.filter { $0.state == .pending }.compactMap(\.notBefore)
            return (jobs + batches.compactMap(\.notBefore)).min()
        }
    }

    package func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> [ClaimedJob] {
        guard limit > 0 else { return [] }
        return try write { rows in
            guard rows.paused == nil, let row = rows.claimable.first(where: { $0.id == batch }),
                row.new.deadline.map({ $0 > now }) ?? true
            else { return [] }
            let jobs = rows.jobs(of: batch).filter(\.isReady)
                .sorted { ($0.claimRank, $0.id) < ($1.claimRank, $1.id) }.prefix(limit)
            for job in jobs {
                rows[job.id]!.state = .running
                rows[job.id]!.attempt += 1
                rows[job.id]!.owner = incarnation
            }
            rows[batch]!.turn += row.isUrgent ? 0 : Int64(jobs.count)
            rows[batch]!.started = row.started ?? now
            return jobs.map {
                ClaimedJob(
                    ticket: ClaimTicket(job: $0.id, batch: batch, attempt: $0.attempt), line: $0.line,
                    customID: $0.customID!, endpoint: $0.endpoint!, body: $0.body, crashes: $0.faults.crashes,
                    created: $0.created, promptTime: row.new.promptTime)
            }
        }
    }

    package func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> FinishReport {
        try write { rows in
            var report = FinishReport(finished: 0, stale: [], closedBatches: [])
            for completion in completions {
                let ticket = completion.ticket
                guard rows[ticket.job]?.isHeld(by: ticket, incarnation) == true else {
                    // It may have ended so without the caller's knowledge.
                    if rows[ticket.job]?.hasEnded(completion, incarnation) == true {
                        report.finished += 1
                    } else {
                        report.stale.append(ticket)
                    }
                    continue
                }
                rows[ticket.job]!.usage = completion.usage
                rows[ticket.job]!.timings = completion.timings
                let (state, outcome): (JobState, JobResult.Outcome) =
                    switch completion.outcome {
                    case .succeeded(let generation): (.succeeded, .succeeded(generation))
                    case .failed(let error): (.failed, .failed(error))
                    case .expired: (.expired, .expired)
                    }
                report.finished += 1
                if state == .succeeded { rows.forgetModelTrouble(ticket.batch) }
                if rows.end(ticket.job, as: state, outcome, at: now) { report.closedBatches.append(ticket.batch) }
            }
            report.closedBatches.sort()
            return report
        }
    }

    package func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws(JobStoreError) -> ReleaseReport {
        try write { rows in
            var report = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
            for ticket in tickets { rows.release(ticket, incarnation, because: reason, &report, at: now) }
            report.closedBatches.sort()
            return report
        }
    }

    package func held(by incarnation: Incarnation) throws(JobStoreError) -> [ClaimTicket] {
        try read { rows in
            rows.jobs.compactMap(\.self).filter { $0.state == .running && $0.owner == incarnation }
                .map { ClaimTicket(job: $0.id, batch: $0.batch, attempt: $0.attempt) }
        }
    }

    package func revoked(
        among tickets: [ClaimTicket], incarnation: Incarnation
    ) throws(JobStoreError) -> [ClaimTicket] {
        try read { rows in tickets.filter { rows[$0.job]?.isHeld(by: $0, incarnation) != true } }
    }

    package func postpone(
        _ batch: BatchID, by life: Incarnation, limit: Int?, backoff: Backoff, because reason: String,
        at now: Milliseconds
    ) throws(JobStoreError) -> Int {
        try write { rows in
            guard let row = rows[batch] else { return 0 }
            let others = rows.claimable.filter { $0.id != batch && $0.new.model == row.new.model }
            let struck = others + (row.status == .inProgress ? [row] : [])
            for row in struck {
                row.modelErrors += 1
                row.modelError = reason
                let delay = row.modelErrors < limit ?? .max ? backoff.delayMS(after: row.modelErrors) : 0
                row.notBefore = delay > 0 ? now + delay : nil
            }
            return row.status == .inProgress ? row.modelErrors : 0
        }
    }

    package func noteLoading(for batch: BatchID?, incarnation: Incarnation) throws(JobStoreError) {
        try write { $0.loading[incarnation] = batch }
    }

    package func loadingThatKilled(before incarnation: Incarnation) throws(JobStoreError) -> BatchID? {
        try read { rows in
            let (last, first) = (rows.loadingAtDeath(-1, incarnation), rows.loadingAtDeath(-2, incarnation))
            guard let last, let first, last.new.model == first.new.model else { return nil }
            return last.id
        }
    }
}

extension Rows {
    /// When time changes something.
    var nextChange: Milliseconds? {
        let open = batches.compactMap(\.self).filter { $0.status == .inProgress }
        var changes = jobs.compactMap { $0?.state == .pending ? $0?.notBefore : nil }
        changes += open.compactMap(\.notBefore)
        changes += open.filter { !$0.isUrgent }.compactMap(\.urgentFrom)
        changes += open.filter { $0.jobs.contains { jobs[$0]!.isReady } }.compactMap(\.new.deadline)
        return changes.min()
    }

    /// A job of the batch has run: the model can be used, for all that ask for it.
    func forgetModelTrouble(_ batch: BatchID) {
        let model = self[batch]!.new.model
        for row in batches.compactMap(\.self) where row.status == .inProgress && row.new.model == model {
            row.modelErrors = 0
            row.modelError = nil
        }
    }

    /// The batch whose model the life `distance` from `incarnation` was loading when it died.
    func loadingAtDeath(_ distance: Int64, _ incarnation: Incarnation) -> BatchRow? {
        let life = lives.first { $0.id.rawValue == incarnation.rawValue + distance }
        guard let life, life.stopped == nil, let batch = loading[life.id] else { return nil }
        return self[batch]
    }

    mutating func release(
        _ ticket: ClaimTicket, _ incarnation: Incarnation, because reason: ReleaseReason, _ report: inout ReleaseReport,
        at now: Milliseconds
    ) {
        guard self[ticket.job]?.isHeld(by: ticket, incarnation) == true else { return }
        switch self[ticket.job]!.faults.add(reason) {
        case .again(let delay):
            self[ticket.job]!.state = .pending
            self[ticket.job]!.owner = nil
            self[ticket.job]!.notBefore = delay > 0 ? now + delay : nil
            report.requeued += 1
        case .fail(let error):
            report.failed += 1
            if end(ticket.job, as: .failed, .failed(error), at: now) { report.closedBatches.append(ticket.batch) }
        }
    }
}
