// One broken model may not stop the others: whatever is wrong with it, its batch fails with file and reason, the others succeed,
// and the daemon lives.

import Foundation
import ModelFiles
import TestSupport
import Testing

@Suite("broken models", .serialized)
struct ModelFaultTests {
    private let workspace: Workspace
    private let quick = ["--set", "daemon.backoff_ms=1", "--set", "daemon.max_model_errors=\(BrokenModel.limit)"]

    init() throws { workspace = try Workspace() }

    private func prompts(_ count: Int = 2, tokens: Int = 2) throws -> String {
        let lines = try (0..<count).map {
            try requestLine("p\($0)", ["prompt": "Hi", "max_tokens": tokens, "temperature": 0, "ignore_eos": true])
        }
        return try workspace.write("prompts.jsonl", lines: lines)
    }

    private func enqueue(_ file: String, model: String) throws -> String {
        let outcome = try workspace.run("enqueue", file, "--model", model)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try #require(outcome.lines.first)
    }

    private func show(_ batch: String) throws -> (counts: [String: Any], failures: [[String: Any]]) {
        let object = try jsonObject(workspace.run("show", batch, "--json").output)
        let counts = try #require(object["ttbatch"] as? [String: Any])
        return (counts, counts["failures"] as? [[String: Any]] ?? [])
    }

    private func expectSucceeded(_ batch: String, _ jobs: Int) throws {
        #expect(try show(batch).counts["succeeded"] as? Int == jobs)
    }

    /// Copies of `model`, a batch for each, all spoiled once they wait; then one daemon for them and a batch that is well.
    private func runAll(of model: String) throws {
        let good = try GGUFFile(path: model)
        let file = try prompts()
        var batches: [(batch: String, broken: BrokenModel, path: String)] = []
        for broken in BrokenModel.all {
            let path = workspace.path(broken.name + ".gguf")
            try FileManager.default.copyItem(atPath: model, toPath: path)
            batches.append((try enqueue(file, model: path), broken, path))
            try broken.spoil(path, good)
        }
        let well = try enqueue(file, model: model)
        let daemon = try workspace.run(["daemon", "--drain"] + quick)
        #expect(daemon.status == 0, "\(daemon.errors)")
        try expectSucceeded(well, 2)
        for (batch, broken, path) in batches {
            let (counts, failures) = try show(batch)
            #expect(counts["failed"] as? Int == 2, "\(broken.name)")
            let failure = try #require(failures.first, "\(broken.name)")
            let message = try #require(failure["message"] as? String)
            #expect(failure["code"] as? String == "model_unavailable")
            #expect(message.contains(path) && message.contains(broken.words), "\(broken.name): \(message)")
            let tried = daemon.errors.split(separator: "\n").filter {
                $0.contains("\(batch) ") && $0.contains(path) && $0.contains(broken.words)
            }
            #expect(tried.count == broken.times, "\(broken.name): \(tried)")
            let shown = try workspace.run("show", batch).output
            let times = broken.times == 1 ? "once" : "\(broken.times) times in a row"
            #expect(shown.contains("could not be used (\(times)): ") && shown.contains(path), "\(shown)")
            #expect(counts["model_errors"] as? Int == broken.times)
        }
        #expect(daemon.errors.components(separatedBy: "owns the queue").count == 2, "one life did it all")
    }

    @Test func everyBrokenFileOfTheTinyModelFailsItsBatchAlone() throws { try runAll(of: Locations.tinyModel) }

    @Test(.enabled(if: Locations.realModel != nil))
    func everyBrokenFileOfTheRealModelFailsItsBatchAlone() throws { try runAll(of: Locations.realModel!) }

