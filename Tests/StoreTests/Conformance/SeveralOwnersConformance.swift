// What daemons of several hosts may rely on: a job is one's at a time, a life that was declared dead can do nothing, and nobody
// is declared dead by who was silent himself.

import Foundation
import PostgresStore
import Runtime
import StoreContract
import Synchronization
import TestSupport
import Testing

@Suite(.enabled(if: PostgresServer.programs != nil))
struct SeveralOwnersConformance {
    /// Milliseconds after which who is not heard of is dead.
    private static let limit: Int64 = 1000

    private let database: PostgresDatabase

    init() throws { database = try PostgresDatabase() }

    /// A daemon's own store, with a life that begins at `now`.
    private struct Host {
        let store: PostgresJobStore
        let lease: any DaemonLease
        let life: Incarnation

        func renew(_ now: Milliseconds) throws -> Bool {
            try store.renew(life, within: SeveralOwnersConformance.limit, at: now)
        }

        func reap(_ now: Milliseconds) throws -> [ReapedLife] {
            try store.reapDead(by: life, within: SeveralOwnersConformance.limit, maxCrashes: 3, at: now)
        }

        func claim(_ limit: Int, of batch: BatchID, _ now: Milliseconds) throws -> [ClaimedJob] {
            try store.claim(limit, of: batch, incarnation: life, at: now)
        }
    }

    private func host(_ name: String, at now: Milliseconds = 0) throws -> Host {
        let store = try PostgresJobStore(
            database.address, stateDirectory: "\(database.stateDirectory)/\(name)", patience: .seconds(60), at: 0)
        let lease = try store.acquireLease()
        return Host(store: store, lease: lease, life: try store.openIncarnation(lease: lease, at: now).incarnation)
    }

    /// Heartbeats of hosts, from one time to another.
    private func beat(_ hosts: [Host], _ times: ClosedRange<Int64>) throws {
        for time in stride(from: times.lowerBound, through: times.upperBound, by: 200) {
            for host in hosts { #expect(try host.renew(Milliseconds(rawValue: time))) }
        }
    }

    @Test func aJobIsOnesAtATime() throws {
        let hosts = try (0..<3).map { try host("\($0)") }
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

    @Test func whoWasDeclaredDeadCanDoNothing() throws {
        let (silent, judge) = (try host("a"), try host("b"))
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
        #expect(try silent.claim(5, of: batch, 2300).isEmpty)
        let again = try judge.claim(9, of: batch, 2300)
        #expect(again.map(\.line) == [1, 2, 3, 4, 5] && again.map(\.ticket.attempt) == [2, 2, 2, 1, 1])
        #expect(again.map(\.crashes) == [0, 0, 0, 0, 0])
        #expect(try judge.store.finish(again.map { .success($0) }, incarnation: judge.life, at: 2400).finished == 5)
        // With a life anew it goes on.
        let next = try silent.store.openIncarnation(lease: silent.lease, at: 2500)
        #expect(next.orphans.requeued == 0)
        #expect(try silent.store.renew(next.incarnation, within: Self.limit, at: 2600))
    }

    /// Silence may be the store's, or the judge's own.
    @Test func nobodyIsJudgedByWhoWasSilent() throws {
        let (silent, judge) = (try host("a"), try host("b"))
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
    @Test func lateResultsCountWhileTheLeaseStands() throws {
        let (silent, other) = (try host("a"), try host("b"))
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
    @Test func afterACrashOfTheServerTimesBeginAnew() throws {
        let (silent, judge) = (try host("a"), try host("b"))
        let batch = try silent.store.enqueue(1)
        _ = try silent.claim(1, of: batch, 10)
        try beat([judge], 200...2000)
        try database.execute("TRUNCATE heartbeats")
        try beat([judge], 2200...3000)
        #expect(try judge.reap(3000).isEmpty)
        try beat([judge], 3200...4200)
        #expect(try judge.reap(4200).map(\.incarnation) == [silent.life])
    }

    /// A job that takes whole hosts with it is found out; the first death is nobody's fault.
    @Test func aJobIsBlamedFromItsSecondHostOn() throws {
        let judge = try host("judge")
        let batch = try judge.store.enqueue(1)
        var crashes: [Int] = []
        var now: Int64 = 0
        for name in ["a", "b", "c", "d"] {
            let host = try host(name, at: Milliseconds(rawValue: now))
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
    @Test func aRestartTakesItsOwnAtOnce() throws {
        let (first, other) = (try host("a"), try host("b"))
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
    @Test func whatWasClaimedUnheardIsFound() throws {
        let host = try host("a")
        let batch = try host.store.enqueue(3)
        let heard = try host.claim(1, of: batch, 10).map(\.ticket)
        _ = try host.claim(2, of: batch, 10)
        let unheard = try host.store.held(by: host.life).filter { !heard.contains($0) }
        #expect(unheard.map(\.attempt) == [1, 1])
        #expect(try host.store.release(unheard, incarnation: host.life, because: .stopping, at: 11).requeued == 2)
        #expect(try host.claim(9, of: batch, 12).map(\.line) == [2, 3])
    }

    @Test func aCancelIsOfAllHosts() throws {
        let hosts = [try host("a"), try host("b")]
        let batch = try hosts[0].store.enqueue(6)
        let claims = try hosts.map { try $0.claim(2, of: batch, 10) }
        #expect(try hosts[0].store.cancel(batch, at: 20) == CancelReport(cancelled: 6, keptFinished: 0))
        for (host, jobs) in zip(hosts, claims) {
            #expect(try host.store.finish(jobs.map { .success($0) }, incarnation: host.life, at: 21).stale.count == 2)
        }
        #expect(try hosts[1].store.batch(batch).counts.cancelled == 6)
    }
}
