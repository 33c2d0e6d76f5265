// The daemon as a process: its lock, its signals, and others who follow it.

import Foundation
import TestSupport
import Testing

@Suite("ttbatch daemon")
struct DaemonTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private var daemonRuns: Bool {
        get throws {
            let status = try workspace.run("status", "--json")
            return try status.status == 0 && jsonObject(status.output)["daemon_running"] as? Bool == true
        }
    }

    @Test func worksUntilToldToStop() throws {
        let daemon = try workspace.start(["daemon"])
        try eventually("the daemon") { try daemonRuns }
        // Another one is refused, and `run` lets this one do the work.
        #expect(try workspace.run("daemon").status == 8)
        let file = try workspace.write("p.jsonl", "{\"prompt\":\"ab\",\"max_tokens\":3,\"ignore_eos\":true}\n")
        let run = try workspace.run("run", file)
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.errors.contains("owns the database"))
        #expect(try run.lines.map { try ResultLine($0).customID } == ["line-1"])
        let enqueued = try workspace.run("enqueue", file)
        try eventually("the second batch") {
            try !workspace.run("results", try #require(enqueued.lines.first)).lines.isEmpty
        }
        daemon.send(SIGTERM)
        let ended = try daemon.waitForEnd()
        #expect(ended.status == 0, "\(ended.errors)")
        #expect(try !daemonRuns)
    }

    /// Two of them at once: one works for itself, the other then works for itself.
    @Test func twoRunsAtOnceBothEnd() throws {
        let file = try workspace.write("p.jsonl", "{\"prompt\":\"ab\",\"max_tokens\":100,\"ignore_eos\":true}\n")
        let runs = try (0..<3).map { _ in try workspace.start(["run", file]) }
        for run in runs {
            let outcome = try run.waitForEnd()
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.lines.count == 1)
        }
    }

    /// When the daemon dies under a `run` that follows it, the run goes on by itself.
    @Test func aRunOutlivesTheDaemonItFollows() throws {
        let lines = try (0..<300).map {
            try requestLine("j\($0)", ["prompt": "ab", "max_tokens": 200, "ignore_eos": true])
        }
        let file = try workspace.write("p.jsonl", lines: lines)
        let daemon = try workspace.start(["daemon", "--set", "engine.max_num_seqs=1"])
        try eventually("the daemon") { try daemonRuns }
        let run = try workspace.start(["run", file])
        try eventually("running jobs") {
            try #require(try jsonObject(workspace.run("status", "--json").output)["running_jobs"] as? Int) > 0
        }
        daemon.send(SIGKILL)
        let outcome = try run.waitForEnd()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try ResultLine.byID(outcome.lines).count == 300)
    }

    @Test func putsRunningJobsBackOnASecondSignal() throws {
        let lines = try (0..<400).map {
            try requestLine("j\($0)", ["prompt": "ab", "max_tokens": 200, "ignore_eos": true])
        }
        let file = try workspace.write("p.jsonl", lines: lines)
        #expect(try workspace.run("enqueue", file).status == 0)
        let daemon = try workspace.start(["daemon", "--set", "engine.max_num_seqs=1"])
        try eventually("running jobs") {
            try #require(try jsonObject(workspace.run("status", "--json").output)["running_jobs"] as? Int) > 0
        }
        daemon.send(SIGTERM)
        daemon.send(SIGINT)
        #expect(try daemon.waitForEnd().status == 0)
        let status = try jsonObject(try workspace.run("status", "--json").output)
        #expect(status["running_jobs"] as? Int == 0)
        #expect(try workspace.run("daemon", "--drain").status == 0)
        let results = try workspace.run("results", "1").lines.map { try ResultLine($0) }
        #expect(results.count == 400)
        #expect(results.allSatisfy { $0.status == 200 })
    }

    /// A device that does not come back from a step would hold the end of the session up for ever.
    @Test func endsAtOnceOnAThirdSignal() throws {
        let lines = try (0..<40).map { try requestLine("j\($0)", ["prompt": "ab", "max_tokens": 20]) }
        #expect(try workspace.run("enqueue", try workspace.write("p.jsonl", lines: lines)).status == 0)
        let daemon = try workspace.start(
            ["daemon"],
            environment: [
                "TTBATCH_TEST_FAILPOINTS": "session.ending=pause:100000,trace=\(workspace.path("trace"))"
            ])
        try eventually("the daemon") { daemon.errorsSoFar.contains("is ready") }
        daemon.send(SIGTERM)
        daemon.send(SIGINT)
        try eventually("the end of the session") { try workspace.read("trace").contains("session.ending") }
        #expect(daemon.isRunning)
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 128 + SIGTERM)
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try ResultLine.byID(try workspace.run("results", "1").lines).count == 40)
    }

    @Test func interruptedRunLeavesItsBatchInTheQueue() throws {
        let lines = try (0..<400).map {
            try requestLine("j\($0)", ["prompt": "ab", "max_tokens": 200, "ignore_eos": true])
        }
        let run = try workspace.start(
            ["run", try workspace.write("p.jsonl", lines: lines), "--set", "engine.max_num_seqs=1"])
        try eventually("running jobs") {
            let status = try workspace.run("status", "--json")
            return try status.status == 0 && jsonObject(status.output)["running_jobs"] as? Int ?? 0 > 0
        }
        run.send(SIGINT)
        run.send(SIGINT)
        let ended = try run.waitForEnd()
        #expect(ended.status == 130, "\(ended.errors)")
        #expect(ended.errors.contains("batch_1"))
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try workspace.run("results", "1").lines.count == 400)
    }
}
