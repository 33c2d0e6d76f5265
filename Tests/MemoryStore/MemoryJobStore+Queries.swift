// Questions, all of them answered by looking at every row.

import Glibc
package import Runtime
package import StoreContract

extension MemoryJobStore {
    package func batch(_ id: BatchID) throws(JobStoreError) -> BatchSummary {
        try read { (rows) throws(JobStoreError) in
            guard rows[id] != nil else { throw .batchNotFound(id) }
            return rows.summary(id)
        }
    }

    package func batch(named name: String) throws(JobStoreError) -> BatchID? { try read { $0.batch(named: name) } }

    package func batches(
        before: BatchID?, limit: Int, includingDrafts: Bool, of tenant: Tenant?
    ) throws(JobStoreError) -> [BatchSummary] {
        try read { rows in
            let chosen = rows.batches.reversed().compactMap(\.self).filter { batch in
                (before.map { batch.id < $0 } ?? true) && (tenant == nil || batch.new.tenant == tenant)
                    && (includingDrafts || batch.status != .validating || batch.isSubmission)
            }
            return chosen.prefix(limit).map { rows.summary($0.id) }
        }
    }

    package func failures(of batch: BatchID) throws(JobStoreError) -> [FailureGroup] {
        try read { rows in
            var groups: [String: FailureGroup] = [:]
            for job in rows.jobs(of: batch).sorted(by: { $0.line < $1.line }) {
                guard case .failed(let error) = job.outcome else { continue }
                var group =
                    groups[error.code]
                    ?? FailureGroup(code: error.code, jobs: 0, attempts: 0, line: job.line, message: error.message)
                group.jobs += 1
                group.attempts = max(group.attempts, job.attempt)
                groups[error.code] = group
            }
            return groups.values.sorted { ($1.jobs, $0.code) < ($0.jobs, $1.code) }
        }
    }

    package func anotherAttempt(of batch: BatchID) throws(JobStoreError) -> AnotherAttempt? {
        try read { rows in
            let due = rows.jobs(of: batch).filter { $0.state == .pending }.compactMap(\.notBefore)
            return due.min().map { AnotherAttempt(jobs: Int64(due.count), next: $0) }
        }
    }

    package func recentCompletions(
        of batch: BatchID, limit: Int
    ) throws(JobStoreError) -> RecentCompletions? {
        _ = try self.batch(batch)
        return try read { rows in
            let times = rows.jobs(of: batch).filter { !$0.isRejected && $0.finished != nil }
                .sorted { $0.finishSequence! < $1.finishSequence! }.suffix(limit + 1).map(\.finished!)
            guard let first = times.first, let last = times.last, times.count >= 2 else { return nil }
            return RecentCompletions(jobs: Int64(times.count) - 1, from: first, to: last)
        }
    }

    package func results(
        _ query: ResultQuery, after position: Int64, limit: Int
    ) throws(JobStoreError) -> [JobResult] {
        try read { (rows) throws(JobStoreError) in
            guard let batch = rows[query.batch] else { throw .batchNotFound(query.batch) }
            guard batch.status != .validating else { throw .batchIsDraft(query.batch) }
            let placed = rows.jobs(of: query.batch).filter { query.states.contains($0.state) }
                .compactMap { job -> (place: Int64, job: JobRow)? in
                    switch query.order {
                    case .input: (job.line, job)
                    case .completion: job.finishSequence.map { ($0, job) }
                    }
                }
            return placed.filter { $0.place > position }.sorted { $0.place < $1.place }.prefix(limit).map { entry in
                let job = entry.job
                return JobResult(
                    id: job.id, batch: job.batch, line: job.line, customID: job.customID, endpoint: job.endpoint,
                    modelName: job.modelName, state: job.state, attempt: job.attempt, outcome: job.outcome,
                    usage: job.usage,
                    timings: job.timings, created: job.created, finished: job.finished,
                    finishSequence: job.finishSequence)
            }
        }
    }

    package func sampleOfJobs(of batch: BatchID, limit: Int) throws(JobStoreError) -> [SampledJob] {
        let finished = try self.batch(batch).counts.finished
        let places = Set(SampledJob.places(of: finished, limit: limit))
        return try read { rows in
            let jobs = rows.jobs(of: batch).filter { places.contains($0.finishSequence ?? 0) }
            return jobs.compactMap { job in
                job.timings.map {
                    SampledJob(finishSequence: job.finishSequence!, state: job.state, usage: job.usage, timings: $0)
                }
            }
            .sorted { $0.finishSequence < $1.finishSequence }
        }
    }

    package func requestBody(of job: JobID) throws(JobStoreError) -> [UInt8]? {
        try read { rows in rows[job].flatMap { $0.isRejected ? nil : $0.body } }
    }

    /// It is in this process.
    package var location: String { "memory" }

