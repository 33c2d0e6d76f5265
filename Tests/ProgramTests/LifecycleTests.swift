// Names, deadlines, pauses and priorities as people use them.

import Foundation
import TestSupport
import Testing

@Suite("life of a batch")
struct LifecycleTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private let line = "{\"prompt\":\"ab\",\"max_tokens\":3,\"ignore_eos\":true}"

    private func prompts(_ count: Int, tokens: Int) -> [String] {
        (0..<count).map { number in
            "{\"custom_id\":\"c\(number)\",\"prompt\":\"ab\",\"max_tokens\":\(tokens),\"ignore_eos\":true}"
        }
    }

    private func show(_ batch: String) throws -> [String: Any] {
        try jsonObject(workspace.run("show", batch, "--json").output)
    }

    // MARK: Names

    @Test func enqueuingByNameCanBeRepeated() throws {
        let file = try workspace.write("p.jsonl", lines: [line, line.replacing("ab", with: "cd")])
        let first = try workspace.run("enqueue", file, "--name", "nightly", "--if-not-exists")
        #expect(first.status == 0 && first.lines == ["batch_1"], "\(first.errors)")
        let second = try workspace.run("enqueue", file, "--name", "nightly", "--if-not-exists")
        #expect(second.status == 0 && second.lines == ["batch_1"])
        #expect(second.errors.contains("nightly is batch_1 already (in progress)"))
        // Without the flag a name that is taken is a conflict, and names are no file names.
        let third = try workspace.run("enqueue", file, "--name", "nightly")
        #expect(third.status == 8 && third.lines.isEmpty && third.errors.contains("--if-not-exists"))
        #expect(try workspace.run("enqueue", file, "--name", "p.jsonl").status == 0)
        #expect(try workspace.run("enqueue", file).status == 0)
        #expect(try workspace.run("list", "--json").lines.count == 3)
        #expect(try workspace.run("list").output.contains("nightly"))
        // `run` goes on with the batch that is there.
        let run = try workspace.run("run", file, "--name", "nightly", "--if-not-exists")
        #expect(run.status == 0 && run.lines.count == 2, "\(run.errors)")
        #expect(try workspace.run("enqueue", file, "--if-not-exists").status == 2)
        #expect(try workspace.run("enqueue", file, file, "--name", "two").status == 2)
    }

    /// Ten at once, and some of them killed half-way: one batch, and every call that succeeded printed its id.
    @Test func concurrentAndKilledCallsStoreOneBatch() throws {
        let file = try workspace.write("p.jsonl", lines: prompts(20_000, tokens: 1))
        var calls: [RunningProgram] = []
        for number in 0..<10 {
            let call = try workspace.start(["enqueue", file, "--name", "once", "--if-not-exists"])
            calls.append(call)
            if number < 4 {
                usleep(UInt32(number) * 40_000)
                call.send(SIGKILL)
            }
        }
        var ids: Set<String> = []
        for call in calls {
            let outcome = try call.waitForEnd()
            guard outcome.status == 0 else {
                #expect(outcome.status == 128 + SIGKILL, "\(outcome.errors)")
                continue
            }
            ids.formUnion(outcome.lines)
        }
        let last = try workspace.run("enqueue", file, "--name", "once", "--if-not-exists")
        #expect(last.status == 0 && Set(last.lines) == ids && ids.count == 1)
        let batches = try workspace.run("list", "--json").lines.map { try jsonObject($0) }
        #expect(batches.count == 1)
        #expect((batches[0]["request_counts"] as? [String: Int])?["total"] == 20_000)
    }

    // MARK: Deadlines

    @Test func whatHasNotBegunByTheDeadlineExpires() throws {
        let lines = prompts(200, tokens: 100)
        let file = try workspace.write("p.jsonl", lines: lines)
        let enqueued = try workspace.run("enqueue", file, "--window", "1s")
        #expect(enqueued.status == 0, "\(enqueued.errors)")
        usleep(1_100_000)
        // Nobody was there in time, so nothing runs.
        let daemon = try workspace.run("daemon", "--drain")
        #expect(daemon.status == 0 && daemon.errors.contains("expired"), "\(daemon.errors)")
        let batch = try show("batch_1")
        #expect(batch["status"] as? String == "expired")
        #expect(batch["expires_at"] is Int && batch["expired_at"] is Int)
        let results = try workspace.run("results", "batch_1", "--state", "expired")
        #expect(results.lines.count == 200)
        #expect(results.lines[0].contains("\"response\":null,\"error\":{\"code\":\"batch_expired\""))
        let again = try workspace.run("retry", "batch_1")
        #expect(again.status == 0 && again.lines == ["batch_2"], "\(again.errors)")
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try show("batch_2")["status"] as? String == "completed")
    }

    @Test func runExitsWithFiveWhenPromptsExpire() throws {
        let lines = prompts(3000, tokens: 200)
        let file = try workspace.write("p.jsonl", lines: lines)
        let run = try workspace.run("run", file, "--window", "1s", "--set", "engine.max_num_seqs=2")
        #expect(run.status == 5, "\(run.errors)")
        #expect(run.lines.count == 3000 && run.errors.contains("expired"))
    }

    @Test func deadlinesThatAreNoneAreRefused() throws {
        let file = try workspace.write("p.jsonl", lines: [line])
        for arguments in [
            ["--deadline", "yesterday"], ["--deadline", "2020-01-01 00:00"], ["--window", "0h"], ["--window", "24"],
            ["--window", "1h", "--deadline", "06:00"], ["--priority", "1001"],
        ] {
            let outcome = try workspace.run(["enqueue", file] + arguments)
            #expect(outcome.status == 2, "\(arguments): \(outcome.errors)")
        }
        #expect(try workspace.run("list").status != 0, "nothing was stored, not even a database")
    }

    // MARK: Pause

    @Test func aPauseOutlastsTheDaemonAndIsShown() throws {
        let file = try workspace.write("p.jsonl", lines: [line])
        #expect(try workspace.run("enqueue", file).status == 0)
        #expect(try workspace.run("enqueue", file, "--priority", "5").status == 0)
        #expect(try workspace.run("pause", "1").status == 0)
        #expect(try workspace.run("pause").status == 0)
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try show("2")["status"] as? String == "in_progress")
        #expect(try workspace.run("status").output.contains("paused since"))
        #expect(try jsonObject(workspace.run("status", "--json").output)["paused_ms"] is Int)
        #expect(try workspace.run("list").errors.contains("the queue is paused"))
        let run = try workspace.run("run", file)
        #expect(run.status == 8 && run.errors.contains("ttbatch resume"), "\(run.errors)")
        #expect(try workspace.run("resume").status == 0)
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try show("2")["status"] as? String == "completed")
        #expect(try show("1")["status"] as? String == "in_progress")
        #expect(try workspace.run("list").output.contains("in progress, paused"))
        #expect(try workspace.run("show", "1").output.contains("paused since"))
        #expect(try workspace.run("resume", "1").status == 0)
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try show("1")["status"] as? String == "completed")
        #expect(try workspace.run("pause", "1").status == 8)
        #expect(try workspace.run("pause", "77").status == 6)
    }

    @Test func pausingWithWaitReturnsWhenNothingRuns() throws {
        let lines = prompts(2_000, tokens: 60)
        #expect(try workspace.run("enqueue", try workspace.write("p.jsonl", lines: lines)).status == 0)
        let daemon = try workspace.start(["daemon", "--set", "engine.max_num_seqs=2"])
        try eventually("work") { try (show("1")["ttbatch"] as? [String: Any])?["succeeded"] as? Int ?? 0 > 0 }
        #expect(try workspace.run("pause", "--wait").status == 0)
        let counts = try #require(try show("1")["ttbatch"] as? [String: Any])
        #expect(counts["running"] as? Int == 0 && counts["pending"] as? Int ?? 0 > 0)
        #expect(try workspace.run("resume").status == 0)
        try eventually("the rest") { try show("1")["status"] as? String == "completed" }
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    // MARK: Causes

    @Test func showTellsWhyJobsFailed() throws {
        let long = "[" + Array(repeating: "5", count: 100).joined(separator: ",") + "]"
        let file = try workspace.write("p.jsonl", lines: [line, "{\"prompt\":\(long)}"])
        #expect(try workspace.run("enqueue", file).status == 0)
        #expect(try workspace.run("daemon", "--drain", "--set", "engine.max_model_len=64").status == 0)
        let shown = try workspace.run("show", "1")
        #expect(shown.output.contains("context_length_exceeded"), "\(shown.output)")
        let failures = try #require((try show("1")["ttbatch"] as? [String: Any])?["failures"] as? [[String: Any]])
        #expect(failures.count == 1 && failures[0]["jobs"] as? Int == 1 && failures[0]["line"] as? Int == 2)
    }
}
