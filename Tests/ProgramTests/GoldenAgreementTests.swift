// The main job on real models against Hugging Face transformers in float32.

import Foundation
import TestSupport
import Testing

@Suite("Agreement with transformers")
struct GoldenAgreementTests {
    @Test(.enabled(if: Locations.realModel != nil))
    func greedyTokensInAccuracyMode() throws {
        try expectAgreement(
            of: Locations.realModel, prompts: "prompts-64.jsonl", with: "smollm2-135m-greedy-f32.json")
    }

    /// Windows, and the tokenizer of SentencePiece.
    @Test(.enabled(if: Locations.gemma != nil))
    func gemmasGreedyTokensInAccuracyMode() throws {
        try expectAgreement(
            of: Locations.gemma, prompts: "gemma3-270m-prompts-64.jsonl", with: "gemma3-270m-greedy-f32.json")
    }

    /// With `optimizations = accuracy` 32 greedy tokens are the same on 95 % of the prompts, and where they are not, two
    /// logits were nearly equal.
    private func expectAgreement(of model: String?, prompts: String, with answers: String) throws {
        let golden = try GoldenFile.greedy(answers)
        #expect(golden.count >= 64)
        let workspace = try Workspace()
        let outcome = try workspace.run(
            "run", Locations.golden("transformers/" + prompts).path, "--set", "tt.optimizations=accuracy",
            model: model)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let results = try ResultLine.byID(outcome.lines)
        #expect(results.count == golden.count)
        var same = 0
        for row in golden {
            let result = try #require(results[row.id])
            #expect(result.promptTokenIDs == row.prompt_token_ids, "\(row.id)")
            let tokens = try #require(result.tokenIDs)
            #expect(tokens.count == row.token_ids.count)
            guard let step = tokens.indices.first(where: { tokens[$0] != row.token_ids[$0] }) else {
                same += 1
                continue
            }
            #expect(
                row.gaps[step] < 0.05,
                "\(row.id) differs at step \(step), where the best logit led by \(row.gaps[step])")
        }
        #expect(Double(same) >= 0.95 * Double(golden.count), "\(same) of \(golden.count) are the same")
    }
}
