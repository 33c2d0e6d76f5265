// The main job through the real ttnn on mock clusters: real operations, with numbers beside them; and replicas' tensors.

import Foundation
import TestSupport
import Testing

@Suite(
    "Real ttnn", .enabled(if: ProcessInfo.processInfo.environment["TTBATCH_TEST_TTNN_PYTHON"] != nil), .serialized)
struct RealTTNNTests {
    /// ttnn's kernels are built once for all runs.
    private static let kernels = FileManager.default.temporaryDirectory.appending(path: "ttbatch-test-kernels").path

    /// What the program runs on.
    struct Lane: CustomTestStringConvertible, Sendable {
        var modelClass: String
        var board: String
        var settings: [String]
        var testDescription: String { ([modelClass, board] + settings).joined(separator: ", ") }
    }

    /// Prompts of all padded lengths, half of them with one of two beginnings.
    private func prompts(_ workspace: Workspace) throws -> String {
        var random = SplitMix64(seed: 6)
        func draw(_ count: Int) -> [Int] { (0..<count).map { _ in Int.random(in: 3..<250, using: &random) } }
        let beginnings = [draw(200), draw(1050)]
        let lines = try (0..<40).map { index in
            let prompt = (index % 2 == 0 ? beginnings[index / 2 % 2] : []) + draw(1 + index * 13 % 150)
            return try requestLine(
                "j\(index)",
                [
                    "prompt": prompt, "max_tokens": 2 + index % 7, "temperature": 0, "ignore_eos": index % 3 != 0,
                    "return_token_ids": true,
                ])
        }
        return try workspace.write("prompts.jsonl", lines: lines)
    }

