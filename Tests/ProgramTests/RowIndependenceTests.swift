// The host device's promise, end to end: a job's tokens depend on its prompt, parameters and seed, and on nothing else.

import Foundation
import TestSupport
import Testing

@Suite("Same tokens in any company", .enabled(if: Locations.realModel != nil))
struct RowIndependenceTests {
    /// Ways to run the same 64 prompts.
    enum Way: String, CaseIterable {
        case oneSlot, twoSlots, eightSlots, shuffled, preempted, sampledOnHost, sampledOnDevice, oneThread

        var settings: [String] {
            switch self {
            case .oneSlot: ["engine.max_num_seqs=1"]
            case .twoSlots: ["engine.max_num_seqs=2"]
            case .eightSlots: ["engine.max_num_seqs=8"]
            case .shuffled: ["engine.max_num_seqs=24"]
            // 18 blocks hold one longest sequence; the 16 rows need several times that.
            case .preempted:
                ["engine.max_num_seqs=16", "engine.max_model_len=288", "engine.num_blocks_override=18"]
            case .sampledOnHost: ["tt.sample_on_device_mode=none"]
            case .sampledOnDevice: ["tt.sample_on_device_mode=all"]
            case .oneThread: ["engine.threads=1"]
            }
        }
    }

    /// All 64 prompts at once, greedily and with a seed at temperature 1.
    private static func prompts(temperature: Double) throws -> [String] {
        let text = try String(contentsOf: Locations.golden("transformers/prompts-64.jsonl"), encoding: .utf8)
        return try text.split(separator: "\n").enumerated().map { index, line in
            var object = try jsonObject(String(line))
            var body = try #require(object["body"] as? [String: Any])
            body["temperature"] = temperature
            if temperature > 0 { body["seed"] = 1000 + index }
            object["body"] = body
            return String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self)
        }
    }

    private static func tokens(_ lines: [String], _ settings: [String]) throws -> [String: [Int]] {
        let workspace = try Workspace()
        let file = try workspace.write("prompts.jsonl", lines: lines)
        let flags = settings.flatMap { ["--set", $0] }
        let outcome = try workspace.run(["run", file] + flags, model: Locations.realModel)
        #expect(outcome.status == 0, "\(outcome.errors)")
        if settings == Way.preempted.settings {
            let metrics = try workspace.run("status", "--metrics", "--json").lines.map { try jsonObject($0) }
            #expect(metrics.compactMap { $0["preemptions"] as? Int }.reduce(0, +) > 10, "preemption was not forced")
        }
        return try ResultLine.byID(outcome.lines).compactMapValues(\.tokenIDs)
    }

    @Test(arguments: [0.0, 1.0])
    func allWaysGiveTheSameTokens(temperature: Double) throws {
        var prompts = try Self.prompts(temperature: temperature)
        let together = try Self.tokens(prompts, ["engine.max_num_seqs=64"])
        #expect(together.count == 64)
        for way in Way.allCases {
            if way == .shuffled { prompts.shuffle() }
            let tokens = try Self.tokens(prompts, way.settings)
            for (id, expected) in together {
                #expect(tokens[id] == expected, "\(id) \(way.rawValue) at temperature \(temperature)")
            }
        }
    }
}
