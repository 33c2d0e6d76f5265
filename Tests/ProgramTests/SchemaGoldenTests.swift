// Structured texts hold their schemas: hundreds of schemas, on the real model, against its will.

import Foundation
import TestSupport
import Testing

@Suite("Schemas on the small model")
struct SchemaGoldenTests {
    /// Every finished text is JSON that its schema accepts, greedy and at temperature 1; a text that is not finished
    /// says so, and only its token limit may be the reason.
    @Test(.enabled(if: Locations.realModel != nil))
    func everyFinishedTextIsValid() throws {
        let workspace = try Workspace()
        let file = Locations.golden("json-schemas/requests.jsonl").path
        let outcome = try workspace.run("run", file, model: Locations.realModel)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let results = try ResultLine.byID(outcome.lines)
        var (valid, incomplete) = (0, 0)
        for line in try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n") {
            let request = try jsonObject(String(line))
            let name = try #require(request["custom_id"] as? String)
            let format = (request["response_format"] as? [String: Any])?["json_schema"] as? [String: Any]
            let schema = try #require(format?["schema"] as? [String: Any])
            let result = try #require(results[name])
            let choice = try #require((result.body?["choices"] as? [[String: Any]])?.first)
            let text = try #require((choice["message"] as? [String: Any])?["content"] as? String)
            let structured = result.timings?["structured"] as? [String]
            guard structured == ["complete"] else {
                #expect(structured == ["incomplete"] && choice["finish_reason"] as? String == "length", "\(name)")
                incomplete += 1
                continue
            }
            let value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
            let complaint = SchemaValidator(root: schema).complaint(value)
            #expect(complaint == nil, "\(name): \(text)")
            valid += 1
        }
        #expect(valid + incomplete == results.count)
        #expect(valid > 250, "\(valid) valid, \(incomplete) incomplete")
    }

    /// The test's own validator finds what is wrong.
    @Test(arguments: [
        (#"{"type": "integer"}"#, "1.5"), (#"{"type": "string", "maxLength": 2}"#, #""abc""#),
        (#"{"pattern": "^a$"}"#, #""a\n""#), (#"{"format": "date"}"#, #""2023-02-29""#),
        (#"{"required": ["a"]}"#, "{}"), (#"{"additionalProperties": false, "properties": {"a": true}}"#, #"{"b": 1}"#),
        (#"{"enum": [1, "x"]}"#, "true"), (#"{"prefixItems": [{"type": "null"}], "items": false}"#, "[null, 1]"),
        (#"{"exclusiveMaximum": 2}"#, "2"), (#"{"anyOf": [{"const": 1}, {"type": "null"}]}"#, "2"),
        (##"{"$ref": "#/$defs/a", "$defs": {"a": {"multipleOf": 5}}}"##, "7"), (#"{"uniqueItems": true}"#, "[1, 1]"),
    ])
    func theValidatorComplains(schema: String, value: String) throws {
        let value = try JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
        #expect(SchemaValidator(root: try jsonObject(schema)).complaint(value) != nil)
    }
}
