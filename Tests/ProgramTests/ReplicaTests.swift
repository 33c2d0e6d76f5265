// Several replicas of the model behind one queue: on the host's cores, and on two bridges of which one is killed.

import Foundation
import TestSupport
import Testing

@Suite("Replicas", .serialized)
struct ReplicaTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// Each replica on the host needs a core of its own.
    static let hasTwoCores: Bool = {
        let settings = ["--set", "engine.device=host", "--set", "engine.data_parallel_size=2"]
        guard let outcome = try? Workspace().run(["devices"] + settings, model: Locations.tinyModel) else {
            return false
        }
        return outcome.output.contains("replica 2: processor")
    }()

    private func prompts(_ count: Int) throws -> String {
        let lines = try (0..<count).map { (index: Int) -> String in
            try requestLine(
                "j\(index)",
                [
                    "prompt": (0..<3 + index % 40).map { 5 + ($0 * 7 + index) % 200 }, "max_tokens": 1 + index * 7 % 23,
                    "temperature": [0, 0.8][index % 2], "ignore_eos": true, "return_token_ids": true,
                ])
        }
        return try workspace.write("prompts.jsonl", lines: lines)
    }

    @Test(.enabled(if: ReplicaTests.hasTwoCores, "each replica needs a core of its own"))
    func twoReplicasGiveTheTokensOfOne() throws {
        let file = try prompts(200)
        func run(_ replicas: Int) throws -> (tokens: [String: [Int]?], blocks: Int, log: String) {
            let workspace = try Workspace()
            let model = Locations.tinyModel
            let batch = try workspace.run(["enqueue", file], model: model).lines[0]
            let settings = [
                "engine.device=host", "engine.max_num_seqs=8", "engine.data_parallel_size=\(replicas)",
            ]
            let daemon = try workspace.run(
                ["daemon", "--drain"] + settings.flatMap { ["--set", $0] }, model: model)
            #expect(daemon.status == 0, "\(daemon.errors)")
            let results = try ResultLine.byID(try workspace.run(["results", batch], model: nil).lines)
            let metrics = try workspace.run(["status", "--metrics", "--json"], model: nil).lines[0]
            let interval = try JSONSerialization.jsonObject(with: Data(metrics.utf8)) as? [String: Any]
            return (results.mapValues(\.tokenIDs), interval?["kv_blocks_total"] as? Int ?? 0, daemon.errors)
        }
        let (one, two) = (try run(1), try run(2))
        #expect(two.tokens.count == 200 && two.tokens == one.tokens)
        // Metrics are of both.
        #expect(one.blocks > 0 && two.blocks == 2 * one.blocks)
        #expect(!one.log.contains("replica 1"))
        for words in ["replica 1: device: ", "replica 2: device: "] {
            #expect(two.log.contains(words), "\(two.log)")
        }
    }

    @Test func moreReplicasThanCoresAreRefusedBeforeAnythingIsStored() throws {
        let file = try prompts(2)
        let settings = ["--set", "engine.device=host", "--set", "tt.data_parallel=1000"]
        let outcome = try workspace.run(["run", file] + settings, model: Locations.tinyModel)
        #expect(outcome.status != 0 && outcome.errors.contains("data_parallel_size = 1000"), "\(outcome.errors)")
        #expect(try workspace.run(["list"], model: nil).output.contains("batch_") == false)
    }

    /// One of two bridges is killed: both stop, the cards are reset once, and every job succeeds exactly once.
    @Test(.enabled(if: ContractModel.python != nil)) func oneOfTwoBridgesIsKilled() throws {
        let file = try prompts(60)
        var model = ContractModel(workspace: workspace, modelClass: "faulty_llama:FaultyLlama")
        model.fault = "killed:5"
        model.cluster = "wh_n150x4.yaml"
        let settings = [
            "engine.data_parallel_size=2", "bridge.visible_devices=2,0", "engine.max_num_seqs=8",
            "tt.optimizations=accuracy", "bridge.reset_wait_s=0",
            "bridge.reset_command=touch \(workspace.path("was-reset"))",
        ]
        let tiny = Locations.golden("tiny/tiny-f32.gguf").path
        let outcome = try model.run(["run", file] + settings.flatMap { ["--set", $0] }, model: tiny)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let results = try ResultLine.byID(outcome.lines)
        let host = try ResultLine.byID(
            try Workspace().run(["run", file, "--set", "tt.optimizations=accuracy"], model: tiny).lines)
        #expect(results.count == 60 && host.count == 60)
        for index in 0..<60 {
            let tokens = try #require(results["j\(index)"]?.tokenIDs)
            #expect(tokens.count == 1 + index * 7 % 23)
            // Others are sampled on the device.
            if index.isMultiple(of: 2) { #expect(tokens == host["j\(index)"]?.tokenIDs, "j\(index)") }
        }
        #expect(results.values.contains { ($0.timings?["attempt"] as? Int ?? 1) > 1 })
        for words in ["replica 1: device: ", "replica 2: device: ", "device fault in decode step", "signal 9"] {
            #expect(outcome.errors.contains(words), "\(words) is missing in: \(outcome.errors)")
        }
        #expect(outcome.errors.components(separatedBy: "resetting the cards").count == 2, "\(outcome.errors)")
        #expect(outcome.errors.components(separatedBy: "opening the device again").count == 2, "\(outcome.errors)")
        // Both served: of four bridges, the killed one wrote nothing.
        let files = try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)
        let served = try files.filter { try $0.hasPrefix("counts.") && workspace.read($0).contains("\"decodes\"") }
        #expect(served.count == 3, "\(files)")
    }

    @Test(.enabled(if: ContractModel.python != nil)) func cardsThatCannotBeDividedAreNamed() throws {
        var model = ContractModel(workspace: workspace)
        model.cluster = "wh_n150x4.yaml"
        let settings = ["engine.data_parallel_size=3", "bridge.visible_devices=0,1,2,3"]
        let outcome = try model.run(
            ["run", try prompts(2)] + settings.flatMap { ["--set", $0] }, model: Locations.tinyModel)
        #expect(outcome.status != 0)
        #expect(
            outcome.errors.contains("data_parallel_size = 3 does not divide the 4 visible devices 0,1,2,3"),
            "\(outcome.errors)")
    }
}
