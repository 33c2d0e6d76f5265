// The numpy models of the TT contract, as devices for the program: Tests/ContractModel behind the real bridge.

import Foundation
import TestSupport
import Testing

/// How the program is run on the contract model.
struct ContractModel {
    /// A Python that has numpy; `TTBATCH_TEST_PYTHON` names one.
    static let python: String? = {
        let given = ProcessInfo.processInfo.environment["TTBATCH_TEST_PYTHON"]
        return [given, "python3", "/usr/bin/python3"].compactMap { $0 }.first { python in
            guard let folder = try? TemporaryFolder() else { return false }
            let outcome = try? RunningProgram(
                ["-c", "import sys, numpy; sys.exit(sys.version_info < (3, 10))"], program: python,
                environment: ProcessInfo.processInfo.environment, in: folder.url
            ).outcome()
            return outcome?.status == 0
        }
    }()

    let workspace: Workspace
    /// `module:Class`.
    var modelClass = Self.dispatcher
    /// tt-metal's class of spring 2026, of September 2026, and the standalone package's.
    static let april = "tt_metal_april:LlamaForCausalLM"
    static let september = "tt_metal_september:LlamaForCausalLM"
    static let dispatcher = "tt_transformers_dispatcher:LlamaForCausalLM"
    /// The oldest form: one set of sampling parameters for a step.
    static let scalar = "scalar_llama:ScalarLlama"
    /// What the model is to do wrong.
    var fault: String?
    /// Whether it does so once only.
    var failsOnce = true
    var cluster = "wh_n150.yaml"

    private var violationsPath: String { workspace.path("violations.txt") }

    /// The environment of the program.
    var environment: [String: String] {
        let tests = Locations.repository.appending(path: "Tests")
        var variables = [
            // Threads of BLAS that wait for each other are slow where other tests use the cores.
            "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
            // A test's own modules are in its workspace.
            "PYTHONPATH": tests.appending(path: "ContractModel").path + ":" + workspace.directory.path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TT_METAL_MOCK_CLUSTER_DESC_PATH": tests.appending(path: "MockMesh/\(cluster)").path,
            "CONTRACT_VIOLATIONS": violationsPath, "CONTRACT_COUNTS": workspace.path("counts"),
            "TT_CACHE_PATH": workspace.path("weights"),
        ]
        variables["CONTRACT_FAULT"] = fault
        if failsOnce { variables["CONTRACT_FAULT_ONCE"] = workspace.path("has-failed") }
        return variables
    }

    /// The flags that choose it.
    var flags: [String] {
        [
            "--set", "engine.device=ttnn", "--set", "bridge.python=\(Self.python ?? "python3")", "--set",
            "bridge.model_class=\(modelClass)",
        ] + (modelClass == Self.dispatcher ? ["--set", "bridge.hf_model=\(snapshot)"] : [])
    }

    /// The dispatcher serves checkpoints that Hugging Face's cache names, and no other folder.
    private var snapshot: String {
        workspace.path("hub/models--meta-llama--Llama-3.2-1B-Instruct/snapshots/0")
    }

    /// Runs a verb on it; the contract must not be broken, nor a step fail that was not told to. `last` wins over the
    /// flags that choose it. Its weights are those of `gguf`, if the model itself is no GGUF file.
    func run(
        _ arguments: [String], last: [String] = [], model: String?, gguf: String? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> Outcome {
        try FileManager.default.createDirectory(atPath: snapshot, withIntermediateDirectories: true)
        try "{}".write(toFile: snapshot + "/config.json", atomically: true, encoding: .utf8)
        var variables = environment
        variables["CONTRACT_GGUF"] = gguf ?? model
        let outcome = try workspace.run(arguments + flags + last, model: model, environment: variables)
        let violations = (try? String(contentsOfFile: violationsPath, encoding: .utf8)) ?? ""
        #expect(violations.isEmpty, "\(violations)", sourceLocation: location)
        // A daemon survives a step that fails, and then there is nothing to see in the results.
        let isUnasked = fault == nil && outcome.errors.contains("opening the device again")
        #expect(!isUnasked, "\(outcome.errors)", sourceLocation: location)
        return outcome
    }

    /// How often each kind of call was made, over all bridges that ended in order.
    func counts() throws -> [String: Int] {
        var sums: [String: Int] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)
        where name.hasPrefix("counts.") {
            let counts = try JSONDecoder().decode([String: Int].self, from: Data(workspace.read(name).utf8))
            sums.merge(counts, uniquingKeysWith: +)
        }
        return sums
    }
}
