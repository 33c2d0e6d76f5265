// Prompts that begin alike, through the whole program: the same results with and without sharing, and less work with it.

import Foundation
import TestSupport
import Testing

@Suite("Prompts that begin alike")
struct PrefixSharingTests {
    /// 24 chats, each with its own question and one of two system prompts of `sentences` sentences.
    private static func prompts(temperature: Double, sentences: Int) throws -> [String] {
        let systems = ["You are a clerk who files letters. ", "You are a cook who writes menus. "]
            .map { String(repeating: $0, count: sentences) }
        return try (0..<24).map { index in
            try requestLine(
                "q\(index)", url: "/v1/chat/completions",
                [
                    "messages": [
                        ["role": "system", "content": systems[index % 2]],
                        ["role": "user", "content": "Number \(index), please."],
                    ],
                    "max_tokens": 12, "temperature": temperature, "return_token_ids": true,
                ])
        }
    }

    /// What each job got, and how many prompt tokens were prefilled and found in the cache.
    private func run(
        _ prompts: [String], _ settings: [String], model: String
    ) throws -> (results: [String: [Int]], prefilled: Int, cached: Int) {
        let workspace = try Workspace()
        let file = try workspace.write("prompts.jsonl", lines: prompts)
        let flags = (settings + ["engine.max_num_seqs=4"]).flatMap { ["--set", $0] }
        let outcome = try workspace.run(["run", file] + flags, model: model)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let metrics = try workspace.run("status", "--metrics", "--json").lines.map { try jsonObject($0) }
        func sum(_ key: String) -> Int { metrics.compactMap { $0[key] as? Int }.reduce(0, +) }
        let results = try ResultLine.byID(outcome.lines).compactMapValues(\.tokenIDs)
        let summary = try workspace.run("show", "batch_1").output
        #expect(summary.contains("\(sum("cached_tokens")) prompt tokens were in the KV cache already"), "\(summary)")
        return (results, sum("prompt_tokens"), sum("cached_tokens"))
    }

    private func expectSameResults(model: String, temperature: Double, sentences: Int) throws {
        let prompts = try Self.prompts(temperature: temperature, sentences: sentences)
        let without = try run(prompts, ["engine.enable_prefix_caching=false"], model: model)
        #expect(without.results.count == 24 && without.cached == 0)
        let shared = try run(prompts, [], model: model)
        #expect(shared.results == without.results)
        #expect(shared.prefilled + shared.cached == without.prefilled)
        #expect(shared.prefilled * 2 < without.prefilled, "\(shared.prefilled) of \(without.prefilled)")
        // 40 blocks of 8 tokens: too few to keep what others might share, and for four rows to end undisturbed.
        let crowded = try run(
            prompts, ["engine.block_size=8", "engine.num_blocks_override=40", "engine.max_model_len=256"], model: model)
        #expect(crowded.results == without.results && crowded.cached > 0)
    }

    @Test(arguments: [0.0, 1.0])
    func theTinyModelSaysTheSame(temperature: Double) throws {
        try expectSameResults(model: Locations.tinyModel, temperature: temperature, sentences: 3)
    }

    @Test(.enabled(if: Locations.realModel != nil), arguments: [0.0, 1.0])
    func theRealModelSaysTheSame(temperature: Double) throws {
        try expectSameResults(model: try #require(Locations.realModel), temperature: temperature, sentences: 12)
    }
}
