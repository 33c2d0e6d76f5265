// What daemons of several hosts may rely on: a job is one's at a time, a life that was declared dead can do nothing, and nobody
// is declared dead by who was silent himself.

import Glibc
import Runtime
import StoreContract
import Synchronization
import TestSupport
import Testing

@Suite
struct SeveralOwnersConformance {
    /// Milliseconds after which who is not heard of is dead.
    private static let limit: Int64 = 1000

    /// A daemon's own store, with a life that begins at `now`.
    private struct Host {
        let store: any ServedStore
        let membership: any Membership
        let lease: any DaemonLease
        let life: Incarnation

        func renew(_ now: Milliseconds) throws -> Bool {
            try membership.renew(life, within: SeveralOwnersConformance.limit, at: now) != .dead
        }

        func reap(_ now: Milliseconds) throws -> [ReapedLife] {
            try membership.reapDead(by: life, within: SeveralOwnersConformance.limit, maxCrashes: 3, at: now)
        }

        func claim(_ limit: Int, of batch: BatchID, _ now: Milliseconds) throws -> [ClaimedJob] {
            try store.claim(limit, of: batch, incarnation: life, at: now)
        }
    }

    private func host(_ name: String, _ queue: SharedQueue, at now: Milliseconds = 0) throws -> Host {
        let store = try queue.store(of: name)
        let lease = try store.acquireLease()
        return Host(
            store: store, membership: try #require(store.membership), lease: lease,
            life: try store.openIncarnation(lease: lease, at: now).incarnation)
    }

    /// Heartbeats of hosts, from one time to another.
    private func beat(_ hosts: [Host], _ times: ClosedRange<Int64>) throws {
        for time in stride(from: times.lowerBound, through: times.upperBound, by: 200) {
            for host in hosts { #expect(try host.renew(Milliseconds(rawValue: time))) }
        }
    }

    @Test(arguments: SharedQueue.Kind.allCases)
    func aJobIsOnesAtATime(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let hosts = try (0..<3).map { try host("\($0)", queue) }
        let batch = try hosts[0].store.enqueue(300)
        let claimed = Mutex<[(host: Int, line: Int64)]>([])
        let threads = hosts.enumerated().map { index, host in
            onThread {
                while let jobs = try? host.claim(7, of: batch, 10), !jobs.isEmpty {
                    claimed.withLock { $0 += jobs.map { (index, $0.line) } }
                    guard let report = try? host.store.finish(jobs.map { .success($0) }, incarnation: host.life, at: 11)
                    else { break }
                    if report.finished != jobs.count { break }
                }
            }
        }
        for thread in threads { thread.wait() }
        let lines = claimed.withLock { $0.map(\.line) }
        #expect(lines.sorted() == Array(1...300))
        let summary = try hosts[1].store.batch(batch)
        #expect(summary.status == .completed && summary.counts.succeeded == 300)
        let order = try hosts[2].store.allResults(ResultQuery(batch: batch, order: .completion))
        #expect(order.map(\.finishSequence) == (1...300).map { $0 })
    }

    @Test(arguments: SharedQueue.Kind.allCases)
    func whoWasDeclaredDeadCanDoNothing(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (silent, judge) = (try host("a", queue), try host("b", queue))
        let batch = try silent.store.enqueue(5)
        let lost = try silent.claim(3, of: batch, 10)
        try beat([judge], 100...1000)
        // Not yet: a whole time has not passed.
        #expect(try judge.reap(1000).isEmpty && silent.renew(1000))
        try beat([judge], 1200...2200)
        let reaped = try judge.reap(2200)
        #expect(reaped.map(\.incarnation) == [silent.life] && reaped[0].jobs.requeued == 3)
        #expect(try judge.reap(2300).isEmpty)
        // It computed on, and comes back.
        #expect(try !silent.renew(2300))
        let tickets = lost.map(\.ticket)
        #expect(try silent.store.revoked(among: tickets, incarnation: silent.life) == tickets)
        #expect(try silent.store.finish(lost.map { .success($0) }, incarnation: silent.life, at: 2300).stale == tickets)
        #expect(try silent.store.release(tickets, incarnation: silent.life, because: .stopping, at: 2300).requeued == 0)
        #expect(throws: JobStoreError.declaredDead(silent.life)) { try silent.claim(5, of: batch, 2300) }
        let again = try judge.claim(9, of: batch, 2300)
        #expect(again.map(\.line) == [1, 2, 3, 4, 5] && again.map(\.ticket.attempt) == [2, 2, 2, 1, 1])
        #expect(again.map(\.crashes) == [0, 0, 0, 0, 0])
        #expect(try judge.store.finish(again.map { .success($0) }, incarnation: judge.life, at: 2400).finished == 5)
        // With a life anew it goes on.
        let next = try silent.store.openIncarnation(lease: silent.lease, at: 2500)
        #expect(next.orphans.requeued == 0)
        #expect(try silent.membership.renew(next.incarnation, within: Self.limit, at: 2600) == .alive)
    }

    /// Silence may be the store's, or the judge's own.
    @Test(arguments: SharedQueue.Kind.allCases)
    func nobodyIsJudgedByWhoWasSilent(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (silent, judge) = (try host("a", queue), try host("b", queue))
        let batch = try silent.store.enqueue(1)
        _ = try silent.claim(1, of: batch, 10)
        // Both are cut off for long, and the judge is back first.
        #expect(try judge.renew(50_000) && judge.reap(50_000).isEmpty)
        try beat([judge], 50_200...50_800)
        #expect(try judge.reap(50_800).isEmpty)
        try beat([judge], 51_000...51_200)
        #expect(try judge.reap(51_200).map(\.incarnation) == [silent.life])
    }

    /// As long as nobody has judged, late results count: an outage loses nothing.
    @Test(arguments: SharedQueue.Kind.allCases)
    func lateResultsCountWhileTheLeaseStands(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (silent, other) = (try host("a", queue), try host("b", queue))
        let batch = try silent.store.enqueue(2)
        let jobs = try silent.claim(2, of: batch, 10)
        #expect(try other.claim(2, of: batch, 100_000).isEmpty)
        let completions = jobs.map { JobCompletion.success($0) }
        #expect(try silent.store.finish(completions, incarnation: silent.life, at: 900_000).finished == 2)
        // Said again, since the answer was lost.
        #expect(
            try silent.store.finish(completions, incarnation: silent.life, at: 900_100)
                == FinishReport(finished: 2, stale: [], closedBatches: []))
        #expect(try silent.store.batch(batch).counts.succeeded == 2)
    }

