// Two thousand random operations against a naive model: counters, states, results and order must agree with it, whatever
// the schedule. A failure names its seed.

import Runtime
import StoreContract
import TestSupport
import Testing

@Suite
struct RandomScheduleConformance {
    @Test(arguments: StoreKind.allCases, [UInt64(1), 2])
    func theStoreAgreesWithANaiveModel(kind: StoreKind, seed: UInt64) throws {
        let fixture = try kind.make()
        var schedule = try Schedule(store: fixture.store, seed: seed)
        for operation in 1...2_000 {
            try schedule.step()
            if operation.isMultiple(of: 250) {
                try schedule.check()
            }
        }
        #expect(schedule.model.values.contains { $0.status == .cancelled }, "seed \(seed) never cancelled")
        #expect(schedule.staleSeen > 0 && schedule.poisoned > 0, "seed \(seed) met no stale result or poison")
        #expect(schedule.expired > 0 && schedule.delayed > 0, "seed \(seed) met no deadline or delay")
    }
}

/// What a batch should look like.
struct ModelBatch {
    struct Job {
        var state = JobState.pending
        var attempt = 0
        var crashes = 0
        var isRejected = false
        var notBefore: Int64?

        var isReady: Bool { state == .pending && notBefore == nil }
    }

    var priority: Int64 = 0
    var deadline: Int64?
    var urgentFrom: Int64 = .max
    var isUrgent = false
    var isPaused = false
    var turn: Int64 = 0
    var status = BatchStatus.inProgress
    /// By line - 1.
    var jobs: [Job]
    /// Lines in order of completion.
    var finished: [Int64] = []

    func count(_ state: JobState) -> Int64 { Int64(jobs.count { $0.state == state }) }

    mutating func end(_ line: Int64, _ state: JobState) {
        jobs[Int(line) - 1].state = state
        finished.append(line)
        if finished.count == jobs.count {
            status = count(.expired) > 0 ? .expired : .completed
        }
    }

    var isClaimable: Bool { status == .inProgress && !isPaused && jobs.contains(where: \.isReady) }
}

/// The store and the model, driven by one seed.
struct Schedule {
    private(set) var store: any JobStore
    private(set) var lease: any DaemonLease
    var random: SplitMix64
    var now: Int64 = 100
    var incarnation: Incarnation
    var model: [BatchID: ModelBatch] = [:]
    /// Every claim that was ever made, also the void ones.
    var claims: [(job: ClaimedJob, owner: Incarnation)] = []
    var staleSeen = 0
    var poisoned = 0
    var lastDied = false
    var isPaused = false
    var expired = 0
    var delayed = 0
    let maxCrashes = 2

    init(store: any JobStore, seed: UInt64) throws {
        self.store = store
        self.random = SplitMix64(seed: seed)
        self.lease = try store.acquireLease()
        self.incarnation = try store.openIncarnation(lease: lease, maxCrashes: maxCrashes).incarnation
    }

    mutating func step() throws {
        now += Int64.random(in: 0...2, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<12: try enqueue()
        case 12..<45: try claim()
        case 45..<80: try finish()
        case 80..<88: try release()
        case 88..<91: try restart()
        case 91..<94: try cancel()
        case 94..<96: try retry()
        case 96..<98: try pauseOrResume()
        default: try discard()
        }
    }

    var instant: Milliseconds { Milliseconds(rawValue: now) }

    /// Where the turns of a priority stand.
    func nextTurn(_ priority: Int64) -> Int64 {
        model.values.filter { $0.isClaimable && $0.priority == priority && !$0.isUrgent }.map(\.turn).min() ?? 0
    }

    mutating func pauseOrResume() throws {
        guard let id = model.filter({ $0.value.status == .inProgress }).keys.sorted().randomElement(using: &random),
            Int.random(in: 0..<4, using: &random) > 0
        else {
            isPaused.toggle()
            return isPaused ? try store.pause(nil, at: instant) : try store.resume(nil)
        }
        if model[id]!.isPaused {
            try store.resume(id)
            if !model[id]!.isUrgent { model[id]!.turn = nextTurn(model[id]!.priority) }
        } else {
            try store.pause(id, at: instant)
        }
        model[id]!.isPaused.toggle()
    }

    /// What time does, in the order of ids.
    mutating func advanceTime() {
        for id in model.keys.sorted() where model[id]!.status == .inProgress {
            for index in model[id]!.jobs.indices where (model[id]!.jobs[index].notBefore ?? .max) <= now {
                model[id]!.jobs[index].notBefore = nil
            }
            if model[id]!.urgentFrom <= now, !model[id]!.isUrgent {
                model[id]!.isUrgent = true
                model[id]!.turn = model[id]!.deadline!
            }
            guard let deadline = model[id]!.deadline, deadline <= now else { continue }
            for (index, job) in model[id]!.jobs.enumerated() where job.isReady {
                model[id]!.end(Int64(index + 1), .expired)
                expired += 1
            }
        }
    }

