// Daemons of several hosts on a queue in memory, by the rules of the store in PostgreSQL, which says why.

package import Runtime
package import StoreContract

extension MemoryJobStore: Membership {
    /// The store's own, if it has several owners.
    package var membership: (any Membership)? { queue.hasSeveralOwners ? self : nil }

    package func renew(
        _ life: Incarnation, within limit: Int64, at now: Milliseconds?
    ) throws(JobStoreError) -> LifeState {
        let now = now ?? queue.now
        return try write { rows in
            guard rows[life]?.isAlive == true else { return .dead }
            rows[life]!.beat(within: limit, at: now)
            return rows[life]!.isDraining ? .draining : .alive
        }
    }

    /// Transactions of their own: the declaration, and then what each of the dead ones had. Whoever comes next does the second if
    /// this one ends between them.
    package func reapDead(
        by life: Incarnation, within limit: Int64, maxCrashes: Int, at now: Milliseconds?
    ) throws(JobStoreError) -> [ReapedLife] {
        let now = now ?? queue.now
        let defect = queue.defect
        try write { $0.declareSilentDead(by: life, within: limit, at: now, whoeverJudges: defect == .silentJudge) }
        guard defect != .deadKeepTheirJobs else { return [] }
        let dead = try read { rows in
            let owners = Set(rows.jobs.compactMap { $0?.state == .running ? $0?.owner : nil })
            return owners.filter { rows[$0]?.declaredDead != nil }.sorted()
        }
        var reaped: [ReapedLife] = []
        for dead in dead {
            reaped.append(
                try write { rows in
                    if defect == .firstDeathIsBlamed { rows.suspect(rows.held(by: dead)) }
                    return rows.takeBack(from: dead, maxCrashes: maxCrashes, at: now)
                })
        }
        return reaped
    }

    package func othersHoldJobs(than life: Incarnation, among: Set<BatchID>?) throws(JobStoreError) -> Bool {
        try read { rows in
            rows.jobs.contains { job in
                guard let job, job.state == .running, job.owner != life else { return false }
                return among?.contains(job.batch) ?? true
            }
        }
    }

    package func noteScoped(_ life: Incarnation) throws(JobStoreError) {
        try write { $0[life]!.isScoped = true }
    }

    package func hosts() throws(JobStoreError) -> [HostSummary] {
        let now = queue.now
        return try read { rows in
            var last: [String: LifeRow] = [:]
            for life in rows.lives { last[life.identity] = life }
            let day: Int64 = 86_400_000
            return last.values.filter { life in
                guard !life.isRemoved else { return false }
                let ended = [life.summary.stopped, life.declaredDead].compactMap(\.self).max()
                return ended.map { $0 + day > now } ?? true
            }
            .map { HostSummary($0, running: Int64(rows.held(by: $0.summary.id).count), at: now) }
            .sorted { ($0.life.daemon.host, $0.life.id) < ($1.life.daemon.host, $1.life.id) }
        }
    }

    package func setDraining(_ isDraining: Bool, of life: Incarnation) throws(JobStoreError) {
        try write { (rows) throws(JobStoreError) in
            guard rows[life] != nil else { throw .hostNotFound("\(life)") }
            rows[life]!.isDraining = isDraining
            rows.changes += 1
        }
    }

    package func remove(
        _ life: Incarnation, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> ReapedLife {
        try write { (rows) throws(JobStoreError) in
            guard let row = rows[life] else { throw .hostNotFound("\(life)") }
            rows[life]!.isRemoved = true
            if row.isAlive { rows.declareDead(life, at: now) }
        }
        return try write { $0.takeBack(from: life, maxCrashes: maxCrashes, at: now) }
    }
}

extension HostSummary {
    fileprivate init(_ row: LifeRow, running: Int64, at now: Milliseconds) {
        let silentMS = max(0, now - (row.heard?.seen ?? row.summary.started))
        let limit = row.heard.map(\.limit) ?? 0
        let state: State =
            if row.summary.stopped != nil {
                .stopped
            } else if row.declaredDead != nil {
                .dead
            } else if silentMS > (limit == 0 ? 15_000 : limit) / 2 {
                .silent
            } else if row.isDraining {
                .draining
            } else {
                .running
            }
        self.init(
            life: row.summary, state: state, loadedModel: row.loaded, running: running,
            tokensPerSecond: row.progress.values.reduce(0) { $0 + ($1.said.pace?.tokensPerSecond ?? 0) },
            silentMS: silentMS)
    }
}

extension Rows {
    fileprivate mutating func declareSilentDead(
        by judge: Incarnation, within limit: Int64, at now: Milliseconds, whoeverJudges: Bool
    ) {
        // After a crash of the server nobody was heard of: the time of all that live begins anew.
        for index in lives.indices where lives[index].isAlive && lives[index].heard == nil {
            lives[index].beat(within: limit, at: now)
        }
        guard let heard = self[judge]?.heard else { return }
        guard whoeverJudges || now - heard.steady >= limit && now - heard.seen <= limit / 2 else { return }
        for life in lives where life.isAlive && life.summary.id != judge {
            if now - life.heard!.seen > max(limit, life.heard!.limit) { declareDead(life.summary.id, at: now) }
        }
    }

    fileprivate mutating func declareDead(_ life: Incarnation, at now: Milliseconds) {
        self[life]!.end(at: now)
        events.append(.declaredDead(life))
    }

    /// Takes jobs for those of a life that has died before.
    fileprivate func suspect(_ tickets: [ClaimTicket]) {
        for ticket in tickets { self[ticket.job]!.deaths += 1 }
    }

    /// Makes the jobs of a life pending that was declared dead.
    fileprivate mutating func takeBack(from dead: Incarnation, maxCrashes: Int, at now: Milliseconds) -> ReapedLife {
        var jobs = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
        for ticket in held(by: dead) {
            release(ticket, dead, because: .stopping, death: .declared(maxCrashes: maxCrashes), &jobs, at: now)
        }
        jobs.closedBatches.sort()
        return ReapedLife(incarnation: dead, host: self[dead]!.summary.daemon.host, jobs: jobs)
    }
}
