// Fuzzes the check of schemas, regular expressions and grammars. Without llguidance's file it does nothing.

import Constraints
import Foundation
import Fuzzing
import Sampling
import TestSupport

@main
enum SchemaFuzzer: Fuzzer {
    /// The first byte of an input says what it is.
    private static func source(_ input: UnsafeRawBufferPointer) -> GrammarSource? {
        guard let kind = input.first else { return nil }
        let text = String(decoding: input.dropFirst(), as: UTF8.self)
        guard !text.utf8.contains(0) else { return nil }
        switch kind {
        case UInt8(ascii: "r"): return text.utf8.count <= 1 << 16 ? GrammarSource(.regex(text)) : nil
        case UInt8(ascii: "l"): return text.utf8.count <= 1 << 18 ? GrammarSource(.lark(text)) : nil
        case UInt8(ascii: "c"): return GrammarSource(.calls([.init(name: "f", parameters: text)], mayBeSeveral: true))
        default: return GrammarSource(.json(text))
        }
    }

    static func seeds() throws -> [String: [UInt8]] {
        var seeds: [String: [UInt8]] = [
            "regex": Array(#"r[a-f]{2,9}(x|\d+)?\s*"#.utf8), "lark": Array("lstart: A | \"b\" start\nA: /a+/\n".utf8),
            "calls": Array(
                ##"c{"type":"object","properties":{"x":{"$ref":"#/$defs/y"}},"$defs":{"y":{"type":"null"}}}"##.utf8),
        ]
        let requests = try String(contentsOf: Locations.golden("json-schemas/requests.jsonl"), encoding: .utf8)
        for (index, line) in requests.split(separator: "\n").enumerated() where index % 8 == 0 {
            let request = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            let format = (request?["response_format"] as? [String: Any])?["json_schema"] as? [String: Any]
            let schema = try JSONSerialization.data(withJSONObject: format?["schema"] ?? [:])
            seeds["schema-\(index)"] = Array("j".utf8) + schema
        }
        return seeds
    }

    static func test(_ input: UnsafeRawBufferPointer) throws {
        guard let source = source(input) else { return }
        _ = try GrammarChecker().problems(of: source)
    }
}