    /// ttnn takes every operation of a llama that is driven by the program, and tokens are the host device's.
    @Test(arguments: [
        Lane(modelClass: "OperationsLlama", board: "wh_n150", settings: ["tt.trace_mode=all"]),
        Lane(modelClass: "OperationsLlama", board: "bh_p150", settings: ["tt.trace_mode=decode_only"]),
        Lane(
            modelClass: "OperationsLlama", board: "bh_p150",
            settings: ["tt.sample_on_device_mode=none", "tt.trace_mode=none"]),
        Lane(modelClass: "LegacyOperationsLlama", board: "wh_n150", settings: ["tt.trace_mode=decode_only"]),
        Lane(
            modelClass: "LegacyOperationsLlama", board: "wh_n150",
            settings: ["tt.trace_mode=none", "engine.num_blocks_override=40"]),
        Lane(modelClass: "LegacyOperationsLlama", board: "bh_p150", settings: ["tt.trace_mode=all"]),
    ])
    func realOperationsGiveTheHostsTokens(lane: Lane) throws {
        let python = try #require(ProcessInfo.processInfo.environment["TTBATCH_TEST_TTNN_PYTHON"])
        let workspace = try Workspace()
        let model = workspace.path("small.gguf")
        try PythonScript.makeSmallModel(model, python: python)
        let file = try prompts(workspace)
        let tests = Locations.repository.appending(path: "Tests")
        let settings = [
            "engine.device=ttnn", "engine.block_size=64", "engine.max_num_seqs=8", "tt.optimizations=accuracy",
            "bridge.python=\(python)", "bridge.model_class=operations_llama:\(lane.modelClass)",
        ]
        let outcome = try workspace.run(
            ["run", file] + (settings + lane.settings).flatMap { ["--set", $0] }, model: model,
            environment: [
                "PYTHONPATH": tests.appending(path: "RealOperations").path, "PYTHONDONTWRITEBYTECODE": "1",
                "TT_METAL_MOCK_CLUSTER_DESC_PATH": tests.appending(path: "MockMesh/\(lane.board).yaml").path,
                "OPERATIONS_COUNTS": workspace.path("counts"), "CONTRACT_GGUF": model,
                "TT_METAL_CACHE": Self.kernels,
            ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let host = try Workspace().run(["run", file, "--set", "tt.optimizations=accuracy"], model: model)
        let expected = try ResultLine.byID(host.lines).mapValues(\.tokenIDs)
        #expect(expected.count == 40)
        #expect(try ResultLine.byID(outcome.lines).mapValues(\.tokenIDs) == expected)
        let validated = try workspace.read("counts").split(separator: "\n").map {
            try JSONDecoder().decode(Operations.self, from: Data($0.utf8)).validated
        }
        let kinds = Set(validated.flatMap(\.keys))
        #expect(validated.reduce(0) { $0 + $1.values.reduce(0, +) } > 300)
        // What a step is made of: the cache is filled and read in both kinds of steps.
        for kind in [
            "paged_fill_cache", "paged_update_cache", "paged_scaled_dot_product_attention_decode", "linear", "rms_norm",
        ] {
            #expect(kinds.contains { $0.hasSuffix(kind) }, "\(kind) is not among \(kinds.sorted())")
        }
    }

    private struct Operations: Decodable {
        var validated: [String: Int]
    }

    /// The same models without the program: logits are the numpy llama's, and what has no numbers is an error.
    @Test(arguments: ["wh_n150", "bh_p150"]) func theModelsHoldTheirOwnCheck(board: String) throws {
        let python = try #require(ProcessInfo.processInfo.environment["TTBATCH_TEST_TTNN_PYTHON"])
        let workspace = try Workspace()
        let model = workspace.path("small.gguf")
        try PythonScript.makeSmallModel(model, python: python)
        let tests = Locations.repository.appending(path: "Tests")
        let (status, output) = try PythonScript.run(
            "RealOperations/check_operations.py", [model], python: python,
            environment: [
                "PYTHONPATH": tests.appending(path: "RealOperations").path,
                "TT_METAL_MOCK_CLUSTER_DESC_PATH": tests.appending(path: "MockMesh/\(board).yaml").path,
                "TT_METAL_CACHE": Self.kernels,
            ])
        #expect(status == 0, "\(output)")
    }

    /// Two replicas have a chip each of four that are not connected.
    @Test(arguments: [1, 2]) func aBatchRunsOnAMockCluster(replicas: Int) throws {
        let python = try #require(ProcessInfo.processInfo.environment["TTBATCH_TEST_TTNN_PYTHON"])
        let mesh = Locations.repository.appending(path: "Tests/MockMesh")
        let cluster = replicas == 1 ? "wh_n150.yaml" : "wh_n150x4.yaml"
        let workspace = try Workspace()
        let lines = try (0..<40).map { index in
            try requestLine(
                "j\(index)",
                [
                    "prompt": [5 + index], "max_tokens": 2 + index % 5, "temperature": 0, "ignore_eos": true,
                    "return_token_ids": true,
                ])
        }
        let file = try workspace.write("prompts.jsonl", lines: lines)
        let settings = [
            "engine.device=ttnn", "engine.block_size=64", "bridge.python=\(python)",
            "bridge.model_class=mock_mesh_model:MockMeshModel", "engine.data_parallel_size=\(replicas)",
            "bridge.visible_devices=" + (replicas == 1 ? "0" : "3,1"),
        ]
        let outcome = try workspace.run(
            ["run", file] + settings.flatMap { ["--set", $0] },
            environment: [
                "PYTHONPATH": mesh.path, "PYTHONDONTWRITEBYTECODE": "1",
                "TT_METAL_MOCK_CLUSTER_DESC_PATH": mesh.appending(path: cluster).path,
            ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let results = try ResultLine.byID(outcome.lines)
        for index in 0..<40 {
            #expect(results["j\(index)"]?.tokenIDs == Array(repeating: 0, count: 2 + index % 5))
        }
        #expect(!outcome.errors.contains("did not end in order"), "\(outcome.errors)")
    }
}
