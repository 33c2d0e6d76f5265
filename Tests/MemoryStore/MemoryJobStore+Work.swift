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
                rows.wake(batch, at: now)
                if let from = batch.urgentFrom, from <= now, !batch.isUrgent {
                    rows[batch.id]!.isUrgent = true
                    rows[batch.id]!.turn = batch.new.deadline!.rawValue
                }
                guard let deadline = batch.new.deadline, deadline <= now else { continue }
                for job in rows.jobs(of: batch.id) where job.isReady {
                    passed.expired += 1
                    rows.events.append(.ended(job.ticket, .expired, by: nil))
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
        let (now, worth) = (queue.now, queue.jobsWorthLoading)
        return try read { rows in
            guard rows.paused == nil else { return nil }
            let next = rows.claimable.first { batch in
                (among?.contains(batch.id) ?? true)
                    && (model == nil || batch.new.model == nil || batch.new.model == model)
                    && rows.isFor(life, batch)
                    && !(among == nil && rows.leavesToOthers(life, batch, jobsWorthLoading: worth, at: now))
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
            let troubles = rows.lives.filter { life == nil || $0.summary.id == life }
                .flatMap { row in batches.compactMap { row.troubles[$0.id]?.notBefore } }
            return (jobs + troubles).min()
        }
    }

    package func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> [ClaimedJob] {
        guard limit > 0 else { return [] }
        let defect = queue.defect
        return try write { (rows) throws(JobStoreError) in
            guard let row = rows[batch], row.status == .inProgress, rows.jobs(of: batch).contains(where: \.isReady)
            else { return [] }
            guard rows[incarnation]?.isAlive == true || defect == .deadClaim else { throw .declaredDead(incarnation) }
            guard rows.paused == nil, row.paused == nil, row.new.deadline.map({ $0 > now }) ?? true,
                rows.isFor(incarnation, row)
            else { return [] }
            let jobs = rows.jobs(of: batch).filter(\.isReady)
                .sorted { ($0.claimRank, $0.id) < ($1.claimRank, $1.id) }.prefix(limit)
            for job in jobs {
                rows[job.id]!.state = .running
                rows[job.id]!.attempt += 1
                rows[job.id]!.owner = incarnation
                rows.events.append(.claimed(job.ticket, by: incarnation))
            }
            rows[batch]!.turn += row.isUrgent ? 0 : Int64(jobs.count)
            rows[batch]!.started = row.started ?? now
            return jobs.map {
                ClaimedJob(
                    ticket: $0.ticket, line: $0.line,
                    customID: $0.customID!, endpoint: $0.endpoint!, body: $0.body, crashes: $0.faults.crashes,
                    created: $0.created, promptTime: row.new.promptTime)
            }
        }
    }

    package func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> FinishReport {
        let takesAll = queue.defect == .finishesWithoutLease
        return try write { rows in
            var report = FinishReport(finished: 0, stale: [], closedBatches: [])
            for completion in completions {
                let ticket = completion.ticket
                guard rows[ticket.job]?.isHeld(by: ticket, incarnation) == true || takesAll else {
                    // It may have ended so without the caller's knowledge.
                    if rows[ticket.job]?.hasEnded(completion, incarnation) == true {
                        report.finished += 1
                    } else {
                        report.stale.append(ticket)
                        rows.events.append(.refused(ticket, by: incarnation))
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
                rows.events.append(.ended(ticket, state, by: incarnation))
                if state == .succeeded { rows.forgetModelTrouble(ticket.batch, of: incarnation) }
                if rows.end(ticket.job, as: state, outcome, at: now) { report.closedBatches.append(ticket.batch) }
            }
            report.closedBatches.sort()
            return report
        }
    }

    package func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws(JobStoreError) -> ReleaseReport {
        let takesAll = queue.defect == .releasesWithoutLease
        return try write { rows in
            var report = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
            for ticket in tickets {
                var ticket = ticket
                if takesAll, let job = rows[ticket.job], job.state == .running {
                    job.owner = incarnation
                    ticket = job.ticket
                }
                rows.release(ticket, incarnation, because: reason, &report, at: now)
            }
            report.closedBatches.sort()
            return report
        }
    }

    package func held(by incarnation: Incarnation) throws(JobStoreError) -> [ClaimTicket] {
        guard queue.defect != .unheardClaimsAreForgotten else { return [] }
        return try read { $0.held(by: incarnation) }
    }

    package func revoked(
        among tickets: [ClaimTicket], incarnation: Incarnation
    ) throws(JobStoreError) -> [ClaimTicket] {
        try read { rows in tickets.filter { rows[$0.job]?.isHeld(by: $0, incarnation) != true } }
    }
}

extension Rows {
    /// When time changes something.
    var nextChange: Milliseconds? {
        let open = batches.compactMap(\.self).filter { $0.status == .inProgress }
        var changes = jobs.compactMap { $0?.state == .pending ? $0?.notBefore : nil }
        changes += lives.flatMap { life in open.compactMap { life.troubles[$0.id]?.notBefore } }
        changes += open.filter { !$0.isUrgent }.compactMap(\.urgentFrom)
        changes += open.filter { $0.jobs.contains { jobs[$0]!.isReady } }.compactMap(\.new.deadline)
        return changes.min()
    }

    /// All that a life has in flight.
    func held(by life: Incarnation) -> [ClaimTicket] {
        jobs.compactMap(\.self).filter { $0.state == .running && $0.owner == life }.map(\.ticket)
    }

    /// Makes a running job pending again, or fails it if it reached a limit.
    mutating func release(
        _ ticket: ClaimTicket, _ incarnation: Incarnation, because reason: ReleaseReason, death: OwnerDeath = .none,
        _ report: inout ReleaseReport, at now: Milliseconds
    ) {
        guard let job = self[ticket.job], job.isHeld(by: ticket, incarnation) else { return }
        var reason = reason
        // The first one is nobody's fault.
        if case .declared(let maxCrashes) = death, job.deaths > 0 { reason = .crash(maxCrashes: maxCrashes) }
        if death != .none { job.deaths += 1 }
        let verdict = job.faults.add(reason)
        events.append(.released(ticket, by: incarnation, QueueEvent.Cause(reason, death), fails: verdict.isEnd))
        switch verdict {
        case .again(let delay):
            job.state = .pending
            job.owner = nil
            job.notBefore = delay > 0 ? now + delay : nil
            report.requeued += 1
        case .fail(let error):
            report.failed += 1
            if end(ticket.job, as: .failed, .failed(error), at: now) { report.closedBatches.append(ticket.batch) }
        }
    }
}

extension JobFaults.Verdict {
    fileprivate var isEnd: Bool {
        if case .fail = self { true } else { false }
    }
}
