// Token ids and text against Hugging Face `tokenizers`: Golden/tokenizers, made by make_tokenizer_golden.py there.

import Foundation
import Jinja
import Testing

@testable import Tokenizers

@Suite(.enabled(if: TestModel.path != nil))
struct HuggingFaceTests {
    private struct Encoding: Decodable {
        let text: String
        let ids: [Int32]
        let ids_special: [Int32]?
        let ids_nfc: [Int32]?
    }

    private struct Decoding: Decodable {
        let ids: [Int32]
        let bytes: Data
        let text: String
    }

    @Test(arguments: ["smollm", "gpt-2", "llama-bpe", "qwen2"])
    func encodesLikeHuggingFace(_ pre: String) throws {
        let tokenizer = try TestModel.tokenizer(pre: pre)
        let rows = try goldenRows(pre, as: Encoding.self)
        #expect(rows.count >= (pre == "smollm" ? 2_000 : 300))
        for row in rows {
            let ids = try tokenizer.encode(row.text, specials: .text)
            #expect(ids == row.ids_nfc ?? row.ids, "\(row.text.debugDescription)")
            if row.ids_nfc == nil {
                let parsed = try tokenizer.encode(row.text, specials: .parsed)
                #expect(parsed == row.ids_special ?? row.ids, "parsed \(row.text.debugDescription)")
            }
        }
    }

    @Test func decodesLikeHuggingFace() throws {
        let rows = try goldenRows("decode", as: Decoding.self)
        #expect(rows.count >= 300)
        for row in rows {
            let bytes = TestModel.tokenizer.bytes(of: row.ids, skipSpecial: false)
            #expect(Data(bytes) == row.bytes)
            #expect(Array(String(decoding: bytes, as: UTF8.self).unicodeScalars) == Array(row.text.unicodeScalars))
        }
    }

    @Test func decodesBackToTheSameBytes() throws {
        let missing = TestModel.tokenizer.unencodableBytes
        for row in try goldenRows("smollm", as: Encoding.self) {
            let expected = row.text.utf8.filter { !missing.contains($0) }
            #expect(TestModel.tokenizer.bytes(of: row.ids, skipSpecial: false) == expected)
        }
    }

    private struct Prompts: Decodable {
        struct Row: Decodable {
            let request: Request
            let prompt: String
            let prompt_token_ids: [Int32]
        }
        struct Request: Decodable {
            let messages: [[String: String]]?
        }
        let rows: [Row]
    }

    @Test func promptsAndChatsEqualTransformers() throws {
        let data = try golden("transformers/smollm2-135m-greedy-f32.json")
        let rows = try JSONDecoder().decode(Prompts.self, from: data).rows
        #expect(rows.count >= 64 && rows.contains { $0.request.messages != nil })
        let tokenizer = TestModel.tokenizer
        let template = try ChatTemplate(TestModel.metadata, tokenizer: tokenizer)
        for row in rows {
            guard let messages = row.request.messages else {
                #expect(try tokenizer.encode(prompt: row.prompt) == row.prompt_token_ids)
                continue
            }
            let values = messages.map { JinjaValue.object($0.map { (key: $0.key, value: .string($0.value)) }) }
            let rendering = try template.render(
                messages: .array(values), now: WallClockTime(secondsSinceEpoch: 0))
            #expect(rendering.segments.map(\.text).joined() == row.prompt)
            #expect(try tokenizer.encode(rendering.segments) == row.prompt_token_ids)
        }
    }
}
