// tekken.json and tiktoken files, small ones, against the definition: the neighbours whose union comes first are joined.

import Foundation
import ModelFiles
import TestSupport
import Testing

@testable import Tokenizers

struct RankedTokensTests {
    /// The 256 bytes, and what was merged of them, in this order.
    private static let tokens: [[UInt8]] =
        (0...255).map { [UInt8($0)] }
        + ["th", "he", "the", " t", " the", "in", "ing", "\u{E9}", "aa", "aaa", "12", "123", "e ", "er", "ther"].map {
            Array($0.utf8)
        }

    private static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    private static func tekken(_ change: (inout String) -> Void = { _ in }) -> [UInt8] {
        let vocabulary = tokens.enumerated().map {
            #"{"rank": \#($0), "token_bytes": "\#(base64($1))", "token_str": null}"#
        }
        var text = #"""
            {"config": {"pattern": "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s+",
            "num_vocab_tokens": 300, "default_vocab_size": \#(tokens.count + 9), "default_num_special_tokens": 10, "version": "v7"},
            "special_tokens": [{"rank": 0, "token_str": "<unk>", "is_control": true}, {"rank": 1, "token_str": "<s>", "is_control": true},
            {"rank": 2, "token_str": "</s>", "is_control": true}], "vocab": [\#(vocabulary.joined(separator: ", "))]}
            """#
        change(&text)
        return Array(text.utf8)
    }

    private static var tiktoken: String {
        tokens.enumerated().map { "\(base64($1)) \($0)\n" }.joined()
    }

    private func load(_ vocabulary: HuggingFaceTokenizerFiles.Vocabulary, config: String? = nil) throws -> Tokenizer {
        try Tokenizer(
            huggingFace: HuggingFaceTokenizerFiles(
                path: "folder", vocabulary: vocabulary, config: config.map { Array($0.utf8) }))
    }

    /// tiktoken's definition on one piece.
    private func definition(_ piece: [UInt8], count: Int) -> [Int32] {
        var parts = piece.map { [$0] }
        func rank(_ part: [UInt8]) -> Int? { Self.tokens.prefix(count).firstIndex(of: part) }
        if let whole = rank(piece) { return [Int32(whole)] }
        while true {
            let best = (0..<max(parts.count - 1, 0)).compactMap { place in
                rank(parts[place] + parts[place + 1]).map { (place, $0) }
            }
            .min { (a: (Int, Int), b: (Int, Int)) in a.1 < b.1 || a.1 == b.1 && a.0 < b.0 }
            guard let (place, _) = best else { return parts.map { Int32(rank($0)!) } }
            parts.replaceSubrange(place...place + 1, with: [parts[place] + parts[place + 1]])
        }
    }

    @Test func tekkenMergesByRank() throws {
        let tokenizer = try load(.tekken(Self.tekken()))
        // The last token of the file is beyond the model's vocabulary.
        #expect(tokenizer.vocabularySize == 10 + Self.tokens.count - 1)
        var generator = SplitMix64(seed: 1)
        for _ in 0..<300 {
            let word = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                "theringa".randomElement(using: &generator)!
            }
            let text = String(word)
            let ids = try tokenizer.encode(text, specials: .text)
            #expect(ids == definition(Array(text.utf8), count: Self.tokens.count - 1).map { $0 + 10 })
            #expect(tokenizer.decode(ids) == text)
        }
        #expect(tokenizer.markers.bos == 1 && tokenizer.markers.eos == 2 && tokenizer.endOfGenerationTokens == [2])
        #expect(try tokenizer.encode(prompt: "the") == [1, 10 + 258])
        #expect(try tokenizer.encode("<s>", specials: .text).allSatisfy { !tokenizer.isControl($0) })
        #expect(try tokenizer.encode("<SPECIAL_7>", specials: .parsed) == [7])
    }

    @Test func earlyTekkenFilesDoNotListTheirSpecialTokens() throws {
        let tokenizer = try load(.tekken(Self.tekken { $0 = $0.replacing("\"special_tokens\"", with: "\"others\"") }))
        #expect(try tokenizer.encode("[INST]the[/INST]", specials: .parsed) == [3, 10 + 258, 4])
        #expect(tokenizer.markers.bos == 1 && tokenizer.endOfGenerationTokens == [2])
    }

    @Test func qwensTiktokenHasItsSpecialTokens() throws {
        let tokenizer = try load(.tiktoken(Array(Self.tiktoken.utf8), name: "qwen.tiktoken"))
        let first = Int32(Self.tokens.count)
        #expect(try tokenizer.encode("<|im_start|>ther<|im_end|>", specials: .parsed) == [first + 1, 270, first + 2])
        #expect(try tokenizer.encode("<|extra_204|>", specials: .parsed) == [first + 207])
        #expect(tokenizer.endOfGenerationTokens == [first, first + 2])
        // Composed first, as Qwen's own tokenizer does.
        #expect(try tokenizer.encode("e\u{301}", specials: .text) == [263])
        let named = try load(
            .tiktoken(Array(Self.tiktoken.utf8), name: "x.tiktoken"), config: #"{"tokenizer_class": "QWenTokenizer"}"#)
        #expect(named.vocabularySize == Self.tokens.count + 208)
    }

    @Test func refusesOtherFamiliesAndBrokenFiles() throws {
        func message(_ vocabulary: HuggingFaceTokenizerFiles.Vocabulary, config: String? = nil) -> String {
            #expect(throws: TokenizerError.self) { try load(vocabulary, config: config) }?.description ?? ""
        }
        #expect(
            message(
                .tiktoken(Array(Self.tiktoken.utf8), name: "a.tiktoken"),
                config: #"{"tokenizer_class": "TikTokenTokenizer"}"#
            )
            .contains(
                "folder/a.tiktoken: the pattern and the special tokens of the class TikTokenTokenizer are not known"))
        #expect(
            message(.tiktoken(Array("YQ== 1\n".utf8), name: "qwen.tiktoken")).contains(
                "qwen.tiktoken: line 1: the rank is not 0"))
        #expect(
            message(.tiktoken(Array("YQ== 0\n!! 1\n".utf8), name: "qwen.tiktoken")).contains(
                "line 2: is not a token in base64"))
        #expect(message(.tiktoken([], name: "qwen.tiktoken")).contains("has no tokens"))
        for (found, replacement, reason) in [
            ("v7\"},\n\"special_tokens\"", "v8\"},\n\"others\"", "special_tokens is missing"),
            ("\\\\p{N}|", "\\\\X|", "config.pattern: the regular expression cannot be used: the escape \\X"),
            ("\"rank\": 7,", "\"rank\": 8,", "vocab has no token of rank 7"),
            ("\"token_bytes\": \"AA==\"", "\"token_bytes\": \"*\"", "vocab[0]: token_bytes is not base64"),
            (
                "\"default_vocab_size\": 2", "\"default_vocab_size\": -2",
                "config.default_vocab_size: is not a number from 0"
            ),
            (
                "\"default_num_special_tokens\": 10", "\"default_num_special_tokens\": 2",
                "special_tokens[2].rank: is not a number from 0 to 1"
            ),
        ] {
            let message = message(.tekken(Self.tekken { $0 = $0.replacing(found, with: replacement) }))
            #expect(message.contains("folder/tekken.json: ") && message.contains(reason), "\(message)")
        }
    }
}
