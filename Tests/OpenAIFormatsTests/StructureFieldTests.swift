// The fields that say what form a text must have, by OpenAI's and by vLLM's names.

import OpenAIFormats
import Sampling
import Testing

@Suite struct StructureFieldTests {
    private static let object = GrammarSource(.json(#"{"type":"object"}"#))

    static let forms: [(fields: String, source: GrammarSource?, path: String)] = [
        (#""response_format":{"type":"text"}"#, nil, ""), (#""response_format":null"#, nil, ""),
        (#""response_format":{"type":"json_object"}"#, object, "response_format"),
        (
            #""response_format":{"type":"json_schema","json_schema":{"name":"a-B_1","schema":{"b":1,"a":2.5},"strict":true}}"#,
            GrammarSource(.json(#"{"b":1,"a":2.5}"#)), "response_format.json_schema.schema"
        ),
        (
            #""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":true,"strict":null,"description":"d"}}"#,
            GrammarSource(.json("true")), "response_format.json_schema.schema"
        ),
        (
            #""structured_outputs":{"json":{"type":"null"}}"#, GrammarSource(.json(#"{"type":"null"}"#)),
            "structured_outputs.json"
        ),
        (#""structured_outputs":{"json":"{}"}"#, GrammarSource(.json("{}")), "structured_outputs.json"),
        (
            #""structured_outputs":{"json":{},"disable_any_whitespace":false,"disable_fallback":true}"#,
            GrammarSource(.json("{}"), allowsWhitespace: true), "structured_outputs.json"
        ),
        (#""structured_outputs":{"regex":"a+"}"#, GrammarSource(.regex("a+")), "structured_outputs.regex"),
        (
            #""structured_outputs":{"choice":["a","b"]}"#, GrammarSource(.choice(["a", "b"])),
            "structured_outputs.choice"
        ),
        (
            #""structured_outputs":{"grammar":"start: \"a\""}"#, GrammarSource(.lark("start: \"a\"")),
            "structured_outputs.grammar"
        ),
        (#""structured_outputs":{"json_object":true}"#, object, "structured_outputs.json_object"),
        (#""guided_json":{"type":"object"},"guided_decoding_backend":"xgrammar""#, object, "guided_json"),
        (#""guided_regex":"a|b""#, GrammarSource(.regex("a|b")), "guided_regex"),
        (#""guided_choice":["é"]"#, GrammarSource(.choice(["é"])), "guided_choice"),
        (#""guided_grammar":"start: x""#, GrammarSource(.lark("start: x")), "guided_grammar"),
    ]

    @Test(arguments: forms)
    func readsEveryForm(fields: String, source: GrammarSource?, path: String) throws {
        for (body, endpoint) in [
            (#"{"prompt":"x",\#(fields)}"#, Endpoint.completions),
            (#"{"messages":[{"role":"user","content":"x"}],\#(fields)}"#, .chatCompletions),
        ] {
            let request = try RequestBody.parse(Array(body.utf8), endpoint: endpoint)
            #expect(request.structure?.source == source)
            #expect((request.structure?.path ?? "") == path)
        }
    }

    static let refused: [(String, String)] = [
        (#""response_format":"json""#, #"response_format: "json" is a string, not an object; give an object"#),
        (#""response_format":{}"#, "response_format.type: is missing; use text, json_object, json_schema"),
        (
            #""response_format":{"type":"json"}"#,
            #"response_format.type: "json" is no type of format; use text, json_object, json_schema"#
        ),
        (#""response_format":{"type":"text","x":1}"#, "response_format.x: is not a field of it; remove it"),
        (#""response_format":{"type":"json_schema"}"#, "response_format.json_schema: is missing; give name and schema"),
        (
            #""response_format":{"type":"json_schema","json_schema":{"name":"a b","schema":{}}}"#,
            #"response_format.json_schema.name: "a b" is no name of a schema; use up to 64 letters, digits, underscores and hyphens"#
        ),
        (
            #""response_format":{"type":"json_schema","json_schema":{"name":"a"}}"#,
            "response_format.json_schema.schema: is missing; give a JSON Schema"
        ),
        (
            #""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":[1]}}"#,
            "response_format.json_schema.schema: […] is an array, not a JSON Schema; give a JSON Schema"
        ),
        (
            #""response_format":{"type":"json_object","json_schema":{}}"#,
            "response_format.json_schema: needs the type json_schema; change the type"
        ),
        (
            #""structured_outputs":{"json":{},"regex":"a"}"#,
            "structured_outputs.regex: stands beside structured_outputs.json; give only one form for the text"
        ),
        (
            #""guided_regex":"a","response_format":{"type":"json_object"}"#,
            "response_format: stands beside guided_regex; give only one form for the text"
        ),
        (
            #""structured_outputs":{}"#,
            "structured_outputs: asks for nothing; give one of json, regex, choice, grammar, json_object"
        ),
        (
            #""structured_outputs":{"structural_tag":{}}"#,
            "structured_outputs.structural_tag: is not supported; use json, regex, choice or grammar"
        ),
        (
            #""structured_outputs":{"regex":"a","whitespace_pattern":" ?"}"#,
            #"structured_outputs.whitespace_pattern: " ?" is not supported; set disable_any_whitespace"#
        ),
        (#""structured_outputs":{"jsn":{}}"#, "structured_outputs.jsn: is not a field of it; did you mean json?"),
        (#""guided_choice":[]"#, "guided_choice: is empty; give 1 to 10000 texts of at most 262144 bytes together"),
        (#""guided_choice":["a",""]"#, #"guided_choice[1]: "" is empty; give a text"#),
        (#""guided_regex":"""#, "guided_regex: is empty; give a text of at most 65536 bytes without U+0000"),
        (#""guided_regex":"a\u0000""#, "guided_regex: has U+0000; give a text of at most 65536 bytes without U+0000"),
        (#""guided_json":{"a":1,"a":2}"#, #"guided_json: the key "a" is given twice; keep one"#),
        (
            #""guided_whitespace_pattern":" ""#,
            #"guided_whitespace_pattern: " " is not supported yet; remove the field"#
        ),
    ]

    @Test(arguments: refused)
    func refuses(fields: String, message: String) throws {
        let messages = try errors(of: #"{"prompt":"x",\#(fields)}"#)
        #expect(messages.contains(message), "\(messages)")
    }

    @Test func veryLargeGrammarsAreRefused() throws {
        let long = String(repeating: "a", count: 70_000)
        #expect(try errors(of: #"{"prompt":"x","guided_regex":"\#(long)"}"#).first?.contains("has 70000 bytes") == true)
        let texts = (0..<10_001).map { #""\#($0)""# }.joined(separator: ",")
        #expect(
            try errors(of: #"{"prompt":"x","guided_choice":[\#(texts)]}"#).first?.contains("has 10001 texts") == true)
    }
}
