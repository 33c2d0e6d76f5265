// `ttbatch bench`: its tables as JSON, its usage errors, and perplexity on the real model.

import Foundation
import TestSupport
import Testing

@Suite("ttbatch bench")
struct BenchTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func tables(_ outcome: Outcome) throws -> [String: [[String: Any]]] {
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.lines.count == 1)
        return try #require(try jsonObject(outcome.output) as? [String: [[String: Any]]])
    }

    /// Every number of the rows is positive; shares of time may be 0.
    private func expectPlausible(_ rows: [[String: Any]]) {
        for (name, value) in rows.joined() {
            guard let number = value as? Double else { continue }
            let mayBeNothing = name == "outside_share" || name == "sampling_share"
            #expect(number.isFinite && (number > 0 || (mayBeNothing && number >= 0)), "\(name): \(number)")
        }
    }

    @Test func limitsNeedNoModel() throws {
        let found = try tables(
            try workspace.run("bench", "--limits", "--rounds", "2", "--json", model: "no-such-model"))
        #expect(found.keys.sorted() == ["limits"])
        let limits = try #require(found["limits"])
        #expect(limits.first?["threads"] as? Int == 1)
        expectPlausible(limits)
    }

    @Test func stepsAsJSON() throws {
        let found = try tables(
            try workspace.run(
                "bench", "--batch-sizes", "1,2", "--lengths", "16", "--contexts", "16", "--threads", "1",
                "--rounds", "2", "--json"))
        #expect(found.keys.sorted() == ["decode", "limits", "model", "prefill", "thread_time"])
        #expect(found["model"]?.first?["kv_cache_dtype"] as? String == "float16")
        let decode = try #require(found["decode"])
        #expect(decode.map { $0["rows"] as? Int } == [1, 2])
        #expect(decode.map { $0["context"] as? Int } == [16, 16])
        let prefill = try #require(found["prefill"])
        #expect(prefill.map { $0["prompts"] as? Int } == [1, 64])
        for row in decode + prefill {
            let rate = try #require(row["tokens_per_second"] as? Double)
            let seconds = try #require(row["step_seconds"] as? Double)
            let tokens = try #require(row["rows"] as? Int ?? (row["prompts"] as? Int).map { $0 * 16 })
            #expect(abs(rate * seconds - Double(tokens)) < 1e-6)
        }
        for row in try #require(found["thread_time"]) {
            let shares = row.filter { $0.key.hasSuffix("_share") }.values.compactMap { $0 as? Double }
            #expect(shares.count == 6)
            #expect(abs(shares.reduce(0, +) - 1) < 1e-9)
        }
        for rows in found.values { expectPlausible(rows) }
    }

    /// A steady decode step takes no memory, whatever the number of rows and threads.
    @Test func stepsAllocateNothing() throws {
        let library = workspace.path("allocations.so")
        let source = Locations.repository.appending(path: "etc/bench/allocations.c").path
        let compiler = try Process.run(
            URL(filePath: "/usr/bin/env"), arguments: ["clang", "-shared", "-fPIC", "-O2", source, "-o", library])
        compiler.waitUntilExit()
        try #require(compiler.terminationStatus == 0)
        let found = try tables(
            try workspace.run(
                "bench", "--batch-sizes", "1,8,32", "--lengths", "16", "--contexts", "16", "--threads", "2",
                "--rounds", "3", "--json", environment: ["LD_PRELOAD": library]))
        let decode = try #require(found["decode"])
        #expect(decode.map { $0["allocations"] as? Int } == [0, 0, 0])
    }

    @Test func wordsForPeople() throws {
        let outcome = try workspace.run(
            "bench", "--batch-sizes", "2", "--lengths", "8", "--contexts", "4", "--optimizations", "accuracy",
            "--rounds", "1")
        #expect(outcome.status == 0, "\(outcome.errors)")
        for title in ["Model", "Limits", "Prefill", "Decode", "Where the threads' time goes"] {
            #expect(outcome.lines.contains { $0.hasPrefix(title) }, "\(title)")
        }
        #expect(outcome.output.contains("accuracy"))
    }

    @Test func whatCannotBeMeasured() throws {
        for arguments in [
            ["--batch-sizes", "0"], ["--lengths", "1,,2"], ["--limits", "--perplexity", "x"], ["--threads", "0"],
            ["--rounds", "0"], ["--optimizations", "speed"], ["--perplexity", "x", "--optimizations", "accuracy"],
            ["--perplexity", "x", "--rounds", "2"], ["--perplexity", "x", "--contexts", "8"],
            ["--limits", "--optimizations", "accuracy"], ["--limits", "--batch-sizes", "1"],
            ["--limits", "--contexts", "8"], ["--limits", "--lengths", "8"],
        ] {
            #expect(try workspace.run(["bench"] + arguments).status == 2, "\(arguments)")
        }
        #expect(try workspace.run("bench", model: "no-such-model").status == 6)
        let long = try workspace.run("bench", "--lengths", "1000")
        #expect(long.status == 2 && long.errors.contains("256"), "\(long.errors)")
        #expect(try workspace.run("bench", "--perplexity", workspace.path("none.txt")).status == 6)
    }

    private struct GoldenPerplexity: Decodable {
        let scored: Int
        let perplexity: Double
    }

    /// Accuracy is transformers' float32; performance stays within one per cent of it.
    @Test(.enabled(if: Locations.realModel != nil)) func perplexityOfBothModes() throws {
        let file = Locations.golden("transformers/smollm2-135m-perplexity-f32.json")
        let golden = try JSONDecoder().decode(GoldenPerplexity.self, from: Data(contentsOf: file))
        let text = Locations.repository.appending(path: "etc/bench/perplexity.txt").path
        let found = try tables(
            try workspace.run("bench", "--perplexity", text, "--json", model: Locations.realModel))
        let modes = try #require(found["perplexity"])
        #expect(modes.map { $0["optimizations"] as? String } == ["accuracy", "performance"])
        #expect(modes.allSatisfy { $0["tokens"] as? Int == golden.scored })
        let perplexities = modes.compactMap { $0["perplexity"] as? Double }
        #expect(abs(perplexities[0] / golden.perplexity - 1) < 1e-3)
        #expect(abs(perplexities[1] / perplexities[0] - 1) < 0.01)
        let same = try #require(found["agreement"]?.first?["same_best_share"] as? Double)
        #expect(same > 0.9)
    }
}
