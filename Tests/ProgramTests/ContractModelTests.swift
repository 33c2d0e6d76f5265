// The main job on a device behind the bridge: numpy models that check every call against the TT contract, each as strict
// as the classes of its time.

import Foundation
import TestSupport
import Testing

@Suite("Contract model", .enabled(if: ContractModel.python != nil), .serialized)
struct ContractModelTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// What a run is to have made the device do.
    struct Mode: CustomTestStringConvertible, Sendable {
        var modelClass: String
        var sampling = "decode_only"
        var prompts = 16
        var settings: [String] = []
        var testDescription: String {
            ([modelClass, sampling, "\(prompts) prompts"] + settings).joined(separator: ", ")
        }
    }

    /// Settings with which rows that grow take each other's blocks.
    static let tightPool = [
        "engine.max_model_len=256", "engine.block_size=16", "engine.num_blocks_override=20",
    ]

    static let modes: [Mode] = [
        Mode(
            modelClass: ContractModel.april, prompts: 64,
            settings: ["engine.max_num_seqs=16"] + ContractModelTests.tightPool),
        Mode(
            modelClass: ContractModel.september, prompts: 64,
            settings: ["engine.max_num_seqs=16"] + ContractModelTests.tightPool),
        Mode(
            modelClass: ContractModel.dispatcher, prompts: 64,
            settings: ["engine.max_num_seqs=16"] + ContractModelTests.tightPool),
        Mode(modelClass: ContractModel.april, sampling: "all", settings: ["tt.trace_mode=all"]),
        Mode(modelClass: ContractModel.september, sampling: "all", settings: ["tt.trace_mode=all"]),
        Mode(modelClass: ContractModel.dispatcher, sampling: "all"),
        Mode(modelClass: ContractModel.april, sampling: "none", settings: ["tt.trace_mode=none"]),
        Mode(modelClass: ContractModel.september, sampling: "none", settings: ["tt.trace_mode=all"]),
        Mode(modelClass: ContractModel.dispatcher, sampling: "none", settings: ["tt.trace_mode=none"]),
        Mode(modelClass: ContractModel.scalar, settings: ["tt.trace_mode=decode_only"]),
    ]

    /// Real weights give the tokens of transformers in float32, which are the host device's too, under preemption and
    /// resume; ties of the two best logits aside.
    @Test(.enabled(if: Locations.realModel != nil), arguments: modes)
    func tokensOfTheRealModel(mode: Mode) throws {
        let golden = try GoldenFile.greedy().prefix(mode.prompts)
        let lines = try golden.enumerated().map { index, row in
            try requestLine(
                row.id,
                [
                    "prompt": row.prompt_token_ids, "max_tokens": 2 + index % 6, "temperature": 0, "ignore_eos": true,
                    "return_token_ids": true,
                ])
        }
        let file = try workspace.write("prompts.jsonl", lines: lines)
        let model = ContractModel(workspace: workspace, modelClass: mode.modelClass)
        let standard = [
            "engine.max_num_seqs=8", "engine.max_model_len=512", "tt.optimizations=accuracy",
            "bridge.prefill_deadline_s=3000", "bridge.decode_deadline_s=3000",
        ]
        let settings = standard + ["tt.sample_on_device_mode=\(mode.sampling)"] + mode.settings
        let outcome = try model.run(["run", file] + settings.flatMap { ["--set", $0] }, model: Locations.realModel)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let results = try ResultLine.byID(outcome.lines)
        #expect(results.count == golden.count)
        for (index, row) in golden.enumerated() {
            let tokens = try #require(results[row.id]?.tokenIDs)
            #expect(tokens.count == 2 + index % 6)
            guard let step = tokens.indices.first(where: { tokens[$0] != row.token_ids[$0] }) else { continue }
            #expect(
                row.gaps[step] < 0.05,
                "\(row.id) differs at step \(step), where the best logit led by \(row.gaps[step])")
        }
        let counts = try model.counts()
        #expect(counts["weights of another model", default: 0] == 0)
        if mode.modelClass != ContractModel.scalar {
            #expect(counts["remaps", default: 0] == 0, "a row moved")
            #expect(counts["decode warm-ups, trace False"] == 1)
            if mode.settings.contains(where: { $0.contains("num_blocks") }) {
                #expect(counts["prefilled rows", default: 0] > mode.prompts, "nothing was preempted")
            }
            #expect(counts["batched prefills", default: 0] > 0, "\(counts)")
        }
        #expect((counts["steps sampled on the host", default: 0] > 0) == (mode.sampling == "none"))
        #expect((counts["prefills sampled on the device", default: 0] > 0) == (mode.sampling == "all"))
    }

    /// A thousand random jobs: greedy and sampled, with seeds and without; half of them begin alike.
    private func thousandJobs() throws -> [String] {
        var random = SplitMix64(seed: 4)
        let templates = [140, 70].map { length in (0..<length).map { _ in Int.random(in: 3..<250, using: &random) } }
        return try (0..<1000).map { (index: Int) -> String in
            var prompt = (0..<Int.random(in: 1...100, using: &random)).map { _ in
                Int.random(in: 3..<250, using: &random)
            }
            if index % 2 == 0 { prompt = templates[index / 2 % 2] + prompt.prefix(40) }
            var fields: [String: Any] = [
                "prompt": prompt, "max_tokens": Int.random(in: 1...30, using: &random),
                "ignore_eos": Bool.random(using: &random), "return_token_ids": true,
            ]
            switch index % 8 {
            case 5: fields["temperature"] = 0.7; fields["top_k"] = 20
            case 6: fields["temperature"] = 0.9; fields["top_k"] = 8; fields["top_p"] = 0.8; fields["seed"] = index
            default: fields["temperature"] = 0
            }
            if index % 50 == 7 { fields["min_tokens"] = 1 }
            return try requestLine("j\(index)", fields)
        }
    }

    /// On a pool that is too small for all, no call breaks the contract, and greedy jobs get the host device's tokens.
    @Test(arguments: [
        Mode(modelClass: ContractModel.april), Mode(modelClass: ContractModel.april, settings: ["tt.trace_mode=all"]),
        Mode(modelClass: ContractModel.september),
        Mode(modelClass: ContractModel.september, sampling: "all", settings: ["tt.trace_mode=all"]),
        Mode(modelClass: ContractModel.dispatcher),
        Mode(
            modelClass: ContractModel.dispatcher,
            settings: ["engine.data_parallel_size=2", "bridge.visible_devices=0,1"]),
    ])
    func aThousandJobsBreakNothing(mode: Mode) throws {
        let file = try workspace.write("prompts.jsonl", lines: try thousandJobs())
        var model = ContractModel(workspace: workspace, modelClass: mode.modelClass)
        if mode.settings.contains(where: { $0.contains("data_parallel") }) { model.cluster = "wh_n150x4.yaml" }
        let standard = [
            "engine.max_num_seqs=8", "engine.block_size=32", "engine.num_blocks_override=20",
            "tt.optimizations=accuracy", "tt.sample_on_device_mode=\(mode.sampling)",
        ]
        let settings = (standard + mode.settings).flatMap { ["--set", $0] }
        let tiny = Locations.golden("tiny/tiny-f32.gguf").path
        let outcome = try model.run(["run", file] + settings, model: tiny)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let results = try ResultLine.byID(outcome.lines)
        #expect(results.count == 1000)
        let host = try ResultLine.byID(
            try Workspace().run(["run", file, "--set", "tt.optimizations=accuracy"], model: tiny).lines)
        let greedy = (0..<1000).filter { ![5, 6].contains($0 % 8) }
        let same = greedy.filter { results["j\($0)"]?.tokenIDs == host["j\($0)"]?.tokenIDs }
        #expect(Double(same.count) >= 0.99 * Double(greedy.count), "\(same.count) of \(greedy.count) are the same")
        let counts = try model.counts()
        for call in ["transitions", "steady steps", "steps from resident inputs"] {
            #expect(counts[call, default: 0] > 10, "\(call): \(counts)")
        }
        #expect(counts["batched prefills", default: 0] > 0, "\(counts)")
        #expect(counts["prefilled rows", default: 0] > 1000, "nothing was preempted: \(counts)")
    }

    /// A model that takes one set of parameters for a step gets only steps of one set, and the queue comes to its end.
    @Test func jobsAreGroupedByTheirParametersForAModelWithOneSet() throws {
        let lines = try (0..<60).map { index in
            try requestLine(
                "j\(index)",
                [
                    "prompt": [5 + index], "max_tokens": 6, "temperature": [0, 0.5, 0.9][index % 3], "top_k": 5,
                    "ignore_eos": true,
                ])
        }
        let file = try workspace.write("prompts.jsonl", lines: lines)
        let model = ContractModel(workspace: workspace, modelClass: ContractModel.scalar)
        let outcome = try model.run(["run", file, "--set", "engine.max_num_seqs=8"], model: Locations.tinyModel)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.lines.count == 60)
        let counts = try model.counts()
        #expect(counts["steps sampled on the host", default: 0] == 0)
        // 20 jobs of each set in batches of 8: steps were wasted on small batches if there were many more. (The bridge
        // refuses rows of different parameters.)
        #expect((3 * 3 * 5..<150).contains(counts["steps sampled on the device", default: 0]), "\(counts)")
    }

    /// The models themselves: each rule of the classes' days holds for a right caller, and breaks for a wrong one.
    @Test func theModelsAreAsStrictAsTheClasses() throws {
        let (status, output) = try PythonScript.run(
            "ContractModel/check_contract_models.py", python: try #require(ContractModel.python))
        #expect(status == 0, "\(output)")
    }
}
