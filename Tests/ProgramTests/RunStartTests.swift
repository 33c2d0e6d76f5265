// A `run` that cannot start leaves nothing in the queue: three failing calls are three errors, and nothing for the next daemon.

import Foundation
import ModelFiles
import TestSupport
import Testing

@Suite("runs that cannot start")
struct RunStartTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func prompts(_ name: String = "prompts.jsonl") throws -> String {
        let lines = try (0..<3).map {
            try requestLine("p\($0)", ["prompt": "ab", "max_tokens": 3, "temperature": 0, "ignore_eos": true])
        }
        return try workspace.write(name, lines: lines)
    }

    private func batches(_ arguments: String...) throws -> [[String: Any]] {
        try workspace.run(["list", "--drafts", "--json"] + arguments).lines.map { try jsonObject($0) }
    }

    /// Something that keeps a `run` from starting, and the message for it.
    struct Obstacle: CustomTestStringConvertible, Sendable {
        let name: String
        var settings: [String] = []
        var environment: [String: String] = [:]
        let status: Int32
        let words: String

        var testDescription: String { name }
    }

    @Test(arguments: [
        Obstacle(
            name: "a longest sequence that the model does not have", settings: ["engine.max_model_len=65536"],
            status: 2,
            words: "max_model_len = 65536"),
        Obstacle(
            name: "a cache that is too small", settings: ["engine.kv_cache_memory_bytes=100"], status: 2,
            words: "kv_cache_memory_bytes"),
        Obstacle(name: "too few blocks", settings: ["engine.num_blocks_override=2"], status: 2, words: "2 blocks of"),
        Obstacle(name: "a mesh", settings: ["engine.mesh_device=T3K"], status: 2, words: "needs 8 devices"),
        Obstacle(
            name: "a setting that is not supported", settings: ["engine.tensor_parallel_size=2"], status: 2,
            words: "tensor_parallel_size"),
        Obstacle(name: "an unknown device", settings: ["engine.device=abacus"], status: 2, words: "abacus"),
        Obstacle(name: "a device that is not there", settings: ["engine.device=ttnn"], status: 2, words: "no device"),
        Obstacle(
            name: "more replicas than cores", settings: ["engine.data_parallel_size=1000"], status: 2,
            words: "data_parallel_size"),
        Obstacle(
            name: "kernels that the processor does not have", environment: ["TTBATCH_ISA": "abacus"], status: 1,
            words: "TTBATCH_ISA"),
    ])
    func nothingIsStored(obstacle: Obstacle) throws {
        let file = try prompts()
        // One batch that was there before stays.
        #expect(try workspace.run("enqueue", file).status == 0)
        for _ in 0..<3 {
            let run = try workspace.run(
                ["run", file] + obstacle.settings.flatMap { ["--set", $0] }, environment: obstacle.environment)
            #expect(run.status == obstacle.status && run.lines.isEmpty)
            #expect(run.errors.contains(obstacle.words), "\(run.errors)")
            #expect(!run.errors.contains("stays in the queue"))
        }
        let left = try batches()
        #expect(left.map { $0["id"] as? String } == ["batch_1"] && left[0]["status"] as? String == "in_progress")
    }

    /// If one of several files is refused, none is stored. Errors that only the model's tensors show are found as well.
    @Test func aModelThatIsNotComputedRefusesAllFiles() throws {
        let broken = try #require(BrokenModel.all.first { $0.name == "aBias" })
        let path = workspace.path("model.gguf")
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: path)
        try broken.spoil(path, GGUFFile(path: Locations.tinyModel))
        let run = try workspace.run("run", try prompts(), try prompts("more.jsonl"), "--model", path)
        #expect(run.status == 1 && run.errors.contains("\(path): \(broken.words)"), "\(run.errors)")
        #expect(try batches().isEmpty)
    }

    /// What only the loaded model shows comes after storing: the batch is cancelled, and that is said. One that was there
    /// before is not this call's to cancel.
    @Test(.enabled(if: ContractModel.python != nil), arguments: [false, true])
    func whatWasStoredByARunThatFailsBeforeItsFirstJobIsCancelled(wasThere: Bool) throws {
        let model = ContractModel(workspace: workspace, modelClass: ContractModel.april)
        let tiny = Locations.golden("tiny/tiny-f32.gguf").path
        let name = ["--name", "nightly", "--if-not-exists"]
        let file = try prompts()
        if wasThere { #expect(try workspace.run(["enqueue", file] + name, model: tiny).status == 0) }
        let run = try model.run(["run", file] + name, last: ["--set", "engine.max_num_seqs=5"], model: tiny)
        #expect(run.status == 1 && run.errors.contains("Batch size 5 not supported"), "\(run.errors)")
        let said = wasThere ? "in the queue: batch_1;" : "not begun and cancelled: batch_1"
        #expect(run.errors.contains(said), "\(run.errors)")
        #expect(try batches().map { $0["status"] as? String } == [wasThere ? "in_progress" : "cancelled"])
    }

    /// Where another process's daemon does the work, its settings count and not those of the call.
    @Test func settingsOfARunThatFollowsADaemonAreNotChecked() throws {
        let daemon = try workspace.start(["daemon"])
        try eventually("the daemon") { daemon.errorsSoFar.contains("owns the queue") }
        let run = try workspace.run("run", try prompts(), "--set", "engine.max_model_len=65536")
        #expect(run.status == 0 && run.lines.count == 3, "\(run.errors)")
        #expect(run.errors.contains("--set has no effect"))
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }
}
