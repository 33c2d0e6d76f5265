// What every job store must do beyond "oldest first": names, priorities, fair shares, deadlines, pauses, further attempts.

import Runtime
import StoreContract
import Testing

@Suite
struct LifecycleConformance {
    private func life(_ store: any JobStore) throws -> (lease: any DaemonLease, incarnation: Incarnation) {
        let lease = try store.acquireLease()
        return (lease, try store.openIncarnation(lease: lease).incarnation)
    }

    private func batch(
        _ priority: Int64 = 0, deadline: Milliseconds? = nil, name: String? = nil
    ) -> NewBatch {
        NewBatch(name: "f", uniqueName: name, priority: BatchPriority(rawValue: priority)!, deadline: deadline)
    }

    // MARK: Names

    @Test(arguments: StoreKind.allCases)
    func aUniqueNameIsThatOfTheFirstBatchCommitted(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let slow = try store.beginBatch(batch(name: "nightly"), at: 1)
        _ = try slow.append([.sample(1)])
        #expect(try store.batch(named: "nightly") == nil, "a draft has no name yet")
        let quick = try store.enqueue(2, batch(name: "nightly"))
        #expect(try store.batch(named: "nightly") == quick)
        #expect(throws: JobStoreError.nameTaken("nightly", by: quick)) { _ = try slow.commit(at: 3) }
        try slow.discard()
        #expect(throws: JobStoreError.batchNotFound(slow.id)) { _ = try store.batch(slow.id) }
        #expect(try store.batch(quick).uniqueName == "nightly")
        // Files may be called alike, and the name of one is no unique name.
        let plain = try store.enqueue(1)
        _ = try store.enqueue(1)
        #expect(try store.batch(plain).uniqueName == nil)
        #expect(try store.batch(named: "prompts.jsonl") == nil)
        // The name stays the ended batch's.
        _ = try store.cancel(quick, at: 5)
        #expect(try store.batch(named: "nightly") == quick)
    }

    // MARK: Order

    @Test(arguments: StoreKind.allCases)
    func higherPrioritiesComeFirst(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let low = try store.enqueue(2, batch(-5))
        let normal = try store.enqueue(2, batch())
        let high = try store.enqueue(2, batch(1000))
        #expect(try store.batch(high).priority.rawValue == 1000)
        let order = try store.claimNext(6, incarnation: life, at: 20).map(\.ticket.batch)
        #expect(order == [high, high, normal, normal, low, low])
        let next = try store.retry(try finishAll(of: high, store, life), states: [.succeeded], at: 40)
        #expect(try store.batch(next).priority.rawValue == 1000)
    }

    private func finishAll(of batch: BatchID, _ store: any JobStore, _ life: Incarnation) throws -> BatchID {
        let jobs = try store.results(ResultQuery(batch: batch, states: [.running]), after: 0, limit: 99)
        _ = try store.finish(
            jobs.map {
                JobCompletion(
                    ticket: ClaimTicket(job: $0.id, batch: batch, attempt: $0.attempt),
                    outcome: .succeeded(Generation([Choice(text: "", finishReason: "stop")])))
            }, incarnation: life, at: 30)
        return batch
    }

