// What a model file must say, and the errors where it does not.

import ModelFiles
import Testing

@testable import Tokenizers

struct TokenizerLoadingTests {
    @Test(arguments: [
        ("tokenizer.ggml.model", TinyVocabulary.string("bert"), "\"bert\" (WordPiece) is not supported"),
        ("tokenizer.ggml.model", TinyVocabulary.string("t5"), "\"t5\" (Unigram) is not supported"),
        ("tokenizer.ggml.model", TinyVocabulary.string("gemma4"), "\"gemma4\""),
        ("tokenizer.ggml.model", TinyVocabulary.string("new"), "\"new\" is not supported"),
        ("tokenizer.ggml.model", TinyVocabulary.string("llama"), "tokenizer.ggml.scores"),
        ("tokenizer.ggml.pre", TinyVocabulary.string("nonsense"), "\"nonsense\""),
        ("tokenizer.ggml.pre", TinyVocabulary.string("nonsense"), "tokenizer.pre of the model in the configuration"),
        (
            "tokenizer.ggml.pre", TinyVocabulary.string("sarvam-moe"),
            "\"sarvam-moe\" (tokenizer.ggml.pre: BPE of escaped spaces)"
        ),
        ("tokenizer.ggml.pre", nil, "tokenizer.ggml.pre"),
        ("tokenizer.ggml.pre", nil, "tokenizer.pre of the model in the configuration"),
        ("tokenizer.ggml.tokens", nil, "tokenizer.ggml.tokens"),
        ("tokenizer.ggml.tokens", MetadataValue.strings([]), "0 tokens"),
        ("tokenizer.ggml.token_type", MetadataValue.integers([1, 2]), "2 token types"),
        ("tokenizer.ggml.merges", MetadataValue.strings([Array("h zzz".utf8)]), "merge 0 (\"h zzz\")"),
        ("tokenizer.ggml.merges", MetadataValue.strings([Array("he".utf8)]), "merge 0 is not two tokens"),
        ("tokenizer.ggml.bos_token_id", MetadataValue.integer(99_999), "bos_token_id is 99999"),
    ])
    func refusesWithAReason(_ key: String, _ value: MetadataValue?, _ reason: String) throws {
        let error = #expect(throws: TokenizerError.self) { try TinyVocabulary.tokenizer([key: value]) }
        let message = error?.description ?? ""
        #expect(message.contains("tiny.gguf") && message.contains(reason), "\(message)")
    }

