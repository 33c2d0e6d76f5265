// Rows of every kind in the same steps: each gets what it gets alone, on the host device and behind the bridge.

import Foundation
import TestSupport
import Testing

@Suite("Rows of every kind together", .serialized)
struct MixedRowsTests {
    /// Slots of the device batch, and blocks so few that rows are preempted.
    private static let companies = [
        ["engine.max_num_seqs=1"], ["engine.max_num_seqs=2"], ["engine.max_num_seqs=32"], crowded,
    ]
    private static let crowded = [
        "engine.max_num_seqs=8", "engine.num_blocks_override=9", "engine.block_size=16", "engine.max_model_len=100",
    ]

    /// The answers to requests that run together, and how often a row was preempted.
    private func run(
        _ kinds: [RequestKind], _ settings: [String], status: Int32 = 0,
        by start: (Workspace, [String]) throws -> Outcome
    ) throws -> (results: [String: ResultLine], preemptions: Int) {
        let workspace = try Workspace()
        let file = try workspace.write("requests.jsonl", lines: try kinds.map { try $0.line })
        let outcome = try start(workspace, ["run", file] + settings.flatMap { ["--set", $0] })
        #expect(outcome.status == status, "\(settings): \(outcome.errors)")
        let metrics = try workspace.run("status", "--metrics", "--json").lines.map { try jsonObject($0) }
        let preemptions = metrics.compactMap { $0["preemptions"] as? Int }.reduce(0, +)
        return (try ResultLine.byID(outcome.lines), preemptions)
    }

    /// Compares each kind in company with itself alone: in a run of its own, or, which is faster, in a run with one slot.
    /// Logprobs may differ by `tolerance`.
    private func expectTheSame(
        _ kinds: [RequestKind], _ companies: [[String]], _ settings: [String] = [], tolerance: Double,
        inRunsOfTheirOwn: Bool, by start: (Workspace, [String]) throws -> Outcome
    ) throws {
        var alone: [String: [String: Any]] = [:]
        for group in inRunsOfTheirOwn ? kinds.map({ [$0] }) : [kinds] {
            let results = try run(group, settings + ["engine.max_num_seqs=1"], by: start).results
            for kind in group { alone[kind.name] = try results[kind.name]?.answer }
        }
        #expect(alone.count == kinds.count)
        var random = SplitMix64(seed: 26)
        for company in companies {
            let order = (kinds + RequestKind.unseeded).shuffled(using: &random)
            let (results, preemptions) = try run(order, settings + company, by: start)
            let answers = try results.mapValues { try $0.answer }
            let others = alone.keys.sorted().filter { !isSame(alone[$0], answers[$0], tolerance: tolerance) }
            let pairs = others.map { "\($0): \(alone[$0] ?? [:]), now \(answers[$0] ?? [:])" }
            #expect(others == [], "not as alone with \(settings + company): \(pairs)")
            #expect(preemptions > 3 || company != Self.crowded, "\(preemptions) preemptions")
        }
    }

    /// Bit for bit, whatever the slots, threads and order, and with so little memory that rows are preempted.
    @Test func rowsAreTheSameInAnyCompany() throws {
        try expectTheSame(RequestKind.all, Self.companies, tolerance: 0, inRunsOfTheirOwn: true) {
            workspace, arguments in
            try workspace.run(arguments)
        }
    }

    /// The same on a device behind the bridge, in its own draws and the host's. The last digits of numpy's products depend
    /// on the number of rows.
    @Test(
        .enabled(if: ContractModel.python != nil),
        arguments: [
            (ContractModel.april, "decode_only"), (ContractModel.september, "decode_only"),
            (ContractModel.september, "all"), (ContractModel.dispatcher, "decode_only"),
        ])
    func rowsAreTheSameBehindTheBridge(modelClass: String, sampling: String) throws {
        let companies = [2, 8].map { ["engine.max_num_seqs=\($0)"] } + [Self.crowded]
        let kinds = RequestKind.all.filter { !$0.scoresPrompt }
        let settings = ["tt.sample_on_device_mode=\(sampling)"]
        try expectTheSame(kinds, companies, settings, tolerance: 1e-4, inRunsOfTheirOwn: false) {
            workspace, arguments in
            try ContractModel(workspace: workspace, modelClass: modelClass)
                .run(arguments, model: Locations.golden("tiny/tiny-f32.gguf").path)
        }
    }

    /// The device has logits of a prompt's last token only, so logprobs of the others are refused, and harm nobody.
    @Test(.enabled(if: ContractModel.python != nil))
    func whatTheBridgeCannotTellIsRefused() throws {
        let (results, _) = try run(RequestKind.all, ["engine.max_num_seqs=8"], status: 4) { workspace, arguments in
            try ContractModel(workspace: workspace).run(
                arguments, model: Locations.golden("tiny/tiny-f32.gguf").path)
        }
        for kind in RequestKind.all {
            let result = try #require(results[kind.name])
            #expect(result.status == (kind.scoresPrompt ? 400 : 200), "\(kind.name)")
            guard kind.scoresPrompt else { continue }
            let error = try #require(result.body?["error"] as? [String: Any])
            #expect(error["param"] as? String == "prompt_logprobs")
            #expect((error["message"] as? String)?.contains("run the job on the host") == true, "\(error)")
        }
    }
}
