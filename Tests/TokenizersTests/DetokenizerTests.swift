// Incremental text against the text of all tokens at once, and round trips.

import TestSupport
import Testing

@testable import Tokenizers

struct DetokenizerTests {
    private let tokenizer: Tokenizer

    init() throws { tokenizer = try TinyVocabulary.tokenizer() }

    private func pieces(_ ids: [Int32]) -> [String] {
        var detokenizer = Detokenizer(tokenizer)
        return ids.map { detokenizer.push($0) } + [detokenizer.finish()]
    }

    @Test func keepsCharactersWhole() {
        let ids = [UInt8]("é€😀".utf8).map { tokenizer.encodeByte($0) }
        #expect(pieces(ids) == ["", "é", "", "", "€", "", "", "", "😀", ""])
    }

    /// What CPython's `bytes.decode("utf-8", errors="replace")` gives for these bytes.
    @Test(arguments: [
        ([0x61, 0xFF, 0x62], "a\u{FFFD}b"), ([0xE2, 0x82], "\u{FFFD}"), ([0xE2, 0x82, 0x41], "\u{FFFD}A"),
        ([0xF0, 0x9F, 0x98], "\u{FFFD}"), ([0xC0, 0x80], "\u{FFFD}\u{FFFD}"),
        ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
        ([0xE0, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
        ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
        ([0xF0, 0x9F, 0xE2, 0x82, 0xAC], "\u{FFFD}€"), ([0x80, 0xBF], "\u{FFFD}\u{FFFD}"), ([0xC3], "\u{FFFD}"),
        ([0xF1, 0x80, 0x80, 0xC3, 0xA9], "\u{FFFD}é"), ([0xF5, 0x80], "\u{FFFD}\u{FFFD}"),
    ])
    func replacesInvalidBytesLikePython(_ bytes: [UInt8], _ text: String) {
        #expect(pieces(bytes.map { tokenizer.encodeByte($0) }).joined() == text)
    }

    @Test(arguments: 0..<UInt64(300))
    func piecesJoinedAreTheWhole(seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let ids = (0..<200).map { _ in
            // Lead and continuation bytes more often than chance would have them.
            generator.next() % 3 == 0
                ? Int32.random(in: 0..<Int32(tokenizer.vocabularySize), using: &generator)
                : tokenizer.encodeByte(
                    [0x80, 0x9F, 0xA0, 0xBF, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xE2].randomElement(using: &generator)!)
        }
        #expect(Array(pieces(ids).joined().utf8) == Array(tokenizer.decode(ids).utf8))
    }

    @Test func leavesControlTokensOut() throws {
        let ids = try tokenizer.encode("<|start|>hello<|end|>", specials: .parsed)
        #expect(pieces(ids).joined() == "hello")
        #expect(
            String(decoding: tokenizer.bytes(of: ids, skipSpecial: false), as: UTF8.self) == "<|start|>hello<|end|>")
        #expect(tokenizer.bytes(of: [-1, 1_000_000], skipSpecial: false).isEmpty)
    }

    @Test(arguments: 0..<UInt64(100))
    func everyTextComesBack(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        for text in [generator.text(length: 80), generator.brokenText(length: 80)] {
            let ids = try tokenizer.encode(text, specials: .text)
            #expect(tokenizer.bytes(of: ids, skipSpecial: false) == Array(text.utf8))
        }
    }
}

extension Tokenizer {
    /// The token of one byte, in the tiny vocabulary.
    fileprivate func encodeByte(_ byte: UInt8) -> Int32 { Int32(byte) }
}