    /// A batch of thousands does not keep one of ten waiting, whichever came first.
    @Test(arguments: StoreKind.allCases)
    func batchesOfAPriorityShareFairly(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let large = try store.enqueue(400)
        var claims: [BatchID: Int] = [:]
        func claim(_ count: Int) throws -> BatchID {
            let batch = try #require(try store.claimableBatch(among: nil)).id
            let jobs = try store.claim(count, of: batch, incarnation: life, at: 20)
            claims[batch, default: 0] += jobs.count
            return batch
        }
        for _ in 0..<10 { #expect(try claim(8) == large) }
        // Who comes later begins where the others stand: it neither waits for them nor they for it.
        let small = try store.enqueue(10)
        let middle = try store.enqueue(100)
        claims = [:]
        for _ in 0..<6 { _ = try claim(8) }
        #expect(claims == [large: 16, small: 10, middle: 16])
        for _ in 0..<6 { _ = try claim(8) }
        #expect(claims == [large: 40, small: 10, middle: 40])
    }

    @Test(arguments: StoreKind.allCases)
    func theLoadedModelCanBeAskedFor(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let first = try store.enqueue(1, model: "a")
        let second = try store.enqueue(1, model: "b")
        let third = try store.enqueue(1)
        #expect(try store.claimableBatch(among: nil, fitting: nil)?.id == first)
        #expect(try store.claimableBatch(among: nil, fitting: "b")?.id == second)
        #expect(try store.claimableBatch(among: nil, fitting: "c")?.id == third)
        #expect(try store.claimableBatch(among: [first], fitting: "b") == nil)
    }

    // MARK: Deadlines

    @Test(arguments: StoreKind.allCases)
    func deadlinesPullForwardFromHalfOfTheirTime(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let plain = try store.enqueue(50, batch(), at: 100)
        let late = try store.enqueue(50, batch(deadline: 1100), at: 100)
        let soon = try store.enqueue(50, batch(deadline: 700), at: 100)
        let important = try store.enqueue(1, batch(1), at: 100)
        func next(_ now: Milliseconds) throws -> BatchID? {
            _ = try store.advanceTime(to: now)
            return try store.claimableBatch(among: nil)?.id
        }
        #expect(try next(399) == important)
        _ = try store.claim(1, of: important, incarnation: life, at: 399)
        #expect(try next(399) == plain)
        _ = try store.claim(5, of: plain, incarnation: life, at: 399)
        _ = try store.claim(9, of: late, incarnation: life, at: 399)
        #expect(try store.advanceTime(to: 399).next == 400)
        #expect(try next(400) == soon)
        #expect(try store.claimableBatch(among: nil)?.rank.isUrgent == true)
        _ = try store.claim(40, of: soon, incarnation: life, at: 400)
        #expect(try next(600) == soon, "the earliest deadline, however much it has had")
        _ = try store.claim(40, of: soon, incarnation: life, at: 600)
        #expect(try next(600) == late)
    }

    @Test(arguments: StoreKind.allCases)
    func whatHasNotBeenClaimedByTheDeadlineExpires(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let id = try store.enqueue(5, batch(deadline: 1000), at: 100)
        _ = try store.advanceTime(to: 600)
        #expect(try store.advanceTime(to: 600).next == 1000)
        let jobs = try store.claim(2, of: id, incarnation: life, at: 999)
        #expect(try store.claim(2, of: id, incarnation: life, at: 1000).isEmpty, "the claim itself looks at the clock")
        let passed = try store.advanceTime(to: 1000)
        #expect(passed == TimeAdvance(expired: 3, closedBatches: [], next: nil))
        #expect(try store.advanceTime(to: 1001) == TimeAdvance())
        var summary = try store.batch(id)
        #expect(summary.status == .inProgress && summary.counts.expired == 3 && summary.counts.running == 2)
        #expect(summary.deadline == 1000)
        // What runs may end; what comes back does not begin again.
        _ = try store.finish([.success(jobs[0])], incarnation: life, at: 1100)
        _ = try store.release([jobs[1].ticket], incarnation: life, because: .stopping, at: 1100)
        let last = try store.advanceTime(to: 1101)
        #expect(last == TimeAdvance(expired: 1, closedBatches: [id], next: nil))
        summary = try store.batch(id)
        #expect(summary.status == .expired && summary.finished == 1101)
        #expect(summary.counts.succeeded == 1 && summary.counts.expired == 4 && summary.counts.pending == 0)
        let results = try store.allResults(ResultQuery(batch: id))
        #expect(results.map(\.state) == [.succeeded, .expired, .expired, .expired, .expired])
        #expect(results.dropFirst().allSatisfy { $0.outcome == .expired && $0.finished != nil })
        #expect(Set(results.compactMap(\.finishSequence)) == Set(1...5))
        // `retry` runs them in a batch without a deadline.
        let again = try store.retry(id, at: 2000)
        #expect(try store.batch(again).counts.pending == 4 && store.batch(again).deadline == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func aBatchThatIsDoneInTimeDoesNotExpire(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let id = try store.enqueue(1, batch(deadline: 1000), at: 100)
        let jobs = try store.claim(1, of: id, incarnation: life, at: 200)
        _ = try store.advanceTime(to: 1500)
        _ = try store.finish([.success(jobs[0])], incarnation: life, at: 1600)
        #expect(try store.batch(id).status == .completed)
        #expect(try store.advanceTime(to: 1700).next == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func manyJobsExpireAtOnce(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let count: Int64 = kind == .memory ? 50 : 5000
        let id = try store.enqueue(count, batch(deadline: 1000), at: 100)
        #expect(try store.advanceTime(to: 5000) == TimeAdvance(expired: count, closedBatches: [id], next: nil))
        #expect(try store.batch(id).counts.expired == count)
        let draft = try store.beginBatch(batch(deadline: 1000), at: 100)
        _ = try draft.append([.sample(1)])
        #expect(try store.advanceTime(to: 5000) == TimeAdvance(), "a draft is not in the queue")
        let late = try draft.commit(at: 5001)
        #expect(try store.advanceTime(to: 5001).closedBatches == [late])
    }

    // MARK: Pause

    @Test(arguments: StoreKind.allCases)
    func aPausedBatchGivesNothingUntilItIsResumed(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let first = try store.enqueue(50)
        let second = try store.enqueue(50)
        let running = try store.claim(1, of: first, incarnation: life, at: 20)
        try store.pause(first, at: 30)
        try store.pause(first, at: 31)
        #expect(try store.batch(first).paused == 30)
        #expect(try store.claim(1, of: first, incarnation: life, at: 32).isEmpty)
        #expect(try store.claimableBatch(among: nil)?.id == second)
        #expect(try store.claimableBatch(among: [first]) == nil)
        _ = try store.claim(20, of: second, incarnation: life, at: 33)
        #expect(try store.finish([.success(running[0])], incarnation: life, at: 34).finished == 1, "what runs goes on")
        try store.resume(first)
        try store.resume(first)
        #expect(try store.batch(first).paused == nil)
        // Its pause is no claim to what the others had meanwhile.
        #expect(try store.claimableBatch(among: nil)?.id == first)
        _ = try store.claim(1, of: first, incarnation: life, at: 35)
        #expect(try store.claimableBatch(among: nil)?.id == second)
        _ = try store.cancel(first, at: 36)
        #expect(throws: JobStoreError.batchAlreadyFinished(first, .cancelled)) { try store.pause(first, at: 37) }
        #expect(throws: JobStoreError.batchAlreadyFinished(first, .cancelled)) { try store.resume(first) }
        let unknown = BatchID(rawValue: 99)
        #expect(throws: JobStoreError.batchNotFound(unknown)) { try store.pause(unknown, at: 1) }
    }

    @Test(arguments: StoreKind.allCases)
    func aPausedQueueGivesNothingAtAll(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let first = try store.enqueue(5)
        let second = try store.enqueue(5)
        try store.pause(nil, at: 20)
        try store.pause(nil, at: 21)
        try store.pause(second, at: 22)
        #expect(try store.systemStatus().paused == 20)
        #expect(try store.claimableBatch(among: nil) == nil)
        #expect(try store.claim(1, of: first, incarnation: life, at: 23).isEmpty)
        try store.resume(nil)
        #expect(try store.systemStatus().paused == nil)
        #expect(
            try store.claimNext(99, incarnation: life, at: 24).map(\.ticket.batch) == Array(repeating: first, count: 5))
        #expect(try store.batch(second).paused == 22)
    }

