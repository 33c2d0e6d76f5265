// The model's logits and tokens against Hugging Face transformers in float32.

import Foundation
import ModelFiles
import Platform
import TestSupport
import Testing

@testable import HostDevice

@Suite struct GoldenModelTests {
    static let tinyNames = [
        "tiny-f32", "tiny-f16", "tiny-bf16", "tiny-q8_0", "tiny-q4_0", "tiny-q4_1", "tiny-mixed",
    ]

    @Test(arguments: tinyNames)
    func accuracyAgreesWithTransformers(name: String) throws {
        let golden = try #require(try GoldenModels.tiny().first { $0.file == name + ".gguf" })
        let loaded = try LoadedModel(tiny: name)
        for row in golden.rows {
            if let expected = row.first_logits {
                let logits = try loaded.prefill(row.prompt_token_ids)
                #expect(logits.count == expected.count)
                let worst = zip(logits, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
                #expect(worst < 3e-4, "\(name), prompt of \(row.prompt_token_ids.count)")
            }
            #expect(try loaded.generate(row.prompt_token_ids, count: row.token_ids.count) == row.token_ids)
        }
    }

    @Test(arguments: tinyNames)
    func performanceStaysNearAccuracy(name: String) throws {
        let golden = try #require(try GoldenModels.tiny().first { $0.file == name + ".gguf" })
        let exact = try LoadedModel(tiny: name)
        let fast = try LoadedModel(tiny: name, .performance)
        for row in golden.rows {
            let expected = try exact.prefill(row.prompt_token_ids)
            let logits = try fast.prefill(row.prompt_token_ids)
            let error = zip(logits, expected).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
            let size = expected.reduce(0.0) { $0 + Double($1 * $1) }
            #expect((error / size).squareRoot() < 0.12, "\(name)")
        }
    }

    @Test(.enabled(if: Locations.realModel != nil))
    func realModelAgreesWithTransformers() throws {
        try expectAgreement(of: try #require(Locations.realModel), with: "smollm2-135m-greedy-f32.json")
    }

    /// Windows of 512 tokens, five of them for one layer without; matrices of four types, two of them K-quants.
    @Test(.enabled(if: Locations.gemma != nil))
    func gemmaAgreesWithTransformers() throws {
        try expectAgreement(of: try #require(Locations.gemma), with: "gemma3-270m-greedy-f32.json")
    }

    private func expectAgreement(of path: String, with name: String) throws {
        struct Golden: Decodable { let rows: [GoldenRow] }
        let golden = try JSONDecoder().decode(
            Golden.self, from: Data(contentsOf: Locations.golden("transformers/" + name)))
        let longest = golden.rows.map(\.prompt_token_ids.count).max() ?? 0
        let loaded = try LoadedModel(
            path: path, threads: 2, blockCount: 96, maxSequenceLength: max(512, longest + 48))
        for row in stride(from: 0, to: golden.rows.count, by: 8).map({ golden.rows[$0] }) {
            let tokens = try loaded.generate(row.prompt_token_ids, count: 32)
            let same = zip(tokens, row.token_ids).prefix { $0 == $1 }.count
            if same < 32 {
                #expect(row.gaps[same] < 0.05, "token \(same) of a prompt of \(row.prompt_token_ids.count)")
            }
        }
    }
}