    package func daemonPresence() throws(JobStoreError) -> DaemonPresence {
        let (now, identity) = (queue.now, identity)
        return try read { rows in
            if rows.leases[identity] != nil { return .running(pid: getpid()) }
            return rows.lives.contains { $0.identity != identity && $0.isHeard(at: now) } ? .running(pid: nil) : .absent
        }
    }

    package func systemStatus() throws(JobStoreError) -> SystemStatus {
        let daemon = try daemonPresence()
        return try read { rows in
            let open = rows.batches.compactMap(\.self).filter { $0.status == .inProgress }
            let states = open.flatMap { rows.jobs(of: $0.id) }.map(\.state)
            return SystemStatus(
                daemon: daemon,
                latestIncarnation: rows.lives.last?.summary, paused: rows.paused, openBatches: Int64(open.count),
                drafts: Int64(rows.batches.count { $0?.status == .validating }),
                pendingJobs: Int64(states.count { $0 == .pending }),
                runningJobs: Int64(states.count { $0 == .running }), latestMetrics: rows.intervals.last)
        }
    }

    package func queueState() throws(JobStoreError) -> QueueState {
        try read { rows in
            var state = QueueState(paused: rows.paused)
            for batch in rows.batches.compactMap(\.self) {
                state.batches[batch.status, default: 0] += 1
                guard batch.status != .validating else { continue }
                let jobs = rows.jobs(of: batch.id)
                for job in jobs { state.jobs[job.state, default: 0] += 1 }
                guard batch.status == .inProgress else { continue }
                let pending = jobs.filter { $0.state == .pending }
                let delayed = pending.count { $0.notBefore != nil }
                state.delayedJobs += Int64(delayed)
                if pending.count > delayed, batch.paused == nil {
                    let oldest = state.oldestPending[batch.new.priority] ?? batch.created
                    state.oldestPending[batch.new.priority] = min(oldest, batch.created)
                }
            }
            return state
        }
    }
}

extension Rows {
    fileprivate func summary(_ id: BatchID) -> BatchSummary {
        let batch = self[id]!
        let jobs = jobs(of: id)
        func count(_ state: JobState) -> Int64 { Int64(jobs.count { $0.state == state }) }
        let timed = jobs.compactMap(\.timings)
        let ended = jobs.filter { !$0.isRejected }
        let endpoints = Set(ended.compactMap(\.endpoint))
        return BatchSummary(
            id: id, name: batch.new.name, uniqueName: batch.hasName ? batch.new.uniqueName : nil,
            endpoint: batch.isSubmission || batch.inputErrors != nil
                ? batch.new.submission?.endpoint
                : endpoints.count == 1 && batch.status != .validating ? endpoints.first : nil,
            model: batch.new.model, modelName: batch.new.modelName, status: batch.status, priority: batch.new.priority,
            deadline: batch.new.deadline, paused: batch.paused,
            modelTrouble: batch.status == .inProgress ? modelTrouble(of: id) : nil,
            retryOf: batch.new.retryOf, created: batch.created, started: batch.started, finished: batch.finished,
            counts: JobCounts(
                total: Int64(jobs.count), rejected: Int64(jobs.count(where: \.isRejected)), pending: count(.pending),
                running: count(.running), succeeded: count(.succeeded), failed: count(.failed),
                cancelled: count(.cancelled), expired: count(.expired)),
            usage: TokenUsage(
                promptTokens: jobs.reduce(0) { $0 + $1.usage.promptTokens },
                cachedTokens: jobs.reduce(0) { $0 + $1.usage.cachedTokens },
                completionTokens: jobs.reduce(0) { $0 + $1.usage.completionTokens }),
            timedJobs: Int64(timed.count),
            timings: JobTimings(
                queuedMS: timed.reduce(0) { $0 + $1.queuedMS }, prefillMS: timed.reduce(0) { $0 + $1.prefillMS },
                decodeMS: timed.reduce(0) { $0 + $1.decodeMS }, totalMS: timed.reduce(0) { $0 + $1.totalMS }),
            progress: batch.status == .inProgress ? progress(id, jobs) : nil, tenant: batch.new.tenant,
            submission: batch.new.submission, inputErrors: batch.inputErrors, files: batch.new.files)
    }

    /// What the lives said last, summed.
    private func progress(_ id: BatchID, _ jobs: [JobRow]) -> BatchProgress? {
        let endedNow = Int64(jobs.reduce(0) { $0 + $1.usage.completionTokens })
        return lives.compactMap { $0.progress[id] }.map { said, endedThen in
            var now = said
            now.unfinishedTokens = max(0, said.unfinishedTokens + endedThen - endedNow)
            return now
        }.reduce(nil) { sum, next in sum.map { $0 + next } ?? next }
    }
}

