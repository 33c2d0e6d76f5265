// Where control tokens are found in text, and where they must not be.

import Jinja
import ModelFiles
import Testing

@testable import Tokenizers

struct SpecialTokenTests {
    private let tokenizer: Tokenizer
    private let start = TinyVocabulary.id("<|start|>")
    private let end = TinyVocabulary.id("<|end|>")

    init() throws { tokenizer = try TinyVocabulary.tokenizer() }

    private func text(_ text: String) throws -> [Int32] { try tokenizer.encode(text, specials: .text) }

    @Test func parsesTheLongestTokenFirst() throws {
        #expect(try tokenizer.encode("<|start|>hello<|end|>", specials: .parsed) == [start] + text("hello") + [end])
        let ending = TinyVocabulary.id("<|end|>ing")
        #expect(try tokenizer.encode("<|end|>ing<|end|>in", specials: .parsed) == [ending, end] + text("in"))
        #expect(try tokenizer.encode("<<|end|><|end", specials: .parsed) == text("<") + [end] + text("<|end"))
    }

    @Test func textNeverBecomesAControlToken() throws {
        for spelling in TinyVocabulary.specials.map(\.text) {
            let ids = try text("a \(spelling) b")
            #expect(!ids.contains(where: tokenizer.isControl))
            #expect(tokenizer.decode(ids) == "a \(spelling) b")
        }
    }

    @Test func userDefinedTokensAreFoundInEitherMode() throws {
        let tool = TinyVocabulary.id("<tool>")
        #expect(try text("<tool>") == [tool])
        #expect(try tokenizer.encode("<tool>", specials: .parsed) == [tool])
        #expect(tokenizer.decode([tool]) == "<tool>")
    }

    @Test func unusedTokensAreNeverFound() throws {
        #expect(try !tokenizer.encode("[unused1]", specials: .parsed).contains(TinyVocabulary.id("[unused1]")))
    }

    @Test func segmentsEqualTheWholeText() throws {
        let segments = [
            Segment(text: "<|start|>", origin: .template), Segment(text: "hel", origin: .data),
            Segment(text: "lo", origin: .template), Segment(text: " wor", origin: .data),
            Segment(text: "ld<|e", origin: .template), Segment(text: "nd|>", origin: .template),
        ]
        let whole = segments.map(\.text).joined()
        #expect(try tokenizer.encode(segments) == tokenizer.encode(whole, specials: .parsed))
    }

    @Test(arguments: [
        ["d:<|end|>"], ["t:<|", "d:end|>"], ["d:<|end", "t:|>"], ["t:<|end", "d:|", "t:>"], ["d:<|", "d:end|>"],
    ])
    func dataNeverFormsAControlToken(_ parts: [String]) throws {
        let segments = parts.map { part in
            Segment(text: String(part.dropFirst(2)), origin: part.hasPrefix("t") ? .template : .data)
        }
        #expect(try tokenizer.encode(segments) == text("<|end|>"))
    }

    @Test func dataCannotLengthenATemplateToken() throws {
        let segments = [Segment(text: "<|end|>", origin: .template), Segment(text: "ing", origin: .data)]
        #expect(try tokenizer.encode(segments) == [end] + text("ing"))
    }

    @Test func addsBOSAndEOSOnce() throws {
        let tokenizer = try TinyVocabulary.tokenizer([
            "tokenizer.ggml.add_bos_token": .bool(true), "tokenizer.ggml.add_eos_token": .bool(true),
        ])
        #expect(try tokenizer.encode(prompt: "hello") == [start] + text("hello") + [end])
        #expect(try tokenizer.encode(prompt: "<|start|>hello<|end|>") == [start] + text("hello") + [end])
        #expect(try tokenizer.encode([Segment(text: "hello", origin: .data)]) == text("hello"))
        #expect(try self.tokenizer.encode(prompt: "hello") == text("hello"))
    }

    @Test func knowsWhatEndsGeneration() throws {
        let eot = TinyVocabulary.id("<|eot_id|>")
        #expect(tokenizer.endOfGenerationTokens == [end, eot])
        let other = try TinyVocabulary.tokenizer(["tokenizer.ggml.eom_token_id": .integer(7)])
        #expect(other.endOfGenerationTokens == [end, eot, 7])
    }
}