    /// A crash of the server forgets who was heard of: everybody's time begins anew.
    @Test(arguments: SharedQueue.Kind.allCases)
    func afterACrashOfTheServerTimesBeginAnew(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (silent, judge) = (try host("a", queue), try host("b", queue))
        let batch = try silent.store.enqueue(1)
        _ = try silent.claim(1, of: batch, 10)
        try beat([judge], 200...2000)
        try queue.forgetHeartbeats()
        try beat([judge], 2200...3000)
        #expect(try judge.reap(3000).isEmpty)
        try beat([judge], 3200...4200)
        #expect(try judge.reap(4200).map(\.incarnation) == [silent.life])
    }

    /// A job that takes whole hosts with it is found out; the first death is nobody's fault.
    @Test(arguments: SharedQueue.Kind.allCases)
    func aJobIsBlamedFromItsSecondHostOn(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let judge = try host("judge", queue)
        let batch = try judge.store.enqueue(1)
        var crashes: [Int] = []
        var now: Int64 = 0
        for name in ["a", "b", "c", "d"] {
            let host = try host(name, queue, at: Milliseconds(rawValue: now))
            crashes += try host.claim(1, of: batch, Milliseconds(rawValue: now)).map(\.crashes)
            try beat([judge], now...now + 2000)
            #expect(try judge.reap(Milliseconds(rawValue: now + 2000)).count == 1)
            now += 2200
        }
        #expect(crashes == [0, 0, 1, 2])
        let summary = try judge.store.batch(batch)
        #expect(summary.counts.failed == 1 && summary.status == .completed)
        #expect(try judge.store.failures(of: batch).map(\.code) == [JobError.crashedDaemonRepeatedly])
    }