    @Test(arguments: StoreKind.allCases)
    func deadlinesHoldDuringAPause(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let id = try store.enqueue(3, batch(deadline: 1000), at: 100)
        try store.pause(id, at: 200)
        try store.pause(nil, at: 200)
        #expect(try store.advanceTime(to: 1000).closedBatches == [id])
        #expect(try store.batch(id).status == .expired)
    }

    // MARK: Further attempts

    @Test(arguments: StoreKind.allCases)
    func whatFailedWaitsTwiceAsLongEachTimeUntilItsLimit(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let id = try store.enqueue(2)
        let backoff = Backoff(firstMS: 100, longestMS: 150)
        func fail(_ now: Milliseconds) throws -> ReleaseReport {
            let jobs = try store.claim(1, of: id, incarnation: life, at: now)
            #expect(jobs.map(\.line) == [1], "\(now)")
            return try store.release(
                jobs.map(\.ticket), incarnation: life,
                because: .badOutput(maxBadOutputs: 3, backoff: backoff, because: "token -1"), at: now)
        }
        #expect(try fail(1000).requeued == 1)
        #expect(try store.nextAttempt(among: nil) == 1100 && store.nextAttempt(among: []) == nil)
        #expect(try store.anotherAttempt(of: id) == AnotherAttempt(jobs: 1, next: 1100))
        #expect(try store.advanceTime(to: 1099).next == 1100)
        #expect(try store.batch(id).counts.pending == 2)
        // The other job may run meanwhile.
        let other = try store.claimNext(9, incarnation: life, at: 1099)
        #expect(other.map(\.line) == [2])
        #expect(try store.claimableBatch(among: nil) == nil)
        #expect(try store.advanceTime(to: 1100).next == nil)
        #expect(try fail(1100).requeued == 1)
        try store.pause(id, at: 1200)
        #expect(try store.nextAttempt(among: nil) == nil, "a paused batch is not waited for")
        try store.resume(id)
        #expect(try store.nextAttempt(among: nil) == 1250, "never longer than the longest")
        #expect(try store.advanceTime(to: 1250).next == nil)
        let last = try fail(1250)
        #expect(last == ReleaseReport(requeued: 0, failed: 1, closedBatches: []))
        let results = try store.allResults(ResultQuery(batch: id, states: [.failed]))
        guard case .failed(let error) = try #require(results.first).outcome else { throw Unexpected() }
        #expect(error.code == JobError.badOutput && error.message.contains("token -1") && results[0].attempt == 3)
        #expect(
            try store.failures(of: id)
                == [FailureGroup(code: JobError.badOutput, jobs: 1, attempts: 3, line: 1, message: error.message)])
        _ = try store.finish([.success(other[0])], incarnation: life, at: 1300)
        #expect(try store.batch(id).status == .completed)
    }

    @Test(arguments: StoreKind.allCases)
    func eachCauseHasALimitOfItsOwn(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let id = try store.enqueue(1)
        let reasons: [ReleaseReason] = [
            .badOutput(maxBadOutputs: 2, because: "a"), .crash(maxCrashes: 2, because: "b"), .stopping, .stopping,
        ]
        for reason in reasons {
            let jobs = try store.claim(1, of: id, incarnation: life, at: 20)
            #expect(
                try store.release(jobs.map(\.ticket), incarnation: life, because: reason, at: 20).requeued == 1)
        }
        let jobs = try store.claim(1, of: id, incarnation: life, at: 21)
        #expect(jobs[0].crashes == 1 && jobs[0].ticket.attempt == 5)
        let crash = ReleaseReason.crash(maxCrashes: 2, because: "device fault in decode step")
        let report = try store.release(jobs.map(\.ticket), incarnation: life, because: crash, at: 22)
        #expect(report.failed == 1 && report.closedBatches == [id])
        let failure = try #require(try store.failures(of: id).first)
        #expect(failure.code == JobError.crashedDaemonRepeatedly)
        #expect(failure.message.contains("device fault in decode step"))
    }

    @Test(arguments: StoreKind.allCases)
    func aJobThatWaitsForAnotherAttemptCanBeCancelledAndExpires(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        for deadline in [nil, Milliseconds(rawValue: 1000)] {
            let id = try store.enqueue(3, batch(deadline: deadline), at: 100)
            let jobs = try store.claim(2, of: id, incarnation: life, at: 200)
            _ = try store.release(
                [jobs[0].ticket], incarnation: life,
                because: .crash(maxCrashes: 3, backoff: Backoff(firstMS: 2000, longestMS: 2000)), at: 300)
            if deadline == nil {
                #expect(try store.cancel(id, at: 400) == CancelReport(cancelled: 3, keptFinished: 0))
                #expect(try store.batch(id).status == .cancelled && store.advanceTime(to: 9000).next == nil)
            } else {
                _ = try store.advanceTime(to: 1000)
                _ = try store.finish([.success(jobs[1])], incarnation: life, at: 1100)
                #expect(try store.batch(id).counts.expired == 1, "the other one's time has not come")
                #expect(try store.advanceTime(to: 2300).closedBatches == [id])
                #expect(try store.batch(id).counts.expired == 2)
            }
        }
    }
}