    @Test func refusesBOSWithoutItsId() throws {
        #expect(throws: TokenizerError.self) {
            try TinyVocabulary.tokenizer([
                "tokenizer.ggml.add_bos_token": .bool(true), "tokenizer.ggml.bos_token_id": nil,
            ])
        }
    }

    /// A merge to a control token exists in some files; ordinary text must still not become that token.
    @Test func leavesOutMergesToControlTokens() throws {
        let merges = TinyVocabulary.merges + ["<un k>"]
        let tokenizer = try TinyVocabulary.tokenizer([
            "tokenizer.ggml.merges": .strings(merges.map { Array($0.utf8) })
        ])
        #expect(try !tokenizer.encode("<unk>", specials: .text).contains(TinyVocabulary.id("<unk>")))
    }

    @Test func unknownPreTokenizerNamesTheKnownOnes() throws {
        let error = #expect(throws: TokenizerError.self) {
            try TinyVocabulary.tokenizer(["tokenizer.ggml.pre": TinyVocabulary.string("x")])
        }
        #expect(error?.description.contains("llama-bpe") == true)
    }

    @Test(arguments: [nil, TinyVocabulary.string("nonsense"), TinyVocabulary.string("qwen2")])
    func thePreTokenizerCanBeNamedByTheConfiguration(_ inFile: MetadataValue?) throws {
        let metadata = TinyVocabulary.metadata(["tokenizer.ggml.pre": inFile])
        let tokenizer = try Tokenizer(metadata, preTokenizer: "llama-bpe")
        #expect(tokenizer.markers.addsBOS)
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(metadata, preTokenizer: "mine") }
        #expect(error?.description.contains("\"mine\"") == true)
    }

    /// Such a token was added to the file, or comes from a broken conversion; texts are spelt in the alphabet only.
    @Test(arguments: ["\u{3000}", "日本", "\u{2019}", "a b"], [false, true])
    func aTokenOutsideTheAlphabetShadowsNone(_ raw: String, takesWholeTokens: Bool) throws {
        let spelling = String(decoding: ByteLevel.spelling(of: Array(raw.utf8)), as: UTF8.self)
        let bytes = ByteLevel.spelling(of: Array(raw.utf8).dropLast())
        // The raw one has the lower id.
        let tokens = TinyVocabulary.alphabet + [raw, String(decoding: bytes, as: UTF8.self), spelling]
        var merges: [String] = []
        let parts = Array(raw.utf8).map { TinyVocabulary.alphabet[Int($0)] }
        var all = tokens
        for length in 2..<parts.count {
            let merged = parts.prefix(length).joined()
            if !all.contains(merged) { all.append(merged) }
            merges.append(parts.prefix(length - 1).joined() + " " + parts[length - 1])
        }
        merges.append(parts.dropLast().joined() + " " + parts[parts.count - 1])
        let tokenizer = try TinyVocabulary.tokenizer([
            "tokenizer.ggml.tokens": .strings(all.map { Array($0.utf8) }),
            "tokenizer.ggml.token_type": .integers([Int64](repeating: 1, count: all.count)),
            "tokenizer.ggml.merges": .strings(merges.map { Array($0.utf8) }),
            "tokenizer.ggml.bos_token_id": .integer(0), "tokenizer.ggml.eos_token_id": nil,
            "tokenizer.ggml.pre": TinyVocabulary.string(takesWholeTokens ? "llama-bpe" : "bloom"),
        ])
        let ids = try tokenizer.encode(raw, specials: .text)
        #expect(!ids.contains(256) && tokenizer.decode(ids) == raw)
        if !raw.contains(" ") { #expect(ids == [258]) }
        #expect(tokenizer.decode([256]) == raw, "it keeps its text where a model generates it")
    }

    /// Kimi's files may have no merges: the order of the tokens is that of the merges, as in tiktoken.
    @Test func mergesByOrderWhereThereAreNoMerges() throws {
        let tokens = TinyVocabulary.alphabet + ["bc", "ab", "abc", "cd", "abcd"]
        let changes: [String: MetadataValue?] = [
            "tokenizer.ggml.tokens": .strings(tokens.map { Array($0.utf8) }),
            "tokenizer.ggml.token_type": .integers([Int64](repeating: 1, count: tokens.count)),
            "tokenizer.ggml.merges": nil, "tokenizer.ggml.pre": TinyVocabulary.string("kimi-k2"),
            "tokenizer.ggml.bos_token_id": .integer(0), "tokenizer.ggml.eos_token_id": nil,
        ]
        let tokenizer = try TinyVocabulary.tokenizer(changes)
        #expect(try tokenizer.encode("abc", specials: .text) == [258])
        #expect(try tokenizer.encode("abd bcd", specials: .text) == [257, 100, 32, 256, 100])
        var other = changes
        other["tokenizer.ggml.pre"] = TinyVocabulary.string("qwen2")
        let error = #expect(throws: TokenizerError.self) { try TinyVocabulary.tokenizer(other) }
        #expect(error?.description.contains("tokenizer.ggml.merges") == true)
    }

    @Test func takesWholeTokensWhereTheFamilyDoes() throws {
        // No merge makes "world", so merging spells it; Llama 3 takes it whole.
        let tokens = TinyVocabulary.alphabet + ["world"]
        let changes: [String: MetadataValue?] = [
            "tokenizer.ggml.tokens": .strings(tokens.map { Array($0.utf8) }),
            "tokenizer.ggml.token_type": .integers([Int64](repeating: 1, count: 257)),
            "tokenizer.ggml.merges": .strings([]), "tokenizer.ggml.bos_token_id": .integer(0),
            "tokenizer.ggml.eos_token_id": nil,
        ]
        #expect(try TinyVocabulary.tokenizer(changes).encode("world", specials: .text).count == 5)
        let llama = changes.merging(["tokenizer.ggml.pre": TinyVocabulary.string("llama-bpe")]) { $1 }
        #expect(try TinyVocabulary.tokenizer(llama).encode("world", specials: .text) == [256])
        #expect(try TinyVocabulary.tokenizer(llama).markers.addsBOS)
    }

    @Test(.enabled(if: TestModel.path != nil))
    func readsTheRealModel() throws {
        let tokenizer = TestModel.tokenizer
        #expect(tokenizer.vocabularySize == 49_152)
        #expect(tokenizer.markers.bos == 1 && tokenizer.markers.eos == 2 && !tokenizer.markers.addsBOS)
        #expect(tokenizer.endOfGenerationTokens == [0, 2])
        #expect(try tokenizer.encode(prompt: "Hello world") == [19556, 905])
    }
}
