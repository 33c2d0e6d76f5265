// A bridge that dies, hangs or gives invalid answers: every other job succeeds exactly once, and the log reports the
// fault.

import Foundation
import TestSupport
import Testing

@Suite("Device faults", .enabled(if: ContractModel.python != nil), .serialized)
struct DeviceFaultTests {
    private let workspace: Workspace
    private let tiny = Locations.golden("tiny/tiny-f32.gguf").path
    private let jobs = 40
    /// A token that only one prompt has.
    private let poison = 201
    private let poisonous = 13

    init() throws { workspace = try Workspace() }

    private func prompts() throws -> String {
        let lines = try (0..<jobs).map { (index: Int) -> String in
            var tokens = [10 + index, 60, 100]
            if index == poisonous { tokens.append(poison) }
            return try requestLine(
                "j\(index)",
                [
                    "prompt": tokens, "max_tokens": 6 + index % 9,
                    "temperature": 0, "ignore_eos": true, "return_token_ids": true,
                ])
        }
        return try workspace.write("prompts.jsonl", lines: lines)
    }

    private func run(_ model: ContractModel, _ prompts: String) throws -> Outcome {
        let settings = [
            "engine.max_num_seqs=16", "tt.optimizations=accuracy", "bridge.prefill_deadline_s=2",
            "bridge.decode_deadline_s=2", "bridge.stop_grace_s=1", "bridge.reset_wait_s=0",
            "bridge.reset_command=touch \(workspace.path("was-reset"))",
        ]
        return try model.run(["run", prompts] + settings.flatMap { ["--set", $0] }, model: tiny)
    }

    private func tokensOnTheHost(_ prompts: String) throws -> [String: [Int]?] {
        let outcome = try Workspace().run(["run", prompts, "--set", "tt.optimizations=accuracy"], model: tiny)
        return try ResultLine.byID(outcome.lines).mapValues(\.tokenIDs)
    }

    /// A way to fail once, with what the log says of it and whether the cards are reset.
    struct Fault: CustomTestStringConvertible, Sendable {
        let name: String
        let story: [String]
        let leadsToReset: Bool
        var testDescription: String { name }
    }

    @Test(arguments: [
        Fault(
            name: "killed:5",
            story: ["device fault in decode step: the bridge process is gone", "signal 9", "resetting the cards"],
            leadsToReset: true),
        Fault(
            name: "hang_prefill:2",
            story: ["device fault in prefill step: no progress within 2 s", "stopping the bridge", "killing it"],
            leadsToReset: true),
        Fault(
            name: "hang_decode:4",
            story: ["device fault in decode step: no progress within 2 s", "stopping the bridge", "killing it"],
            leadsToReset: true),
        Fault(
            name: "wrong_shape:4",
            story: ["device fault in decode step", "the model gave tokens of shape (15,) for 16 rows"],
            leadsToReset: false),
    ])
    func everyJobSucceedsOnce(fault: Fault) throws {
        var model = ContractModel(workspace: workspace, modelClass: "faulty_llama:FaultyLlama")
        model.fault = fault.name
        let prompts = try prompts()
        let outcome = try run(model, prompts)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(FileManager.default.fileExists(atPath: workspace.path("has-failed")), "nothing failed")
        let results = try ResultLine.byID(outcome.lines)
        #expect(results.mapValues(\.tokenIDs) == (try tokensOnTheHost(prompts)))
        #expect(results.values.contains { ($0.timings?["attempt"] as? Int ?? 1) > 1 })
        for words in fault.story + ["opening the device again"] {
            #expect(outcome.errors.contains(words), "\(words) is missing in: \(outcome.errors)")
        }
        let wasReset = FileManager.default.fileExists(atPath: workspace.path("was-reset"))
        #expect(wasReset == fault.leadsToReset, "\(outcome.errors)")
    }

    /// The prompt that brings the bridge down in any company is found by halving; the others succeed.
    @Test func thePoisonousPromptIsIsolated() throws {
        var model = ContractModel(workspace: workspace, modelClass: "faulty_llama:FaultyLlama")
        model.fault = "poison:\(poison)"
        model.failsOnce = false
        let prompts = try prompts()
        let outcome = try run(model, prompts)
        #expect(outcome.status == 4, "\(outcome.errors)")
        let results = try ResultLine.byID(outcome.lines)
        #expect(results.count == jobs)
        let expected = try tokensOnTheHost(prompts)
        for (id, result) in results where id != "j\(poisonous)" {
            #expect(result.tokenIDs == expected[id]!, "\(id)")
        }
        #expect(results["j\(poisonous)"]?.errorCode == "crashed_daemon_repeatedly")
        // 16 together, then 8, 4, 2, 1, and 1 again.
        let faults = outcome.errors.components(separatedBy: "opening the device again").count - 1
        #expect((4...8).contains(faults), "\(outcome.errors)")
    }
}