    /// A restart takes back what its own former life had, at once, and nothing of others.
    @Test(arguments: SharedQueue.Kind.allCases)
    func aRestartTakesItsOwnAtOnce(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (first, other) = (try host("a", queue), try host("b", queue))
        let batch = try first.store.enqueue(4)
        let (mine, others) = (try first.claim(2, of: batch, 10), try other.claim(2, of: batch, 10))
        let next = try first.store.openIncarnation(lease: first.lease, at: 11)
        #expect(next.orphans.requeued == 2)
        #expect(try first.store.held(by: first.life).isEmpty)
        #expect(try first.store.held(by: other.life) == others.map(\.ticket))
        let report = try other.store.finish(others.map { .success($0) }, incarnation: other.life, at: 12)
        #expect(report.finished == 2)
        #expect(try first.store.finish(mine.map { .success($0) }, incarnation: first.life, at: 12).stale.count == 2)
    }

    /// Whoever does not hear of his claim finds it.
    @Test(arguments: SharedQueue.Kind.allCases)
    func whatWasClaimedUnheardIsFound(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let host = try host("a", queue)
        let batch = try host.store.enqueue(3)
        let heard = try host.claim(1, of: batch, 10).map(\.ticket)
        _ = try host.claim(2, of: batch, 10)
        let unheard = try host.store.held(by: host.life).filter { !heard.contains($0) }
        #expect(unheard.map(\.attempt) == [1, 1])
        #expect(try host.store.release(unheard, incarnation: host.life, because: .stopping, at: 11).requeued == 2)
        #expect(try host.claim(9, of: batch, 12).map(\.line) == [2, 3])
    }

    @Test(arguments: SharedQueue.Kind.allCases)
    func aCancelIsOfAllHosts(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let hosts = [try host("a", queue), try host("b", queue)]
        let batch = try hosts[0].store.enqueue(6)
        let claims = try hosts.map { try $0.claim(2, of: batch, 10) }
        #expect(try hosts[0].store.cancel(batch, at: 20) == CancelReport(cancelled: 6, keptFinished: 0))
        for (host, jobs) in zip(hosts, claims) {
            #expect(try host.store.finish(jobs.map { .success($0) }, incarnation: host.life, at: 21).stale.count == 2)
        }
        #expect(try hosts[1].store.batch(batch).counts.cancelled == 6)
    }

    /// Daemons complete cancellations whose caller is gone, not those that are under way.
    @Test(arguments: SharedQueue.Kind.allCases)
    func aCancelThatIsUnderWayIsItsCallersAlone(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (person, daemon) = (try queue.store(of: "a"), try queue.store(of: "b"))
        let batch = try person.enqueue(9000)
        let isOver = Mutex(false)
        let completing = onThread {
            while !isOver.withLock({ $0 }) {
                _ = try? daemon.completeCancellations(at: 2)
                usleep(200)
            }
        }
        let report = Result { try person.cancel(batch, at: 1) }
        isOver.withLock { $0 = true }
        completing.wait()
        #expect(try report.get() == CancelReport(cancelled: 9000, keptFinished: 0))
    }

    // MARK: - Models

    /// A host that cannot use a model neither delays nor fails the batches of those that can.
    @Test(arguments: SharedQueue.Kind.allCases)
    func troubleWithAModelIsOfOneHost(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (bare, able) = (try host("a", queue), try host("b", queue))
        let batch = try bare.store.enqueue(4, model: "m")
        func next(_ host: Host) throws -> BatchID? {
            try host.store.claimableBatch(among: nil, fitting: nil, for: host.life)?.id
        }
        let backoff = Backoff(firstMS: 100, longestMS: 100)
        for time in [Milliseconds(rawValue: 10), 200] {
            #expect(try next(bare) == batch)
            try bare.store.postpone(batch, by: bare.life, limit: 2, backoff: backoff, because: "gone", at: time)
            #expect(try next(bare) == nil && next(able) == batch)
            #expect(try bare.claim(1, of: batch, time).isEmpty)
            _ = try bare.store.advanceTime(to: time + 150)
        }
        // It has given up, and that is nobody else's.
        #expect(try bare.store.unusableModel(of: batch, limit: 2) == nil)
        #expect(try bare.store.batch(batch).modelTrouble?.reason.hasSuffix(": gone") == true)
        let jobs = try able.claim(1, of: batch, 400)
        _ = try able.store.finish(jobs.map { .success($0) }, incarnation: able.life, at: 401)
        #expect(try next(bare) == nil, "what one host can do does not mend the other")
        // A restart does not mend it either.
        let again = try bare.store.openIncarnation(lease: bare.lease, at: 500).incarnation
        #expect(try bare.store.claimableBatch(among: nil, fitting: nil, for: again) == nil)
        // When all that have the model have given up, its jobs fail.
        try able.store.postpone(batch, by: able.life, limit: 1, backoff: backoff, because: "broken", at: 600)
        #expect(try able.store.unusableModel(of: batch, limit: 1)?.reason == "gone")
        #expect(try next(able) == batch && able.claim(9, of: batch, 601).count == 3)
    }