extension BatchProgress {
    fileprivate static func + (left: Self, right: Self) -> Self {
        var sum = left
        sum.updated = max(left.updated, right.updated)
        sum.unfinishedTokens += right.unfinishedTokens
        sum.running += right.running
        sum.runningTokens += right.runningTokens
        sum.runningLimit += right.runningLimit
        if let one = left.pace, let other = right.pace {
            sum.pace = Pace(
                tokensPerSecond: one.tokensPerSecond + other.tokensPerSecond,
                tokenMS: 1 / (1 / one.tokenMS + 1 / other.tokenMS),
                tokenMSGrowth: (one.tokenMSGrowth + other.tokenMSGrowth) / 2)
        } else {
            sum.pace = left.pace ?? right.pace
        }
        return sum
    }
}

// MARK: - Metrics

extension MemoryJobStore {
    package func record(_ progress: [BatchProgress], incarnation: Incarnation) throws(JobStoreError) {
        try write { rows in
            rows[incarnation]!.progress = [:]
            for batch in progress where rows[batch.batch]?.status == .inProgress {
                let ended = rows.jobs(of: batch.batch).reduce(0) { $0 + $1.usage.completionTokens }
                rows[incarnation]!.progress[batch.batch] = (batch, Int64(ended))
            }
        }
    }

    package func record(_ system: SystemRecord) throws(JobStoreError) {
        try write { $0.systems[system.fingerprint] = system }
    }

    package func system(_ fingerprint: String) throws(JobStoreError) -> SystemRecord? {
        try read { $0.systems[fingerprint] }
    }

    package func result(of customID: String, in batch: BatchID) throws(JobStoreError) -> JobResult? {
        let query = ResultQuery(batch: batch, states: Set(JobState.allCases))
        return try results(query, after: 0, limit: .max).first { result in
            guard result.customID == customID else { return false }
            return try! read { rows in rows[result.id]?.isRejected == false }
        }
    }

    package func record(_ interval: MetricsInterval) throws(JobStoreError) {
        try write { $0.intervals.append(interval) }
    }

    package func metrics(_ scope: MetricsScope, limit: Int) throws(JobStoreError) -> [MetricsInterval] {
        try read { Array($0.intervals(in: scope).prefix(limit)) }
    }

    package func metricsSummary(_ scope: MetricsScope) throws(JobStoreError) -> MetricsSummary {
        try read { MetricsSummary($0.intervals(in: scope)) }
    }

    package func metricsHistory(
        from: Milliseconds, to: Milliseconds, parts: Int
    ) throws(JobStoreError) -> [MetricsPart] {
        guard to > from, parts > 0 else { return [] }
        return try read { rows in
            let groups = Dictionary(grouping: rows.intervals(in: .period(from: from, to: to))) { interval in
                Int((interval.start - from) * Int64(parts) / (to - from))
            }
            return groups.sorted { $0.key < $1.key }.map { index, intervals in
                MetricsPart(
                    index: index, summary: MetricsSummary(intervals),
                    queueDepth: intervals.map(\.queueDepth).max() ?? 0)
            }
        }
    }
}

extension MetricsSummary {
    fileprivate init(_ all: [MetricsInterval]) {
        func sum(_ value: (MetricsInterval) -> Int64) -> Int64 { all.reduce(0) { $0 + value($1) } }
        let covered = sum { $0.end - $0.start }
        let blocks = all.reduce(0) { $0 + $1.kvBlocksMean * Double($1.end - $1.start) }
        self.init(
            intervals: Int64(all.count), coveredMS: covered, promptTokens: sum(\.promptTokens),
            cachedTokens: sum(\.cachedTokens), generatedTokens: sum(\.generatedTokens),
            prefillSteps: sum(\.prefillSteps), decodeSteps: sum(\.decodeSteps), decodeRows: sum(\.decodeRows),
            decodeRowCapacity: sum { $0.decodeSteps * $0.slots }, preemptions: sum(\.preemptions),
            kvBlocksMean: covered > 0 ? blocks / Double(covered) : 0,
            kvBlocksMax: all.map(\.kvBlocksMax).max() ?? 0, kvBlocksTotal: all.map(\.kvBlocksTotal).max() ?? 0,
            jobsSucceeded: sum(\.jobsSucceeded), jobsFailed: sum(\.jobsFailed))
    }
}

extension Rows {
    fileprivate func intervals(in scope: MetricsScope) -> [MetricsInterval] {
        intervals.filter { interval in
            switch scope {
            case .incarnation(let id): return interval.incarnation == id
            case .period(let from, let to): return from <= interval.start && interval.start < to
            case .batch(let id):
                guard let batch = self[id], let started = batch.started else { return false }
                return interval.end > started && (batch.finished.map { interval.start < $0 } ?? true)
            }
        }
        .sorted { $0.start < $1.start }
    }
}
