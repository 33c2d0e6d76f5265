// A server that is lost, and its standby, which does not have what was acknowledged last.

import Foundation
import TestSupport
import Testing

@Suite("A failover", .enabled(if: PostgresServer.programs != nil))
struct FailoverTests {
    /// A daemon and a client know both servers. The standby is asynchronous and falls behind, so that it still has in flight what
    /// the daemon believes to have ended, and nobody else would ever give that back: it is run again, and ends in the same way.
    /// Where all jobs were claimed, no claim that fails shows that the server is another one.
    @Test(arguments: [(jobs: 3, pauseMS: 4000), (jobs: 48, pauseMS: 100)])
    func whatTheStandbyDoesNotHaveIsRunAgain(jobs: Int, pauseMS: Int) throws {
        let primary = try PostgresServer()
        let queue = try SharedQueue(on: primary)
        let standby = try PostgresServer(standbyOf: primary)
        let address = primary.uri(queue.name, orAt: standby)
        func run(_ arguments: String...) throws -> Outcome {
            try queue.workspace.run(arguments, environment: ["TTBATCH_DB": address])
        }
        func count(_ table: String) throws -> Int {
            Int(try standby.sql("SELECT count(*) FROM \(table)", in: queue.name).filter(\.isNumber)) ?? 0
        }
        let daemon = try HostDaemon(
            1, of: queue, ["daemon.commit_interval_ms=20"], at: address,
            environment: ["TTBATCH_TEST_FAILPOINTS": "session.claimed=pause:\(pauseMS)"])
        try daemon.begin()
        let file = try queue.workspace.write("p.jsonl", lines: try NightJobs.ids.prefix(jobs).map(NightJobs.line))
        let enqueued = try run("enqueue", "-q", file)
        let batch = try #require(enqueued.lines.first, "\(enqueued)")
        try eventually("claims on the standby") { try count("leases") > 0 }
        try standby.stop()
        try eventually("the end of \(batch) on the primary") { try run("results", batch).status != 7 }
        let first = try ResultLine.byID(try run("results", batch).lines)
        try primary.stop(.immediate)
        try daemon.says("the connection was lost")
        try standby.start()
        #expect(try count("results") < jobs && count("leases") > 0)
        try standby.promote()
        try daemon.says("another server has taken over the queue (timeline 00000002, before 00000001)")

        try eventually("the end of \(batch)") { try run("results", batch).status != 7 }
        let second = try ResultLine.byID(try run("results", batch).lines)
        #expect(first.count == jobs && Set(second.keys) == Set(first.keys))
        for (id, result) in second { #expect(result.text == first[id]?.text, "\(id): \(result.json)") }
        let check = try run("db", "check")
        #expect(check.status == 0, "\(check.output)\(check.errors)")
        try daemon.stop()
    }
}