    mutating func enqueue() throws {
        var new = NewBatch(name: "b")
        var batch = ModelBatch(jobs: [])
        if Int.random(in: 0..<3, using: &random) == 0 {
            batch.priority = Int64.random(in: -1...1, using: &random)
            new.priority = BatchPriority(rawValue: batch.priority)!
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            let length = Int64.random(in: 1...200, using: &random)
            batch.deadline = now + length
            batch.urgentFrom = now + length / 2
            new.deadline = Milliseconds(rawValue: now + length)
        }
        let draft = try store.beginBatch(new, at: instant)
        for line in 1...Int64.random(in: 1...12, using: &random) {
            var job = ModelBatch.Job()
            if Int.random(in: 0..<10, using: &random) == 0 {
                job.isRejected = true
                job.state = .failed
                let error = JobError(code: "bad", message: "bad", status: 400)
                _ = try draft.append([], rejected: [RejectedLine(line: line, customID: "c1", error: error)])
                batch.finished.append(line)
            } else {
                _ = try draft.append([.sample(line)])
            }
            batch.jobs.append(job)
        }
        batch.status = batch.finished.count == batch.jobs.count ? .completed : .inProgress
        batch.turn = nextTurn(batch.priority)
        model[try draft.commit(at: instant)] = batch
    }

    mutating func claim() throws {
        let limit = Int.random(in: 1...6, using: &random)
        let claimed = try store.claimNext(limit, incarnation: incarnation, at: instant)
        advanceTime()
        var expected: [(BatchID, Int64)] = []
        while expected.count < limit, !isPaused, let id = nextBatch {
            let before = expected.count
            for (index, job) in model[id]!.jobs.enumerated() where job.isReady && expected.count < limit {
                model[id]!.jobs[index].state = .running
                model[id]!.jobs[index].attempt += 1
                expected.append((id, Int64(index + 1)))
            }
            if !model[id]!.isUrgent { model[id]!.turn += Int64(expected.count - before) }
        }
        #expect(claimed.map(\.ticket.batch) == expected.map(\.0))
        #expect(claimed.map(\.line) == expected.map(\.1))
        claims += claimed.map { ($0, incarnation) }
    }

    /// Whose turn it is.
    var nextBatch: BatchID? {
        model.filter(\.value.isClaimable).min { left, right in
            let (a, b) = (left.value, right.value)
            if a.priority != b.priority { return a.priority > b.priority }
            if a.isUrgent != b.isUrgent { return a.isUrgent }
            return (a.turn, left.key) < (b.turn, right.key)
        }?.key
    }

