// Token ids and text against SentencePiece: Golden/tokenizers/sentencepiece.json, made by make_sentencepiece_golden.py there.

import Foundation
import TestSupport
import Testing

@testable import ModelFiles
@testable import Tokenizers

struct SentencePieceTests {
    private struct Model: Decodable, Sendable {
        let pieces: [String]
        let types: [Int64]
        let scores: [Double]
        let add_space_prefix: Bool
        let remove_extra_whitespaces: Bool
        let encodings: [Row<String, [Int32]>]
        let decodings: [Row<[Int32], String>]

        /// As a GGUF file has it: what is matched as text is spelt with spaces.
        func metadata(_ changes: [String: MetadataValue?] = [:]) -> GGUFMetadata {
            let spellings = zip(pieces, types).map { $1 == 4 ? $0.replacingScalar("▁", with: " ") : $0 }
            var values: [String: MetadataValue] = [
                "tokenizer.ggml.model": TinyVocabulary.string("llama"),
                "tokenizer.ggml.tokens": .strings(spellings.map { Array($0.utf8) }),
                "tokenizer.ggml.token_type": .integers(types), "tokenizer.ggml.scores": .floats(scores),
                "tokenizer.ggml.add_space_prefix": .bool(add_space_prefix),
                "tokenizer.ggml.remove_extra_whitespaces": .bool(remove_extra_whitespaces),
            ]
            for (key, value) in changes { values[key] = value }
            return GGUFMetadata(path: "small.gguf", values: values)
        }
    }

    private struct Row<Input: Decodable & Sendable, Output: Decodable & Sendable>: Decodable, Sendable {
        let input: Input
        let output: Output

        init(from decoder: any Decoder) throws {
            var row = try decoder.unkeyedContainer()
            input = try row.decode(Input.self)
            output = try row.decode(Output.self)
        }
    }

    private static let models = try! JSONDecoder().decode(
        [String: Model].self, from: golden("tokenizers/sentencepiece.json"))

    @Test(arguments: ["llama", "gemma", "unknown"])
    func encodesLikeSentencePiece(_ name: String) throws {
        let model = try #require(Self.models[name])
        let tokenizer = try Tokenizer(model.metadata())
        #expect(model.encodings.count > 600)
        for row in model.encodings {
            let ids = try tokenizer.encode(row.input, specials: .text)
            #expect(ids == row.output, "\(row.input.debugDescription)")
        }
    }

    @Test(arguments: ["llama", "gemma", "unknown"])
    func decodesLikeSentencePiece(_ name: String) throws {
        let model = try #require(Self.models[name])
        let tokenizer = try Tokenizer(model.metadata())
        #expect(model.decodings.count > 200)
        for row in model.decodings {
            #expect(Array(tokenizer.decode(row.input).utf8) == Array(row.output.utf8), "\(row.input)")
        }
    }

    /// The order of merges is that of a text as a whole, though it is cut where nothing joins.
    @Test func aLongTextIsLikeItsDefinition() throws {
        let model = try #require(Self.models["llama"])
        let tokenizer = try Tokenizer(model.metadata())
        var generator = SplitMix64(seed: 4)
        let words = model.encodings.map(\.input)
        for _ in 0..<20 {
            let text = (0..<40).map { _ in words.randomElement(using: &generator)! }.joined(separator: " ")
            #expect(try tokenizer.encode(text, specials: .text) == definition(text, model))
        }
    }

