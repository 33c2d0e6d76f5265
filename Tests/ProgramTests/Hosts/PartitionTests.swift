// A host that the network cuts off from the server and from the others, for a while.

import Foundation
import TestSupport
import Testing

@Suite(
    "A host that is cut off",
    .enabled(if: PostgresServer.programs != nil),
    .enabled(if: CutNetwork.isPossible, "network namespaces: they take root, and ip of iproute2"))
struct PartitionTests {
    private let network: CutNetwork
    private let queue: SharedQueue

    init() throws {
        network = try CutNetwork()
        let server = try PostgresServer(["listen_addresses = '\(network.address)'"])
        let access = try String(contentsOfFile: server.accessFile, encoding: .utf8)
        let entry = "host all all 10.0.0.0/8 trust\n"
        try (access + entry).write(toFile: server.accessFile, atomically: false, encoding: .utf8)
        try server.sql("SELECT pg_reload_conf()")
        queue = try SharedQueue(on: server)
    }

    private static let pace = ["TTBATCH_TEST_FAILPOINTS": "session.claimed=pause:100,writer.ended=pause:40"]

    /// The host that is cut off, 1, and the one that is not, 2.
    private func hosts(deadAfter seconds: Int) throws -> (HostDaemon, HostDaemon) {
        let settings = ["daemon.dead_after_s=\(seconds)", "daemon.commit_interval_ms=20"]
        return (
            try HostDaemon(
                1, of: queue, settings, at: "postgres://tests@\(network.address)/\(queue.name)",
                environment: Self.pace, wrapper: network.wrapper),
            try HostDaemon(2, of: queue, settings, environment: Self.pace)
        )
    }

    private func enqueue() throws -> String { try queue.enqueue(try NightJobs.ids.map(NightJobs.line)) }

    /// What the daemon of a host is doing, by `ttbatch hosts`.
    private func state(of daemon: HostDaemon) throws -> [String: Any]? {
        try queue.hosts().first { $0["pid"] as? Int == Int(daemon.program.process) }
    }

    private func waitForDeath(of daemon: HostDaemon) throws {
        try eventually("the death of host \(daemon.number)") { try state(of: daemon)?["state"] as? String == "dead" }
    }

    private func waitForNewLife(of daemon: HostDaemon) throws {
        try eventually("a new life of host \(daemon.number): \(daemon.program.errorsSoFar)") {
            try state(of: daemon)?["state"] as? String == "running"
        }
        // The model that is loaded stays so.
        #expect(daemon.program.errorsSoFar.components(separatedBy: "is ready after").count == 2)
        #expect(daemon.program.errorsSoFar.components(separatedBy: "works on the queue").count == 3)
    }

    /// Every job has its one result, which is that of an undisturbed run.
    private func judge(_ batch: String, attempts: ClosedRange<Int>) throws {
        let results = try queue.results(batch)
        let expected = try NightJobs.expected()
        #expect(Set(results.keys) == Set(NightJobs.ids))
        for (id, result) in results {
            #expect(result.text == expected[id]?.text, "\(id): \(result.json)")
            #expect(attempts.contains(result.timings?["attempt"] as? Int ?? 0), "\(id): \(result.json)")
        }
        try queue.check()
    }

    @Test func whoIsCutOffWhileIdleComesBackAsANewLife() throws {
        let (first, second) = try hosts(deadAfter: 2)
        try first.begin()
        try second.begin()
        try network.cut()
        try waitForDeath(of: first)
        try network.heal()
        try waitForNewLife(of: first)
        // It works, by itself too.
        try second.stop()
        try judge(try enqueue(), attempts: 1...1)
        try first.stop()
    }

    /// Others take its jobs while it is away; what it brings then does not count.
    @Test func theJobsOfWhoIsCutOffAreDoneByOthers() throws {
        let (first, second) = try hosts(deadAfter: 2)
        try first.begin()
        try second.begin()
        let batch = try enqueue()
        try eventually("jobs of host 1") { try state(of: first)?["running_jobs"] as? Int ?? 0 > 0 }
        try network.cut()
        try waitForDeath(of: first)
        try judge(batch, attempts: 1...2)
        let before = try queue.run("results", batch).lines
        try network.heal()
        try waitForNewLife(of: first)
        try judge(try enqueue(), attempts: 1...1)
        #expect(try queue.run("results", batch).lines == before)
        try first.stop()
        try second.stop()
    }

    /// It comes back while the others are still at work.
    @Test func whoComesBackInTheMiddleOfWorkDoublesNothing() throws {
        let (first, second) = try hosts(deadAfter: 1)
        try first.begin()
        try second.begin()
        let batches = try (0..<3).map { _ in try enqueue() }
        try eventually("jobs of host 1") { try state(of: first)?["running_jobs"] as? Int ?? 0 > 0 }
        try network.cut()
        try waitForDeath(of: first)
        try network.heal()
        for batch in batches { try judge(batch, attempts: 1...2) }
        try waitForNewLife(of: first)
        try first.stop()
        try second.stop()
    }

    /// It has the lock of a batch when its network goes: the server ends its session, since nobody is there any more.
    @Test func whoIsCutOffInATransactionHoldsNobodyUp() throws {
        let (first, second) = try hosts(deadAfter: 2)
        try first.begin()
        let batch = try enqueue()
        try eventually("jobs of host 1") { try state(of: first)?["running_jobs"] as? Int ?? 0 > 0 }
        let locked = onThread { [queue] in
            // Until it is ended.
            _ = try? queue.sql("BEGIN; SELECT FROM counters FOR UPDATE; SELECT pg_sleep(600)")
        }
        try eventually("host 1 to wait for the lock") {
            try queue.sql(
                """
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND client_addr IS NOT NULL AND wait_event_type = 'Lock'
                """) != "0"
        }
        try network.cut()
        try queue.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'")
        locked.wait()
        try second.begin()
        try judge(batch, attempts: 1...2)
        // Which is what ends a session otherwise, much later.
        #expect(!queue.server.log.contains("idle-in-transaction timeout"), "\(queue.server.log)")
        try network.heal()
        try waitForNewLife(of: first)
        try first.stop()
        try second.stop()
    }

    @Test func nobodyIsJudgedBeforeTheLimit() throws {
        let (first, second) = try hosts(deadAfter: 60)
        try first.begin()
        try second.begin()
        let batch = try enqueue()
        try eventually("jobs of host 1") { try state(of: first)?["running_jobs"] as? Int ?? 0 > 0 }
        try network.cut()
        sleep(3)
        try network.heal()
        try judge(batch, attempts: 1...1)
        #expect(try queue.sql("SELECT count(*) FROM daemons") == "2")
        try first.stop()
        try second.stop()
    }

    /// Where nobody is who could judge, what was computed meanwhile counts, however long it took.
    @Test func whoIsAloneLosesNothing() throws {
        let (first, _) = try hosts(deadAfter: 1)
        try first.begin()
        let batch = try enqueue()
        try eventually("jobs of host 1") { try state(of: first)?["running_jobs"] as? Int ?? 0 > 0 }
        try network.cut()
        sleep(4)
        try network.heal()
        try judge(batch, attempts: 1...1)
        #expect(try queue.sql("SELECT count(*) FROM daemons") == "1")
        try first.stop()
    }
}