    /// Mostly claims of late, so that some are alive and some void.
    mutating func someClaims() -> [(job: ClaimedJob, owner: Incarnation)] {
        var chosen: [JobID: (job: ClaimedJob, owner: Incarnation)] = [:]
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            if let claim = claims.suffix(12).randomElement(using: &random), claim.owner == incarnation {
                chosen[claim.job.ticket.job] = claim
            }
        }
        return chosen.values.sorted { $0.job.ticket.job < $1.job.ticket.job }
    }

    func isCurrent(_ job: ClaimedJob) -> Bool {
        let modelled = model[job.ticket.batch]!.jobs[Int(job.line) - 1]
        return modelled.state == .running && modelled.attempt == job.ticket.attempt
    }

    /// Whether this attempt has ended the job so already: who says it again may not have heard of it.
    func hasEnded(_ job: ClaimedJob, as state: JobState) -> Bool {
        let modelled = model[job.ticket.batch]!.jobs[Int(job.line) - 1]
        return modelled.state == state && modelled.attempt == job.ticket.attempt
    }

    mutating func finish() throws {
        let chosen = someClaims().map(\.job)
        var stale: [ClaimTicket] = []
        var completions: [JobCompletion] = []
        for job in chosen {
            let fails = Int.random(in: 0..<4, using: &random) == 0
            completions.append(fails ? .failure(job) : .success(job))
            if isCurrent(job) {
                model[job.ticket.batch]!.end(job.line, fails ? .failed : .succeeded)
            } else if !hasEnded(job, as: fails ? .failed : .succeeded) {
                stale.append(job.ticket)
            }
        }
        let report = try store.finish(completions, incarnation: incarnation, at: instant)
        #expect(report.stale == stale)
        #expect(report.finished == chosen.count - stale.count)
        staleSeen += stale.count
    }

    mutating func putBack(_ job: ClaimedJob, crashed: Bool, delay: Int64 = 0) {
        let index = Int(job.line) - 1
        model[job.ticket.batch]!.jobs[index].crashes += crashed ? 1 : 0
        if crashed && model[job.ticket.batch]!.jobs[index].crashes >= maxCrashes {
            model[job.ticket.batch]!.end(job.line, .failed)
            poisoned += 1
        } else {
            model[job.ticket.batch]!.jobs[index].state = .pending
            if crashed, delay > 0 {
                model[job.ticket.batch]!.jobs[index].notBefore = now + delay
                delayed += 1
            }
        }
    }

    mutating func release() throws {
        let chosen = someClaims().map(\.job)
        let crashed = Bool.random(using: &random)
        let delay = Int64.random(in: 0...20, using: &random)
        for job in chosen where isCurrent(job) {
            putBack(job, crashed: crashed, delay: delay)
        }
        try store.release(
            chosen.map(\.ticket), incarnation: incarnation,
            because: crashed
                ? .crash(maxCrashes: maxCrashes, backoff: Backoff(firstMS: delay, longestMS: delay)) : .stopping,
            at: instant)
    }

    /// The daemon dies, or stops in good order, and another starts.
    mutating func restart() throws {
        let isOrderly = Bool.random(using: &random)
        let orphans = claims.filter { $0.owner == incarnation && isCurrent($0.job) }.map(\.job)
        if isOrderly {
            try store.closeIncarnation(incarnation, at: instant)
        }
        for job in orphans.sorted(by: { $0.ticket.job < $1.ticket.job }) {
            putBack(job, crashed: !isOrderly && lastDied)
        }
        lastDied = !isOrderly
        incarnation = try store.openIncarnation(lease: lease, maxCrashes: maxCrashes, at: instant).incarnation
    }

    /// The daemon stops in good order, and the next one works on a copy of the queue.
    mutating func move(to copy: any JobStore, copying: () throws -> Void) throws {
        try store.closeIncarnation(incarnation, at: instant)
        for claim in claims where claim.owner == incarnation && isCurrent(claim.job) {
            putBack(claim.job, crashed: false)
        }
        lease.release()
        try copying()
        // Tickets of the old store mean nothing in the new one.
        claims = []
        store = copy
        lease = try copy.acquireLease()
        lastDied = false
        incarnation = try copy.openIncarnation(lease: lease, maxCrashes: maxCrashes, at: instant).incarnation
    }

    mutating func cancel() throws {
        guard let id = model.keys.sorted().randomElement(using: &random) else { return }
        guard model[id]!.status == .inProgress else {
            #expect(throws: JobStoreError.batchAlreadyFinished(id, model[id]!.status)) {
                try store.cancel(id, at: instant)
            }
            return
        }
        _ = try store.cancel(id, at: instant)
        for state in [JobState.running, .pending] {
            for (index, job) in model[id]!.jobs.enumerated() where job.state == state {
                model[id]!.end(Int64(index + 1), .cancelled)
            }
        }
        model[id]!.status = .cancelled
    }

    mutating func retry() throws {
        let ended = model.filter { $0.value.status.isTerminal }.keys.sorted()
        guard let id = ended.randomElement(using: &random) else { return }
        let failed = model[id]!.jobs.enumerated().filter { $0.element.state == .failed && !$0.element.isRejected }
        guard !failed.isEmpty else {
            #expect(throws: JobStoreError.nothingToRetry(id)) {
                try store.retry(id, states: [.failed], at: instant)
            }
            return
        }
        // The copies keep their lines; the model numbers anew, so it takes only batches whose failed lines come first.
        guard failed.map(\.offset) == Array(0..<failed.count) else { return }
        var copy = ModelBatch(jobs: failed.map { _ in ModelBatch.Job() })
        copy.priority = model[id]!.priority
        copy.turn = nextTurn(copy.priority)
        model[try store.retry(id, states: [.failed], at: instant)] = copy
    }

    mutating func discard() throws {
        let draft = try store.beginBatch(NewBatch(name: "never"), at: instant)
        _ = try draft.append([.sample(1)])
        try draft.discard()
    }

    func check() throws {
        let summaries = try store.batches(before: nil, limit: 100_000, includingDrafts: true)
        #expect(summaries.map(\.id) == model.keys.sorted().reversed())
        for summary in summaries {
            let expected = try #require(model[summary.id])
            #expect(summary.status == expected.status)
            let counts = summary.counts
            #expect(counts.total == Int64(expected.jobs.count))
            #expect(counts.pending == expected.count(.pending) && counts.running == expected.count(.running))
            #expect(counts.succeeded == expected.count(.succeeded) && counts.failed == expected.count(.failed))
            #expect(counts.cancelled == expected.count(.cancelled) && counts.expired == expected.count(.expired))
            #expect(summary.usage.completionTokens == 5 * Int(counts.succeeded))
            let all = ResultQuery(batch: summary.id, states: Set(JobState.allCases))
            let rows = try store.results(all, after: 0, limit: 100)
            #expect(rows.map(\.state) == expected.jobs.map(\.state))
            #expect(rows.map(\.attempt) == expected.jobs.map(\.attempt))
            let ended = try store.results(ResultQuery(batch: summary.id, order: .completion), after: 0, limit: 100)
            #expect(ended.map(\.finishSequence) == (0..<expected.finished.count).map { Int64($0 + 1) })
            #expect(Set(ended.map(\.line)) == Set(expected.finished))
        }
        let status = try store.systemStatus()
        let open = model.values.filter { $0.status == .inProgress }
        #expect(status.pendingJobs == open.reduce(0) { $0 + $1.count(.pending) })
        #expect(status.runningJobs == open.reduce(0) { $0 + $1.count(.running) })
        #expect(status.openBatches == Int64(open.count))
    }
}
