// The tokens of texts that are scored, as they stand behind a prompt.

import OpenAIFormats
import Testing
import Tokenizers

@testable import ModelFiles
@testable import Prompts

@Suite struct ScoredTextTests {
    /// A vocabulary of words and letters that a text's first word gets a space for, as Llama 2's.
    private static let pieces = [
        "<unk>", "<s>", "</s>", "<0x0A>", "▁", "▁yes", "yes", "▁no", "no", "ye", "y", "e", "s", "n", "o", "a", "▁a",
    ]

    private func encoder(addsSpace: Bool) throws -> PromptEncoder {
        let types: [Int64] = [2, 3, 3, 6] + Array(repeating: 1, count: Self.pieces.count - 4)
        let metadata = GGUFMetadata(
            path: "small.gguf",
            values: [
                "tokenizer.ggml.model": .string(Array("llama".utf8)),
                "tokenizer.ggml.tokens": .strings(Self.pieces.map { Array($0.utf8) }),
                "tokenizer.ggml.token_type": .integers(types),
                "tokenizer.ggml.scores": .floats(Self.pieces.indices.map { $0 < 4 ? 0 : Double(-$0) }),
                "tokenizer.ggml.add_space_prefix": .bool(addsSpace),
                "tokenizer.ggml.bos_token_id": .integer(1), "tokenizer.ggml.eos_token_id": .integer(2),
            ])
        return try PromptEncoder(.gguf(metadata), ModelOptions())
    }

    /// The pieces of each text.
    private func pieces(_ texts: [String], addsSpace: Bool) throws -> [[String]] {
        let body = try RequestBody.parse(Array(#"{"prompt":"a","score":["x"]}"#.utf8), endpoint: .completions)
        var scoring = try #require(body.scoring)
        scoring.texts = texts
        return try encoder(addsSpace: addsSpace)
            .scoredTokens(scoring, of: body, behind: [[1, 16]], maxModelLen: 100)
            .map { $0.map { Self.pieces[Int($0)] } }
    }

    /// Only a label's own space counts, whether or not the tokenizer writes one before a text's first word.
    @Test(arguments: [true, false])
    func aLabelHasNoSpaceOfTheTokenizers(addsSpace: Bool) throws {
        let texts = ["yes", " yes", " no", "\nno"]
        #expect(
            try pieces(texts, addsSpace: addsSpace) == [["yes"], ["▁yes"], ["▁no"], ["<0x0A>", "no"]])
    }
}
