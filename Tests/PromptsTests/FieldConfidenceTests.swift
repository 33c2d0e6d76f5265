// The probabilities of the values of a JSON text.

import Foundation
import TestSupport
import Testing

@testable import Prompts

@Suite struct FieldConfidenceTests {
    /// The confidences of a text in pieces, each with its probability.
    private func confidences(_ pieces: [(String, Double)]) throws -> [String: Double]? {
        let text = pieces.map(\.0).joined()
        let tokens = pieces.map { (bytes: $0.0.utf8.count, logprob: log($0.1)) }
        return try FieldConfidence.json(of: text, tokens).map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Double])
        }
    }

    private func expect(_ found: [String: Double]?, _ wanted: [String: Double]) {
        #expect(found.map { Set($0.keys) } == Set(wanted.keys))
        for (path, value) in wanted { #expect(abs((found?[path] ?? -1) - value) < 1e-12, "\(path)") }
    }

    @Test func aValueHasTheProbabilityOfItsTokens() throws {
        expect(
            try confidences([
                ("{\"", 1), ("name", 0.9), ("\":", 1), ("\"Os", 0.5), ("lo\"", 0.5), ("}", 0.1), ("", 0.2),
            ]),
            ["$.name": 0.25])
        // Tokens that belong to several values count for each.
        expect(
            try confidences([("[1", 0.5), (",2", 0.25), ("3,", 0.5), ("true]", 1)]),
            ["$[0]": 0.5, "$[1]": 0.125, "$[2]": 1])
        expect(try confidences([(" -1.5e3 ", 0.5)]), ["$": 0.5])
    }

    /// Behind reasoning, and before what a stop string has cut off.
    @Test func theTextMayBeAPartOfTheTokens() throws {
        let tokens = [(2, 0.5), (9, 0.5), (1, 0.25), (2, 0.5)].map { (bytes: $0.0, logprob: log($0.1)) }
        let json = try #require(FieldConfidence.json(of: "7", tokens, offset: 11))
        #expect(json == #"{"$":0.25}"#)
    }

    @Test func pathsNameMembersAndElements() throws {
        let text = #"{"a":{"b c":[{"d_1":null},[]],"é":"\"}"},"":false,"x\"y":{}}"#
        expect(
            try confidences([(text, 0.5)]),
            ["$.a[\"b c\"][0].d_1": 0.5, "$.a[\"é\"]": 0.5, "$[\"\"]": 0.5])
    }

    @Test(arguments: [
        "", "{", "[1,", "yes", "{}x", String(repeating: "[", count: 200) + String(repeating: "]", count: 200),
    ])
    func whatIsNotJSONHasNone(text: String) throws {
        #expect(try confidences([(text, 0.5)]) == nil)
    }
}
