// The verbs that look and act, their exit codes, and where the configuration comes from.

import Foundation
import TestSupport
import Testing

@Suite("Command line")
struct CommandLineTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func prompts(_ count: Int, maxTokens: Int = 3) throws -> String {
        let lines = try (1...count).map {
            try requestLine("p\($0)", ["prompt": "ab \($0)", "max_tokens": maxTokens, "ignore_eos": true])
        }
        return try workspace.write("prompts.jsonl", lines: lines)
    }

    @Test func usage() throws {
        #expect(try workspace.run("--version").status == 0)
        let help = try workspace.run("--help")
        #expect(help.status == 0)
        for verb in [
            "run", "enqueue", "daemon", "list", "show", "status", "results", "cancel", "retry", "rerun", "devices",
            "models",
        ] {
            #expect(help.output.contains(verb))
            #expect(try workspace.run(verb, "--help").status == 0, "\(verb)")
        }
        for bad in [["nonsense"], ["list", "--nonsense"], ["show"], ["run"]] {
            let outcome = try workspace.run(bad)
            #expect(outcome.status == 2, "\(bad)")
            #expect(outcome.output == "" && !outcome.errors.isEmpty)
        }
        // The usage of the verb is printed, whichever part finds the mistake.
        for bad in [["enqueue", "--nonsense"], ["enqueue", "p", "--priority", "5000"], ["run", "p", "--set", "x"]] {
            let outcome = try workspace.run(bad)
            #expect(outcome.status == 2 && outcome.errors.contains("ttbatch \(bad[0]) "), "\(outcome.errors)")
        }
        // Text that was wrapped by hand leaves gaps in its lines.
        for verb in ["pause", "results", "wait", "run", "enqueue", "daemon", "retry"] {
            let text = try workspace.run(verb, "--help").output.split(separator: "USAGE:")[0]
            #expect(!text.contains("  "), "\(text)")
        }
    }

    @Test func enqueueThenDrain() throws {
        let enqueued = try workspace.run("enqueue", try prompts(5), "-", input: "{\"prompt\":\"x\",\"max_tokens\":1}\n")
        #expect(enqueued.output == "batch_1\nbatch_2\n")
        let early = try workspace.run("results", "batch_1")
        #expect(early.status == 7 && early.output == "" && early.errors.contains("--wait"))
        let drained = try workspace.run("daemon", "--drain")
        #expect(drained.status == 0, "\(drained.errors)")
        #expect(drained.output == "")
        #expect(
            try workspace.run("results", "1").lines.map { try ResultLine($0).customID } == [
                "p1", "p2", "p3", "p4", "p5",
            ])
        let batch = try jsonObject(try workspace.run("show", "batch_1", "--json").output)
        #expect(batch["object"] as? String == "batch")
        #expect(batch["status"] as? String == "completed")
        #expect(batch["endpoint"] as? String == "/v1/completions")
        #expect((batch["request_counts"] as? [String: Any])?["completed"] as? Int == 5)
        #expect((batch["usage"] as? [String: Any])?["output_tokens"] as? Int == 15)
        #expect(
            try workspace.run("list", "--json").lines.map { try jsonObject($0)["id"] as? String } == [
                "batch_2", "batch_1",
            ])
        let status = try jsonObject(try workspace.run("status", "--json").output)
        #expect(status["daemon_running"] as? Bool == false)
        #expect(status["pending_jobs"] as? Int == 0)
        let metrics = try workspace.run("status", "--metrics", "--json").lines.map { try jsonObject($0) }
        #expect(metrics.compactMap { $0["generated_tokens"] as? Int }.reduce(0, +) == 16)
        for words in [["list"], ["show", "1"], ["status"], ["status", "--metrics"]] {
            let outcome = try workspace.run(words)
            #expect(outcome.status == 0 && outcome.lines.count > 1, "\(words): \(outcome.errors)")
        }
    }

    @Test func resultFormats() throws {
        #expect(try workspace.run("run", try prompts(3)).status == 0)
        let csv = try workspace.run("results", "1", "--format", "csv")
        #expect(csv.lines.first?.hasPrefix("custom_id,state,finish_reason,text") == true)
        #expect(csv.output.contains("p2,succeeded,length,"))
        #expect(try workspace.run("results", "1", "--format", "text").output.contains("# p3\n"))
        #expect(try workspace.run("results", "1", "--order", "completion").lines.count == 3)
        #expect(try workspace.run("results", "1", "--state", "failed").output == "")
        #expect(try workspace.run("results", "1", "--state", "succeeded").lines.count == 3)
        #expect(try workspace.run("results", "1", "-o", workspace.path("r.jsonl")).output == "")
        #expect(try workspace.read("r.jsonl") == workspace.run("results", "1").output)
        #expect(try workspace.run("results", "1", "-o", "/nowhere/r.jsonl").status == 1)
    }

    @Test func cancelKeepsWhatHasFinished() throws {
        #expect(try workspace.run("enqueue", try prompts(4)).status == 0)
        let cancelled = try workspace.run("cancel", "batch_1")
        #expect(cancelled.status == 0, "\(cancelled.errors)")
        let results = try workspace.run("results", "batch_1").lines.map { try ResultLine($0) }
        #expect(results.count == 4)
        #expect(results.allSatisfy { $0.response == nil && $0.errorCode == "batch_cancelled" })
        #expect(try workspace.run("cancel", "batch_1").status == 8)
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try jsonObject(try workspace.run("show", "1", "--json").output)["status"] as? String == "cancelled")
    }

    @Test func retryRunsTheFailedJobsAgain() throws {
        let long = try requestLine("long", ["prompt": Array(repeating: 70, count: 100), "max_tokens": 2])
        let good = try requestLine("good", ["prompt": "ab", "max_tokens": 2])
        let file = try workspace.write("p.jsonl", lines: [long, good])
        #expect(try workspace.run("enqueue", file).status == 0)
        #expect(try workspace.run("daemon", "--drain", "--set", "engine.max_model_len=64").status == 0)
        let retried = try workspace.run("retry", "batch_1")
        #expect(retried.output == "batch_2\n", "\(retried.errors)")
        #expect(try workspace.run("daemon", "--drain").status == 0)
        let results = try workspace.run("results", "batch_2").lines.map { try ResultLine($0) }
        #expect(results.map(\.customID) == ["long"])
        #expect(results.first?.status == 200)
    }

    @Test func notFoundAndConflicts() throws {
        for verb in ["show", "results", "cancel", "retry"] {
            #expect(try workspace.run(verb, "batch_1").status == 6, "\(verb) without a database")
        }
        #expect(try workspace.run("status").status == 6)
        #expect(try workspace.run("run", try prompts(1)).status == 0)
        for verb in ["show", "results", "cancel", "retry"] {
            #expect(try workspace.run(verb, "batch_9").status == 6, "\(verb) of a batch that is not there")
        }
        #expect(try workspace.run("cancel", "batch_1").status == 8)
        #expect(try workspace.run("retry", "batch_1").status == 8)
    }

    /// A URL is no path: it would make a folder `postgres:`, and what was asked for would not be done. It may have a password.
    @Test(arguments: [
        ["list", "--db", "mysql://me:secret@host/q"], ["db", "backup", "postgres://me:secret@host/q"],
        ["enqueue", "p.jsonl", "--db", "sqlite:///q.db"],
        ["run", "https://me:secret@host/p.jsonl"], ["run", "p.jsonl", "-o", "s3://bucket/secret"],
        ["results", "batch_1", "--partial", "-o", "gs://bucket/secret"], ["db", "backup", "S3://bucket/secret"],
        ["enqueue", "p.jsonl", "--set", "models.x=http://host/secret.gguf"],
        ["enqueue", "p.jsonl", "--model", "hf://secret"], ["models", "pull", "x", "--to", "s3://bucket/secret"],
        ["merge", "p.jsonl", "https://host/secret"], ["run", "p.jsonl", "--resume", "-o", "s3://bucket/secret"],
    ])
    func placesElsewhereAreNoPaths(arguments: [String]) throws {
        _ = try workspace.write("p.jsonl", lines: [#"{"prompt":"a"}"#])
        #expect(try workspace.run("enqueue", "p.jsonl").status == 0)
        let before = try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)
        let outcome = try workspace.run(arguments)
        #expect(outcome.status == 2 && outcome.errors.contains("://… is no path: "), "\(outcome)")
        #expect(!outcome.errors.contains("secret"))
        let made = Set(try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)).subtracting(
            before)
        #expect(made.allSatisfy { $0.hasSuffix(".out") || $0.hasSuffix(".err") }, "\(made)")
    }

    @Test func configurationPrecedence() throws {
        try workspace.write("a.yaml", "db: \(workspace.path("file.db"))\nengine:\n  max_num_seqs: 2\n")
        let file = try prompts(1)
        #expect(try workspace.run("enqueue", file, "--config", workspace.path("a.yaml")).status == 0)
        #expect(!FileManager.default.fileExists(atPath: workspace.path("file.db")), "TTBATCH_DB wins over the file")
        #expect(try workspace.run("enqueue", file, "--db", workspace.path("flag.db")).status == 0)
        #expect(FileManager.default.fileExists(atPath: workspace.path("flag.db")), "--db wins over TTBATCH_DB")
        #expect(try workspace.run("run", file, "--set", "tt.sample_on_device_mode=all").status == 0)

        try workspace.write("bad.yaml", "engine:\n  max_num_seqs: 2\n  max_num_sqs: 3\n")
        let unknown = try workspace.run("list", "--config", workspace.path("bad.yaml"))
        #expect(unknown.status == 2)
        #expect(unknown.errors.contains("bad.yaml:3") && unknown.errors.contains("max_num_seqs"))
        for setting in ["engine.tensor_parallel_size=2", "tt.sample_on_device_mode=some", "engine.enable_lora=true"] {
            let outcome = try workspace.run("run", file, "--set", setting)
            #expect(outcome.status == 2, "\(setting): \(outcome.errors)")
        }
        #expect(try workspace.run("list", environment: ["TTBATCH_NONSENSE": "1"]).status == 2)
    }

    @Test func devicesAndModels() throws {
        let platforms = try workspace.run("devices", "--json").lines.map { try jsonObject($0) }
        let host = try #require(platforms.first { $0["platform"] as? String == "host" })
        #expect(host["available"] as? Bool == true)
        let ttnn = try #require(platforms.first { $0["platform"] as? String == "ttnn" })
        #expect(ttnn["available"] as? Bool == true || (ttnn["reason"] as? String)?.isEmpty == false)
        #expect(platforms.allSatisfy { $0["structured_output"] is String })
        #expect(try workspace.run("devices").lines.last?.hasPrefix("structured output: llguidance ") == true)
        let without = try workspace.run("devices", environment: ["TTBATCH_LLGUIDANCE": "/nowhere"]).lines
        #expect(without.last?.hasPrefix("structured output: not available: ") == true)
        let models = try workspace.run("models", "--json").lines.map { try jsonObject($0) }
        #expect(models.first?["path"] as? String == Locations.tinyModel)
        #expect(models.first?["context_length"] as? Int == 256)
    }
}