    /// The definition: join the neighbours whose union has the best score, leftmost first, until no union is a piece.
    private func definition(_ text: String, _ model: Model) -> [Int32] {
        let scalars = ("▁" + text.replacingScalar(" ", with: "▁")).unicodeScalars
        var symbols = scalars.map { Array(String($0).utf8) }
        var scores: [[UInt8]: (id: Int32, score: Double)] = [:]
        for (id, piece) in model.pieces.enumerated() where model.types[id] == 1 {
            scores[Array(piece.utf8)] = (Int32(id), model.scores[id])
        }
        while true {
            let best = (0..<max(symbols.count - 1, 0)).compactMap { position in
                scores[symbols[position] + symbols[position + 1]].map { (position, $0.score) }
            }.max { (a: (Int, Double), b: (Int, Double)) in a.1 < b.1 || a.1 == b.1 && a.0 > b.0 }
            guard let (position, _) = best else { break }
            symbols.replaceSubrange(position...position + 1, with: [symbols[position] + symbols[position + 1]])
        }
        return symbols.flatMap { symbol in
            scores[symbol].map { [$0.id] }
                ?? symbol.map { byte in
                    Int32(
                        model.pieces.firstIndex(
                            of: "<0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">")!)
                }
        }
    }

    /// Characters that only stand within other tokens are no tokens, whether or not the vocabulary has bytes.
    @Test(arguments: [true, false])
    func charactersThatAreNoTokensAreUnknown(hasBytes: Bool) throws {
        let model = try #require(Self.models[hasBytes ? "llama" : "unknown"])
        let count = model.pieces.count
        let symbol = Int32(count)
        let tokenizer = try Tokenizer(
            model.metadata([
                "tokenizer.ggml.tokens": .strings((model.pieces + ["[§]"]).map { Array($0.utf8) }),
                "tokenizer.ggml.token_type": .integers(model.types + [4]),
                "tokenizer.ggml.scores": .floats(model.scores + [0]),
            ]))
        let ids = try tokenizer.encode("a§b[§] §", specials: .parsed)
        #expect(ids.allSatisfy { (0..<Int32(count + 1)).contains($0) } && ids.contains(symbol), "\(ids)")
        #expect(ids.contains(0) == !hasBytes)
    }

    @Test func controlTokensAreNeverMadeFromText() throws {
        let model = try #require(Self.models["gemma"])
        let tokenizer = try Tokenizer(model.metadata())
        let turn = Int32(try #require(model.pieces.firstIndex(of: "<turn>")))
        #expect(try tokenizer.encode("a<turn>b", specials: .parsed).contains(turn))
        for text in ["a<turn>b", "<s>", "</s>", "<unk>", "<0x0A>"] {
            let ids = try tokenizer.encode(text, specials: .text)
            #expect(!ids.contains(where: tokenizer.isControl) && tokenizer.decode(ids) == text)
        }
    }

    /// As in llama.cpp: the text behind a control token begins with a space, too.
    @Test func eachTextBetweenControlTokensBeginsWithASpace() throws {
        let model = try #require(Self.models["llama"])
        let tokenizer = try Tokenizer(model.metadata())
        let part = try tokenizer.encode("the", specials: .text)
        #expect(try tokenizer.encode("<s>the</s>the", specials: .parsed) == [1] + part + [2] + part)
        #expect(try tokenizer.encode(prompt: "the") == [1] + part)
        #expect(tokenizer.endOfGenerationTokens == [2] && tokenizer.markers.unknown == 0)
    }

    /// Phi-3's control tokens swallow the white space behind them; nothing in the file says so.
    @Test func phi3StripsBehindControlTokens() throws {
        let model = try #require(Self.models["llama"])
        let tokenizer = try Tokenizer(model.metadata(["general.architecture": TinyVocabulary.string("phi3")]))
        let part = try tokenizer.encode("the", specials: .text)
        #expect(try tokenizer.encode("</s> \n the", specials: .parsed) == [2] + part)
        #expect(try tokenizer.encode("<s> the", specials: .parsed) != [1] + part)
    }

    @Test func textContinuesWithItsSpace() throws {
        let model = try #require(Self.models["llama"])
        let tokenizer = try Tokenizer(model.metadata())
        let ids = try tokenizer.encode("the", specials: .text)
        var detokenizer = Detokenizer(tokenizer, continuing: true)
        #expect(ids.map { detokenizer.push($0) }.joined() + detokenizer.finish() == " the")
        #expect(tokenizer.decode(ids) == "the")
    }

    @Test(arguments: 0..<UInt64(100))
    func piecesJoinedAreTheWhole(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let model = try #require(Self.models["llama"])
        let tokenizer = try Tokenizer(model.metadata())
        let bytes = model.types.indices.filter { model.types[$0] == 6 }.map { Int32($0) }
        let ids = (0..<60).map { _ in
            generator.next() % 2 == 0
                ? bytes.randomElement(using: &generator)!
                : Int32.random(in: 0..<Int32(tokenizer.vocabularySize), using: &generator)
        }
        var detokenizer = Detokenizer(tokenizer)
        #expect(
            Array((ids.map { detokenizer.push($0) }.joined() + detokenizer.finish()).utf8)
                == Array(tokenizer.decode(ids).utf8))
    }

    @Test(arguments: [
        ("tokenizer.ggml.scores", nil, "tokenizer.ggml.scores"),
        ("tokenizer.ggml.scores", MetadataValue.floats([1, 2]), "but 2 scores"),
        ("tokenizer.ggml.token_type", nil, "tokenizer.ggml.token_type"),
        ("tokenizer.ggml.tokens", MetadataValue.strings([]), "0 tokens"),
    ])
    func refusesWithAReason(_ key: String, _ value: MetadataValue?, _ reason: String) throws {
        let model = try #require(Self.models["llama"])
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(model.metadata([key: value])) }
        #expect(error?.description.contains("small.gguf") == true && error?.description.contains(reason) == true)
    }

    @Test func refusesScoresThatAreNoNumbersAndBytesThatAreNone() throws {
        let model = try #require(Self.models["llama"])
        var scores = model.scores
        scores[7] = .nan
        let notANumber = #expect(throws: TokenizerError.self) {
            try Tokenizer(model.metadata(["tokenizer.ggml.scores": .floats(scores)]))
        }
        #expect(notANumber?.description.contains("score of token 7") == true)
        var types = model.types
        types[500] = 6
        let notAByte = #expect(throws: TokenizerError.self) {
            try Tokenizer(model.metadata(["tokenizer.ggml.token_type": .integers(types)]))
        }
        #expect(notAByte?.description.contains("token 500 is a byte") == true)
        let named = #expect(throws: TokenizerError.self) { try Tokenizer(model.metadata(), preTokenizer: "qwen2") }
        #expect(named?.description.contains("remove tokenizer.pre") == true)
    }
}

extension String {
    /// `replacing` works on what a reader sees as a character, and a space with an accent is another one.
    fileprivate func replacingScalar(_ scalar: Unicode.Scalar, with other: Unicode.Scalar) -> String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0 == scalar ? other : $0 }))
    }
}
