// The main job through the real ttnn on a mock cluster: tensors go up and down, and what comes down is zeros.

import Foundation
import Testing

@Suite("Real ttnn", .enabled(if: ProcessInfo.processInfo.environment["TTBATCH_TEST_TTNN_PYTHON"] != nil))
struct RealTTNNTests {
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