    /// Whoever does not hear that a failure was counted tells it again.
    @Test(arguments: SharedQueue.Kind.allCases)
    func aFailureThatIsToldTwiceIsOne(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let host = try host("a", queue)
        let batches = try (0..<2).map { _ in try host.store.enqueue(1, model: "m") }
        let backoff = Backoff(firstMS: 100, longestMS: 100)
        func fail(_ now: Milliseconds) throws -> Int {
            try host.store.postpone(batches[0], by: host.life, limit: 3, backoff: backoff, because: "gone", at: now)
        }
        #expect(try fail(10) == 1 && fail(10) == 1)
        _ = try host.store.advanceTime(to: 200)
        #expect(try fail(10) == 1, "however late")
        #expect(try fail(300) == 2 && fail(300) == 2)
        #expect(try batches.map { try host.store.batch($0).modelTrouble?.times } == [2, 2])
        _ = try host.store.advanceTime(to: 500)
        #expect(try fail(600) == 3 && fail(600) == 3)
        #expect(try batches.map { try host.store.unusableModel(of: $0, limit: 3)?.times } == [3, 3])
    }

    /// A daemon of some batches only is asked about these.
    @Test(arguments: SharedQueue.Kind.allCases)
    func whoWorksOnOtherBatchesKeepsNoneFromFailing(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (able, scoped) = (try host("a", queue), try host("b", queue))
        try scoped.membership.noteScoped(scoped.life)
        func fail(_ batch: BatchID, on host: Host) throws {
            try host.store.postpone(batch, by: host.life, limit: 1, backoff: .none, because: "broken", at: 10)
        }
        let batch = try able.store.enqueue(1, model: "m")
        try fail(batch, on: able)
        #expect(try able.store.unusableModel(of: batch, limit: 1)?.reason == "broken")
        // Its own one fails only where both say so.
        let own = try able.store.enqueue(1, model: "n")
        try fail(own, on: scoped)
        #expect(try scoped.store.unusableModel(of: own, limit: 1) == nil)
        try fail(own, on: able)
        #expect(try scoped.store.unusableModel(of: own, limit: 1)?.reason == "broken")
    }

    /// What is in flight elsewhere may come back.
    @Test(arguments: SharedQueue.Kind.allCases)
    func whatOthersHoldIsSeen(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (first, second) = (try host("a", queue), try host("b", queue))
        let batch = try first.store.enqueue(2)
        let other = try first.store.enqueue(2)
        func held(_ host: Host, _ among: Set<BatchID>? = nil) throws -> Bool {
            try host.membership.othersHoldJobs(than: host.life, among: among)
        }
        #expect(try !held(first) && !held(second))
        let jobs = try first.claim(2, of: batch, 10)
        #expect(try !held(first) && held(second) && held(second, [batch, other]) && !held(second, [other]))
        _ = try first.store.finish(jobs.map { .success($0) }, incarnation: first.life, at: 11)
        #expect(try !held(second))
    }

