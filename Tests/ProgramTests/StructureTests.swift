// Structured output, end to end: every field that asks for a form is obeyed, and a text that is cut says so.

import Foundation
import TestSupport
import Testing

@Suite("Structured output")
struct StructureTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// Its keys are in the order of the alphabet, in which these tests write requests.
    private static let schema =
        #"{"type":"object","properties":{"b":{"type":"boolean"},"n":{"type":"integer","minimum":1,"maximum":99}},"#
        + #""required":["b","n"],"additionalProperties":false}"#
    private static let object = #"^\{"b":(true|false),"n":[1-9][0-9]?\}$"#

    /// Every way to ask for a form, and what its texts match.
    private static let forms: [(fields: String, pattern: String)] = [
        (
            #""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":\#(schema)}}"#, object
        ),
        (#""response_format":{"type":"json_object"}"#, #"^\{"#),
        (#""structured_outputs":{"json":\#(schema)}"#, object),
        (#""structured_outputs":{"json":"\#(schema.replacing("\"", with: "\\\""))"}"#, object),
        (#""structured_outputs":{"json_object":true}"#, #"^\{"#),
        (#""structured_outputs":{"regex":"[a-f]{3,5}x"}"#, "^[a-f]{3,5}x$"),
        (#""structured_outputs":{"choice":["one","two","three"]}"#, "^(one|two|three)$"),
        (#""structured_outputs":{"grammar":"start: \"a\" | \"bc\""}"#, "^(a|bc)$"),
        (#""guided_json":\#(schema)"#, object), (#""guided_regex":"[a-f]{3,5}x""#, "^[a-f]{3,5}x$"),
        (#""guided_choice":["one","two","three"]"#, "^(one|two|three)$"),
        (#""guided_grammar":"start: \"a\" | \"bc\"""#, "^(a|bc)$"),
    ]

    /// No field is accepted and then passed over, by neither endpoint.
    @Test func everyFormIsObeyed() throws {
        var requests: [(String, [String: Any])] = []
        for (index, form) in Self.forms.enumerated() {
            for seed in 0..<3 {
                let fields = try jsonObject("{\(form.fields)}").merging(
                    ["max_tokens": 60, "temperature": 1, "seed": seed]) { $1 }
                requests.append(("\(index) text \(seed)", fields.merging(["prompt": "the king"]) { $1 }))
                let messages = [["role": "user", "content": "the king"]]
                requests.append(("\(index) chat \(seed)", fields.merging(["messages": messages]) { $1 }))
            }
        }
        let results = try workspace.results(requests)
        #expect(results.count == requests.count)
        for (name, result) in results {
            let form = Self.forms[try #require(Int(name.prefix { $0 != " " }))]
            let text = try #require(result.text)
            #expect(text.range(of: form.pattern, options: .regularExpression) != nil, "\(form.fields): \(text)")
            let isWhole = result.timings?["structured"] as? [String] == ["complete"]
            // An object of any form may take longer than that.
            #expect(isWhole || result.finishReason == "length" && form.pattern == #"^\{"#, "\(form.fields): \(text)")
            if isWhole, form.fields.contains("json") { _ = try jsonObject(text) }
        }
    }

    /// A greedy model that would write spaces and line breaks for ever ends its text, unless the request allows them; then
    /// it is told that the text is not whole.
    @Test func whitespaceHasAnEnd() throws {
        let spaces = try workspace.results(
            [" ", "\n", "\t", "  "].enumerated().map { index, text in
                ("\(index)", ["prompt": text, "max_tokens": 1, "return_token_ids": true])
            })
        let ids = Set(spaces.values.compactMap(\.promptTokenIDs).joined())
        #expect(ids.count >= 3)
        let bias = Dictionary(uniqueKeysWithValues: ids.map { ("\($0)", 100) })
        func request(_ isCompact: Bool) throws -> [String: Any] {
            [
                "prompt": "the king", "temperature": 0, "max_tokens": 60, "logit_bias": bias,
                "structured_outputs": ["json": try jsonObject(Self.schema), "disable_any_whitespace": isCompact],
            ]
        }
        let results = try workspace.results([("compact", request(true)), ("free", request(false))])
        let compact = try #require(results["compact"])
        #expect(compact.text?.range(of: Self.object, options: .regularExpression) != nil)
        #expect(compact.finishReason == "stop" && compact.timings?["structured"] as? [String] == ["complete"])
        let free = try #require(results["free"])
        #expect(free.text?.dropFirst().allSatisfy(\.isWhitespace) == true, "\(free.text ?? "no text")")
        #expect(free.finishReason == "length" && free.timings?["structured"] as? [String] == ["incomplete"])
    }

    /// Cut at any length, a text is whole, or said not to be.
    @Test func aTextThatIsCutIsNotCalledWhole() throws {
        let lengths = 1...30
        let base: [String: Any] = ["prompt": "the king", "temperature": 0, "guided_json": try jsonObject(Self.schema)]
        let results = try workspace.results(lengths.map { ("\($0)", base.merging(["max_tokens": $0]) { $1 }) })
        var whole = 0
        for length in lengths {
            let result = try #require(results["\(length)"])
            let isWhole = (try? jsonObject(try #require(result.text))) != nil
            #expect(result.timings?["structured"] as? [String] == [isWhole ? "complete" : "incomplete"])
            #expect(result.finishReason == (isWhole ? "stop" : "length"), "\(length): \(result.text ?? "")")
            whole += isWhole ? 1 : 0
        }
        #expect((2...28).contains(whole))
    }

    /// A grammar whose text is complete ends it, however many tokens were to come.
    @Test func aWholeTextEndsBeforeItsMinimumLength() throws {
        let fields: [String: Any] = ["prompt": "the king", "min_tokens": 40, "max_tokens": 50, "temperature": 1]
        let results = try workspace.results([
            ("choice", fields.merging(["guided_choice": ["one", "three"]]) { $1 }),
            ("json", fields.merging(["guided_json": try jsonObject(Self.schema)]) { $1 }),
            ("stops", fields.merging(["guided_choice": ["one", "three"], "stop_token_ids": Array(3..<280)]) { $1 }),
        ])
        for (name, result) in results {
            #expect(result.timings?["structured"] as? [String] == ["complete"], "\(name): \(result.text ?? "")")
            #expect(result.finishReason == "stop" && result.text?.isEmpty == false, "\(name)")
        }
    }
}