    /// The pages that a session reads are gone from one moment to the next.
    @Test(.enabled(if: Locations.realModel != nil))
    func aFileThatIsCutShortWhileASessionHasItMappedFailsItsBatchAlone() throws {
        let path = workspace.path("cut.gguf")
        try FileManager.default.copyItem(atPath: Locations.realModel!, toPath: path)
        let bad = try enqueue(try prompts(400, tokens: 30), model: path)
        let well = try enqueue(try prompts(3), model: Locations.tinyModel)
        let daemon = try workspace.start(["daemon", "--drain", "--set", "engine.max_num_seqs=4"] + quick)
        try eventually("results") { try show(bad).counts["succeeded"] as? Int ?? 0 > 0 }
        #expect(truncate(path, 1 << 20) == 0)
        let outcome = try daemon.waitForEnd()
        #expect(outcome.status == 0, "\(outcome.errors)")
        try expectSucceeded(well, 3)
        let (counts, failures) = try show(bad)
        let (succeeded, failed) = (counts["succeeded"] as? Int ?? 0, counts["failed"] as? Int ?? 0)
        #expect(succeeded > 0 && failed > 0 && succeeded + failed == 400)
        #expect(failures.count == 1 && failures.first?["code"] as? String == "model_unavailable", "\(failures)")
        #expect((failures.first?["message"] as? String)?.contains(path) == true)
        #expect(outcome.errors.contains("\(path): was changed while it was in use"), "\(outcome.errors)")
    }

    @Test func aMendedFileRunsByRetry() throws {
        let path = workspace.path("model.gguf")
        try "no model".write(toFile: path + ".broken", atomically: true, encoding: .utf8)
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: path)
        let batch = try enqueue(try prompts(), model: path)
        try #require(rename(path + ".broken", path) == 0)
        let daemon = try workspace.run(["daemon", "--drain"] + quick)
        #expect(daemon.status == 0 && daemon.errors.contains("ttbatch retry \(batch)"), "\(daemon.errors)")
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: path)
        #expect(try workspace.run("retry", batch).lines == ["batch_2"])
        #expect(try workspace.run(["daemon", "--drain"] + quick).status == 0)
        try expectSucceeded("batch_2", 2)
    }

    // MARK: Deaths while a model is loaded, for want of memory for instance

    private func die() throws {
        let outcome = try workspace.run(
            ["daemon", "--drain"] + quick, environment: ["TTBATCH_TEST_FAILPOINTS": "session.loading@1=kill"])
        #expect(outcome.status == 128 + SIGKILL, "\(outcome.errors)")
    }

    @Test func aModelThatKillsTheDaemonTwiceIsPutOffForOthers() throws {
        let path = workspace.path("heavy.gguf")
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: path)
        let heavy = try enqueue(try prompts(), model: path)
        let well = try enqueue(try prompts(3), model: Locations.tinyModel)
        for _ in 0..<2 { try die() }
        let daemon = try workspace.start([
            "daemon", "--set", "daemon.backoff_ms=3600000", "--set", "daemon.max_backoff_s=3600",
        ])
        try eventually("the other batch") { try show(well).counts["succeeded"] as? Int == 3 }
        daemon.send(SIGTERM)
        let outcome = try daemon.waitForEnd()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("\(heavy) cannot run now: \(path): the daemon died while it loaded the model"))
        #expect(try show(heavy).counts["pending"] as? Int == 2)
        #expect(try workspace.run("show", heavy).output.contains("could not be used (once, again at "))
    }

    @Test func aModelThatAlwaysKillsTheDaemonFailsAtTheLimit() throws {
        let heavy = try enqueue(try prompts(), model: Locations.tinyModel)
        // The first death is not counted against any model.
        for _ in 0..<BrokenModel.limit + 1 { try die() }
        let outcome = try workspace.run(["daemon", "--drain"] + quick)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let failure = try #require(try show(heavy).failures.first)
        #expect(failure["code"] as? String == "model_unavailable" && failure["jobs"] as? Int == 2)
    }

    /// A pipe in a model's place is not waited for.
    @Test func aPipeIsNoModel() throws {
        let path = workspace.path("model.gguf")
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: path)
        let broken = try enqueue(try prompts(), model: path)
        let healthy = try enqueue(try prompts(), model: Locations.tinyModel)
        try FileManager.default.removeItem(atPath: path)
        #expect(mkfifo(path, 0o600) == 0)
        let daemon = try workspace.run("daemon", "--drain", "--set", "daemon.backoff_ms=1")
        #expect(daemon.status == 0, "\(daemon.errors)")
        try expectSucceeded(healthy, 2)
        #expect(try show(broken).failures.count == 1)
        #expect(try workspace.run("enqueue", try prompts(), "--model", path).status != 0)
    }
}