    /// Hosts that do not have a model wait for those that do, for ever if need be.
    @Test(arguments: SharedQueue.Kind.allCases)
    func aHostWithoutTheModelFailsNothing(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (bare, other) = (try host("a", queue), try host("b", queue))
        let batch = try bare.store.enqueue(1, model: "m")
        for host in [bare, other] {
            for time in (1...9).map({ Milliseconds(rawValue: $0) }) {
                try host.store.postpone(
                    batch, by: host.life, limit: nil, backoff: .none, because: "no such", at: time)
            }
        }
        #expect(try bare.store.unusableModel(of: batch, limit: 1) == nil)
        // One that has it and cannot use it decides.
        try other.store.postpone(batch, by: other.life, limit: 1, backoff: .none, because: "broken", at: 10)
        #expect(
            try bare.store.unusableModel(of: batch, limit: 1) == ModelTrouble(times: 10, reason: "broken", until: nil))
    }

    /// A model is loaded once if that is enough.
    @Test(arguments: SharedQueue.Kind.allCases)
    func aModelThatAnotherHasLoadedIsLeftToHim(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (loaded, other) = (try host("a", queue), try host("b", queue))
        let batch = try loaded.store.enqueue(3, model: "m")
        try loaded.store.noteLoaded("m", on: "host", incarnation: loaded.life)
        for host in [loaded, other] { #expect(try host.membership.renew(host.life, within: 60_000, at: nil) == .alive) }
        func next(_ host: Host) throws -> BatchID? {
            try host.store.claimableBatch(among: nil, fitting: nil, for: host.life)?.id
        }
        #expect(try next(loaded) == batch && next(other) == nil)
        // Nobody else would do it in the place of one that works on this batch only.
        #expect(try other.store.claimableBatch(among: [batch], fitting: nil, for: other.life)?.id == batch)
        let large = try loaded.store.enqueue(300, model: "m")
        #expect(try next(other) == large, "there is enough for both")
        #expect(try loaded.claim(100, of: large, 10).count == 100 && next(other) == nil)
        // Whoever has it cannot use it, or takes no more, or is silent.
        try loaded.store.postpone(batch, by: loaded.life, limit: nil, backoff: .none, because: "no", at: 10)
        #expect(try next(other) == batch)
        try loaded.membership.setDraining(true, of: loaded.life)
        #expect(try next(other) == batch)
    }

    // MARK: - Hosts

    @Test(arguments: SharedQueue.Kind.allCases)
    func peopleDrainAndRemoveHosts(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (first, second) = (try host("a", queue), try host("b", queue))
        let batch = try first.store.enqueue(3)
        _ = try first.claim(2, of: batch, 10)
        #expect(try second.membership.hosts().map(\.life.id) == [first.life, second.life])
        #expect(try second.membership.hosts().map(\.running) == [2, 0])
        let membership = second.membership
        try membership.setDraining(true, of: first.life)
        #expect(try first.membership.renew(first.life, within: Self.limit, at: nil) == .draining)
        #expect(try second.membership.hosts()[0].state == .draining)
        // The next life of the same host takes no jobs either, until a person wants it.
        let next = try first.store.openIncarnation(lease: first.lease, at: 20).incarnation
        #expect(try first.membership.renew(next, within: Self.limit, at: nil) == .draining)
        try membership.setDraining(false, of: next)
        #expect(try first.membership.renew(next, within: Self.limit, at: nil) == .alive)
        let taken = try first.store.claim(1, of: batch, incarnation: next, at: 30)
        let removed = try membership.remove(next, maxCrashes: 3, at: 40)
        #expect(removed.jobs.requeued == 1 && removed.incarnation == next)
        #expect(try first.membership.renew(next, within: Self.limit, at: nil) == .dead)
        #expect(try first.store.finish(taken.map { .success($0) }, incarnation: next, at: 41).stale.count == 1)
        #expect(try second.membership.hosts().map(\.life.id) == [second.life])
        #expect(throws: JobStoreError.self) { try membership.remove(Incarnation(rawValue: 99), maxCrashes: 3, at: 50) }
    }

    @Test(arguments: SharedQueue.Kind.allCases)
    func whetherADaemonRunsIsKnownOfAllHosts(kind: SharedQueue.Kind) throws {
        let queue = try SharedQueue(kind)
        let (here, elsewhere) = (try host("a", queue), try host("b", queue))
        here.lease.release()
        try here.store.closeIncarnation(here.life, at: 5)
        #expect(try here.store.daemonPresence() == .absent, "nobody was heard of lately")
        #expect(try elsewhere.membership.renew(elsewhere.life, within: 60_000, at: nil) == .alive)
        #expect(try here.store.daemonPresence() == .running(pid: nil))
        try elsewhere.store.closeIncarnation(elsewhere.life, at: 6)
        #expect(try here.store.daemonPresence() == .absent)
    }
}
