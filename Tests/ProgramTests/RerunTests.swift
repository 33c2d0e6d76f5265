// `ttbatch rerun`: a result comes out again, or it is said how it differs and what made it so.

import Foundation
import TestSupport
import Testing

@Suite("rerun")
struct RerunTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func run(_ lines: [String], model: String = Locations.tinyModel) throws -> [String: ResultLine] {
        let file = try workspace.write("p.jsonl", lines: lines)
        let outcome = try workspace.run(["run", file], model: model)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try ResultLine.byID(outcome.lines)
    }

    @Test func everyKindOfResultComesOutAgain() throws {
        let kinds: [(String, [String: Any])] = [
            ("plain", ["prompt": "the king", "max_tokens": 12]),
            ("several", ["prompt": "the king", "max_tokens": 9, "n": 3, "seed": 5, "logprobs": 2]),
            ("ids", ["prompt": "the king", "max_tokens": 9, "temperature": 0, "return_token_ids": true]),
            ("echoed", ["prompt": "the king", "max_tokens": 1, "echo": true, "logprobs": 1, "prompt_logprobs": 1]),
            ("scored", ["prompt": "the king", "classify": ["labels": ["a", "b b"]]]),
            ("formed", ["prompt": "the king", "guided_regex": "[a-c]{5}", "json_confidence": true]),
        ]
        let results = try run(kinds.map { try requestLine($0, $1) })
        for (id, fields) in kinds {
            let outcome = try workspace.run("rerun", "1", id)
            #expect(outcome.status == 0 && outcome.lines.count == 1, "\(outcome.lines) \(outcome.errors)")
            #expect(outcome.lines[0].contains(", \(id): identical: "), "\(outcome.lines)")
            // The seed of the result gives the same text to a request that names it.
            guard fields["classify"] == nil else { continue }
            let seed = try #require(results[id]?.timings?["seed"] as? NSNumber)
            let line = try requestLine(id, fields.merging(["seed": seed]) { $1 })
            let seeded = try run([#"{"custom_id":"before","prompt":"a","max_tokens":1}"#, line])[id]
            #expect(seeded?.text == results[id]?.text)
        }
        let fingerprints = Set(results.values.compactMap { $0.body?["system_fingerprint"] as? String })
        #expect(results.count == kinds.count && fingerprints.count == 1)
    }

    @Test func theModelsFileIsNamedWhereAnotherMadeTheResult() throws {
        let path = workspace.path("model.gguf")
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: path)
        _ = try run([#"{"custom_id":"a","prompt":"the king","max_tokens":12,"temperature":0}"#], model: path)
        let shown = try workspace.run("rerun", "1", "a", "--show").lines
        let sum = try #require(shown.first { $0.hasPrefix("sha256: ") })
        #expect(shown.contains { $0.hasPrefix("seed: ") } && shown.contains { $0.hasPrefix("device: host, ") })
        #expect(shown.contains { $0.hasPrefix("version: ") })
        let tool = Process()
        tool.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
        tool.arguments = [path]
        let pipe = Pipe()
        tool.standardOutput = pipe
        try tool.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        tool.waitUntilExit()
        #expect(output.hasPrefix(sum.dropFirst(8)))

        // Other weights: the same model in name only.
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for place in stride(from: bytes.count / 2, to: bytes.count - 8, by: 6) { bytes[place] ^= 0x55 }
        try bytes.write(to: URL(fileURLWithPath: path), options: .atomic)
        let outcome = try workspace.run(["rerun", "1", "a"], model: path)
        #expect(outcome.status == 9, "\(outcome.errors)")
        #expect(outcome.lines[0] == "batch_2, a: not identical")
        #expect(outcome.lines.contains { $0.hasPrefix("  text: ") || $0.hasPrefix("  tokens: ") })
        #expect(outcome.lines.contains { $0.hasPrefix("  made with another \(sum), now ") }, "\(outcome.lines)")
    }

    /// Nothing is copied into the queue if it cannot run, and no database is made.
    @Test func whatCannotRunIsRefusedFirst() throws {
        let path = workspace.path("model.gguf")
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: path)
        _ = try run([#"{"custom_id":"a","prompt":"the king","max_tokens":2}"#], model: path)
        let other = try workspace.run(["rerun", "1", "a", "--model", Locations.tinyModel], model: nil)
        #expect(other.status == 2 && other.errors.contains("is of the model"), "\(other.errors)")
        try FileManager.default.removeItem(atPath: path)
        let gone = try workspace.run(["rerun", "1", "a"], model: path)
        #expect(gone.status != 0 && gone.status != 9 && gone.errors.contains("model.gguf"), "\(gone.errors)")
        #expect(try workspace.run("list").lines.count == 2)
        let missing = try workspace.run("rerun", "1", "a", "--db", workspace.path("none.db"))
        #expect(missing.status == 6 && !FileManager.default.fileExists(atPath: workspace.path("none.db")))
    }

    /// Without the program for it, results do not pretend to be of the same model.
    @Test func filesThatCannotBeReadAgainAreSaid() throws {
        let folder = workspace.path("bin")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let environment = ["PATH": folder, "XDG_CACHE_HOME": workspace.path("cache")]
        let file = try workspace.write("p.jsonl", lines: [#"{"custom_id":"a","prompt":"the king","max_tokens":2}"#])
        let outcome = try workspace.run(["run", file], environment: environment)
        #expect(outcome.status == 0 && outcome.errors.contains("sha256sum is not on the PATH"), "\(outcome.errors)")
        let result = try ResultLine.byID(outcome.lines)["a"]
        #expect(result?.body?["system_fingerprint"] == nil && result?.timings?["seed"] != nil)
        let shown = try workspace.run("rerun", "1", "a", "--show").lines
        #expect(shown.count == 1 && shown[0].hasPrefix("not recorded"), "\(shown)")
        #expect(try workspace.run("rerun", "1", "a").lines.last == "  what made the first result is not recorded")
    }

    @Test func settingsThatChangeNumbersAreNamed() throws {
        _ = try run([#"{"custom_id":"a","prompt":"the king","max_tokens":1,"temperature":0}"#])
        let outcome = try workspace.run(
            "rerun", "1", "a", "--set", "engine.kv_cache_dtype=int8", "--set", "engine.max_num_seqs=3")
        #expect(outcome.status == 0 || outcome.status == 9, "\(outcome.errors)")
        let changes = outcome.lines.filter { $0.contains("made with another") }
        #expect(changes == ["  made with another kv_cache_dtype: default, now int8"])
    }

    /// The prompt would be another one a second later.
    @Test func aTemplateTellsTheTimeOfTheFirstRun() throws {
        let body: [String: Any] = [
            "messages": [["role": "user", "content": "the king"]], "max_tokens": 8,
            "chat_template": "{{ strftime_now('%H:%M:%S') }} {{ messages[0].content }}", "return_token_ids": true,
        ]
        _ = try run([try requestLine("a", url: "/v1/chat/completions", body)])
        Thread.sleep(forTimeInterval: 1.1)
        for batch in ["1", "2"] {
            let outcome = try workspace.run("rerun", batch, "a")
            #expect(outcome.status == 0, "\(outcome.lines) \(outcome.errors)")
        }
    }

    @Test func whatHasNoResultIsRefused() throws {
        let file = try workspace.write(
            "p.jsonl",
            lines: [#"{"custom_id":"a","prompt":"a","max_tokens":1}"#, #"{"custom_id":"b","prompt":1}"#])
        #expect(try workspace.run("run", file, "--skip-invalid").status == 4)
        #expect(try workspace.run("rerun", "1", "b").status == 6)
        let unknown = try workspace.run("rerun", "1", "c")
        #expect(unknown.status == 6 && unknown.errors.contains("has no valid prompt with the custom_id \"c\""))
        #expect(try workspace.run("rerun", "7", "a").status == 6)
        let later = try workspace.write("q.jsonl", lines: [#"{"custom_id":"a","prompt":"a"}"#])
        #expect(try workspace.run("enqueue", later).status == 0)
        let waiting = try workspace.run("rerun", "2", "a")
        #expect(waiting.status == 7 && waiting.errors.contains("a of batch_2 has not ended"), "\(waiting.errors)")
        #expect(try workspace.run("cancel", "2").status == 0)
        #expect(try workspace.run("rerun", "2", "a").status == 5)
    }
}
