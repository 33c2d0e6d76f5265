// A server whose disk is full: nothing is claimed, results wait, and everything goes on when there is space again.

import Foundation
import TestSupport
import Testing

@Suite(
    "A server's full disk",
    .enabled(if: PostgresServer.programs != nil),
    .enabled(if: canMount, "a file system in memory: mounting one takes root"))
struct FullServerTests {
    @Test func workGoesOnWhenThereIsSpaceAgain() throws {
        let server = try PostgresServer(smallDisk: 48)
        let queue = try SharedQueue(on: server)
        try server.sql("CREATE TABLESPACE small LOCATION '\(server.smallDisk)'")
        try server.sql("ALTER DATABASE \(queue.name) SET TABLESPACE small")
        let lines = try (0..<600).map {
            try requestLine("job-\($0)", ["prompt": "Number \($0) is", "max_tokens": 60, "ignore_eos": true])
        }
        let batch = try queue.enqueue(lines)
        // Pages of 8 KiB, each a row.
        try queue.sql("CREATE TABLE ballast (filler text); ALTER TABLE ballast ALTER filler SET STORAGE PLAIN")
        for pages in [128, 8, 1] {
            let fill = "INSERT INTO ballast SELECT repeat('x', 7000) FROM generate_series(1, \(pages))"
            while (try? queue.sql(fill)) != nil {}
        }
        let daemon = try HostDaemon(1, of: queue, ["daemon.commit_interval_ms=20", "engine.max_num_seqs=4"])
        try daemon.start()
        try daemon.says("free some space")
        let refused = try queue.run("enqueue", "-q", try queue.workspace.write("p.jsonl", lines: lines))
        #expect(refused.status == 75 && refused.errors.contains("free some space"), "\(refused)")
        #expect(try queue.run("results", batch).status == 7)
        try queue.sql("DROP TABLE ballast")
        let results = try queue.results(batch)
        #expect(results.count == 600)
        #expect(results.values.allSatisfy { $0.status == 200 && $0.timings?["attempt"] as? Int == 1 })
        #expect(daemon.log.contains("can be used again"), "\(daemon.log)")
        try daemon.stop()
        try queue.check()
    }
}

/// Whether this user may mount file systems, and still be another one for the server.
private let canMount: Bool = {
    guard geteuid() == 0, let folder = try? TemporaryFolder() else { return false }
    let program = try? RunningProgram(
        ["-m", "true"], program: "unshare", environment: ["PATH": "/usr/bin:/bin"], in: folder.url)
    return (try? program?.outcome().status) == 0
}()
