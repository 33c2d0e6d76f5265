// What transformers answers in float32 (Tests/Golden/transformers).

import Foundation
import TestSupport

/// A row of the golden file.
struct GoldenRow: Decodable {
    let id: String
    let prompt_token_ids: [Int]
    let token_ids: [Int]
    /// How far the best logit led, for each token.
    let gaps: [Double]
}

/// Greedy answers to 64 prompts.
struct GoldenFile: Decodable {
    private let rows: [GoldenRow]

    static func greedy(_ name: String = "smollm2-135m-greedy-f32.json") throws -> [GoldenRow] {
        let data = try Data(contentsOf: Locations.golden("transformers/" + name))
        return try JSONDecoder().decode(GoldenFile.self, from: data).rows
    }
}
