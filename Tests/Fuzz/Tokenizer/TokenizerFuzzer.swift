// Fuzzes tokenizer.json and the files beside it: what is accepted also encodes and decodes a text.

import Foundation
import Fuzzing
import ModelFiles
import TestSupport
import Tokenizers

@main
enum TokenizerFuzzer: Fuzzer {
    /// The small tokenizers of the golden data with a few tokens each, and the other files.
    static func seeds() throws -> [String: [UInt8]] {
        struct Sample: Decodable { let tokenizer: String }
        let samples = try JSONDecoder().decode(
            [String: Sample].self, from: Data(contentsOf: Locations.golden("tokenizers/hugging-face.json")))
        var seeds = try samples.mapValues { try Array(shortened($0.tokenizer)) }
        for (name, text) in others { seeds[name] = Array(text.utf8) }
        return seeds
    }

    /// A tokenizer.json with only a few tokens and merges.
    private static func shortened(_ text: String) throws -> Data {
        var file = try JSONSerialization.jsonObject(with: Data(text.utf8)) as! [String: Any]
        var model = file["model"] as! [String: Any]
        let tokens = [
            "a", "b", "ab", "Ġ", "Ġa", "▁", "▁a", "e", "12", "1", "2", "<0x41>", "##a", "a</w>", "日", "Ã", "©",
        ]
        model["vocab"] = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, $0) })
        if model["merges"] != nil { model["merges"] = [["a", "b"], ["Ġ", "a"], ["▁", "a"], ["1", "2"]] }
        file["model"] = model
        return try JSONSerialization.data(withJSONObject: file, options: .sortedKeys)
    }

    private static let others = [
        "tekken":
            #"{"config": {"pattern": "\\p{L}+|[^\\p{L}]", "default_vocab_size": 3, "default_num_special_tokens": 2}, "special_tokens": [{"rank": 0, "token_str": "<s>"}], "vocab": [{"rank": 0, "token_bytes": "YQ=="}]}"#,
        "tiktoken": "YQ== 0\nYg== 1\nYWI= 2\n",
        "config":
            #"{"bos_token": {"content": "<s>"}, "eos_token": "a", "add_bos_token": true, "eos_token_id": [0, 1], "added_tokens_decoder": {"300": {"content": "<t>", "lstrip": true, "special": true}}, "chat_template": [{"name": "default", "template": "{{ bos_token }}"}]}"#,
        "small":
            #"{"version": "1.0", "added_tokens": [{"id": 3, "content": "<s>", "special": true, "normalized": true, "single_word": true}], "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Replace", "pattern": {"Regex": "^\\s|(?i:a)$"}, "content": "b"}]}, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[a-c&&[^b]]{1,2}+|(?=\\b)"}, "behavior": "MergedWithNext", "invert": true}, "post_processor": {"type": "BertProcessing", "cls": ["<s>", 3], "sep": ["<s>", 3]}, "decoder": {"type": "BPEDecoder", "suffix": "b"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]], "unk_token": "a", "end_of_word_suffix": "b"}}"#,
    ]
    private static let text = "<s> The 1st “naïve” 日本語\n\tab aab 12345 <t>e\u{301}👩‍👧 \u{1E900}don't▁x"
    private static let known = #"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}"#

    static func test(_ input: UnsafeRawBufferPointer) throws {
        let bytes = Array(input)
        // A text is only one of the files, so that the others refuse it at once.
        try? use(HuggingFaceTokenizerFiles(path: "", vocabulary: .tokenizerJSON(bytes)))
        try? use(HuggingFaceTokenizerFiles(path: "", vocabulary: .tekken(bytes)))
        try? use(HuggingFaceTokenizerFiles(path: "", vocabulary: .tiktoken(bytes, name: "qwen.tiktoken")))
        try use(
            HuggingFaceTokenizerFiles(
                path: "", vocabulary: .tokenizerJSON(Array(known.utf8)), config: bytes, specialTokensMap: bytes))
    }

    private static func use(_ files: HuggingFaceTokenizerFiles) throws {
        let tokenizer = try Tokenizer(huggingFace: files)
        let ids = try tokenizer.encode(prompt: text)
        precondition(ids.allSatisfy { (0..<tokenizer.vocabularySize).contains(Int($0)) })
        precondition(ids.count <= tokenizer.mostTokens(ofBytes: text.utf8.count))
        _ = tokenizer.decode(ids)
        _ = try? ChatTemplate(huggingFace: files, tokenizer: tokenizer)
    }
}
