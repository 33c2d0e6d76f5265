// A batch that several hosts work on: its pieces, and what its metrics add up to.

import PostgresStore
import Runtime
import StoreContract
import TestSupport
import Testing

@Suite(.enabled(if: PostgresServer.programs != nil))
struct SharedBatchTests {
    private let database: PostgresDatabase

    init() throws { database = try PostgresDatabase() }

    /// A daemon's own store, with a life.
    private struct Host {
        let store: PostgresJobStore
        let lease: any DaemonLease
        let life: Incarnation

        func claim(_ limit: Int, of batch: BatchID, _ now: Milliseconds) throws -> [ClaimedJob] {
            try store.claim(limit, of: batch, incarnation: life, at: now)
        }
    }

    private func host(_ name: String) throws -> Host {
        let store = try PostgresJobStore(
            database.address, stateDirectory: "\(database.stateDirectory)/\(name)", patience: .seconds(60), at: 0)
        let lease = try store.acquireLease()
        return Host(store: store, lease: lease, life: try store.openIncarnation(lease: lease, at: 0).incarnation)
    }

    /// Enqueues groups of prompts with equal ranks, whose lines are far apart.
    private func enqueue(groups: Int, of size: Int, deadline: Milliseconds? = nil, _ store: PostgresJobStore) throws
        -> BatchID
    {
        let draft = try store.beginBatch(NewBatch(name: "f", deadline: deadline), at: 0)
        let jobs = (0..<groups * size).map { index in
            NewJob(
                line: Int64(index + 1), customID: "\(index)", endpoint: "/v1/completions", body: [123, 125],
                claimRank: Int64(index % groups))
        }
        _ = try draft.append(jobs)
        return try draft.commit(at: 0)
    }

    /// Each group is one host's, but for those where a part was taken from the other.
    @Test func alikePromptsStayTogether() throws {
        let hosts = try (0..<3).map { try host("\($0)") }
        let batch = try enqueue(groups: 100, of: 4, hosts[0].store)
        var random = SplitMix64(seed: 1)
        var served: [Int64: Set<Int>] = [:]
        var lines: [Int64] = []
        while try hosts[0].store.batch(batch).status == .inProgress {
            let index = Int.random(in: 0..<3, using: &random)
            let jobs = try hosts[index].claim(Int.random(in: 1...7, using: &random), of: batch, 10)
            for job in jobs {
                served[(job.line - 1) % 100, default: []].insert(index)
                lines.append(job.line)
            }
            #expect(try hosts[0].store.check().problems == [])
            _ = try hosts[index].store.finish(jobs.map { .success($0) }, incarnation: hosts[index].life, at: 11)
        }
        #expect(lines.sorted() == Array(1...400))
        let shared = served.values.count { $0.count > 1 }
        #expect(shared < 15, "\(shared) of 100 groups were several hosts'")
    }

    /// What a host was to do is done by others once it has ended, and an end of the batch reaches all of it.
    @Test(arguments: ["closed", "cancelled", "expired", "stuck"])
    func piecesOfABatchAreNobodysForEver(end: String) throws {
        let (first, second) = (try host("a"), try host("b"))
        let batch = try enqueue(groups: 30, of: 3, deadline: end == "expired" ? 1000 : nil, first.store)
        let claims = try [first, second].map { try $0.claim(2, of: batch, 10) }
        switch end {
        case "closed":
            try first.store.closeIncarnation(first.life, at: 20)
            var lines = claims[1].map(\.line)
            while case let jobs = try second.claim(9, of: batch, 21), !jobs.isEmpty { lines += jobs.map(\.line) }
            #expect(lines.sorted() == Array(1...90))
        case "stuck":
            // It lives and takes nothing more; all but what it has is taken from it.
            var lines = claims.flatMap { $0.map(\.line) }
            while case let jobs = try second.claim(9, of: batch, 21), !jobs.isEmpty { lines += jobs.map(\.line) }
            #expect(lines.sorted() == Array(1...90))
        case "cancelled":
            #expect(try second.store.cancel(batch, at: 20) == CancelReport(cancelled: 90, keptFinished: 0))
            #expect(try second.store.batch(batch).status == .cancelled)
        default:
            #expect(try second.store.advanceTime(to: 1000).expired == 86)
            _ = try first.store.finish(claims[0].map { .success($0) }, incarnation: first.life, at: 1001)
            _ = try second.store.finish(claims[1].map { .success($0) }, incarnation: second.life, at: 1001)
            #expect(try second.store.batch(batch).status == .expired)
        }
        #expect(try first.store.check().problems == [])
    }

    /// A server that took over has not heard of a life, and has given its number to another host.
    @Test func aNumberThatIsAnothersIsNotALife() throws {
        let (lost, other) = (try host("a"), try host("b"))
        let batch = try lost.store.enqueue(2)
        try database.execute(
            """
            DELETE FROM heartbeats; DELETE FROM daemons WHERE incarnation = \(lost.life.rawValue);
            ALTER TABLE daemons ALTER incarnation SET GENERATED BY DEFAULT;
            UPDATE daemons SET incarnation = \(lost.life.rawValue) WHERE incarnation = \(other.life.rawValue)
            """)
        #expect(try lost.store.renew(lost.life, within: 1000, at: 10) == .dead)
        #expect(try other.store.renew(lost.life, within: 1000, at: 10) == .alive)
        #expect(throws: JobStoreError.declaredDead(lost.life)) { try lost.claim(1, of: batch, 11) }
        #expect(try other.store.claim(1, of: batch, incarnation: lost.life, at: 11).count == 1)
    }

    /// What hosts do at the same time is done in that time, not in the sum of theirs.
    @Test func ratesOfHostsAddUp() throws {
        let hosts = [try host("a"), try host("b")]
        for (host, times) in [(hosts[0], [0, 1000]), (hosts[1], [500, 1500, 5000] as [Int64])] {
            for start in times.map({ Milliseconds(rawValue: $0) }) {
                var interval = MetricsInterval(incarnation: host.life, start: start, end: start + 1000)
                interval.generatedTokens = 300
                try host.store.record(interval)
            }
        }
        let summary = try hosts[0].store.metricsSummary(.period(from: 0, to: 10_000))
        #expect(summary.coveredMS == 3500 && summary.generatedTokens == 1500)
        #expect(try hosts[0].store.metricsSummary(.incarnation(hosts[0].life)).generatedTokensPerSecond == 300)
    }
}
