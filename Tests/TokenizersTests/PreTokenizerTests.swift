// Pieces and Unicode classes against Hugging Face `tokenizers`; Data/ has the golden files and what made them.

import Foundation
import TestSupport
import Testing

@testable import Tokenizers

private func pieces(of text: String, _ preTokenizer: PreTokenizer) throws -> [String] {
    var text = text
    var pieces: [String] = []
    try text.withUTF8 { bytes in
        try preTokenizer.forEachPiece(of: bytes, PatternSearch()) { pieces.append(String(decoding: $0, as: UTF8.self)) }
    }
    return pieces
}

private func data(_ name: String) throws -> Data { try Data(contentsOf: Locations.beside("Data/" + name)) }

struct PreTokenizerTests {
    private struct Golden: Decodable {
        let texts: [String]
        /// Lengths of the pieces in code points, by pre-tokeniser and text.
        let pieces: [String: [[Int]]]
    }

    @Test func cutsLikeHuggingFace() throws {
        let golden = try JSONDecoder().decode(Golden.self, from: data("pre-tokenizers.json"))
        #expect(golden.pieces.count >= 27)
        for (name, cases) in golden.pieces {
            let preTokenizer = PreTokenizer(try #require(PreTokenizerRules.named[name]))
            for (text, lengths) in zip(golden.texts, cases) {
                let found = try pieces(of: text, preTokenizer)
                #expect(found.map(\.unicodeScalars.count) == lengths, "\(name): \(found)")
            }
        }
    }

    @Test func everyNameHasPatternsThatLoseNothing() throws {
        var generator = SplitMix64(seed: 1)
        let texts = (0..<20).map { _ in generator.text(length: 40) }
        for (_, rules) in PreTokenizerRules.named {
            let preTokenizer = PreTokenizer(rules)
            for text in texts {
                // A piece need not be UTF-8.
                var joined: [UInt8] = []
                try Array(text.utf8).withUnsafeBufferPointer { bytes in
                    try preTokenizer.forEachPiece(of: bytes, PatternSearch()) { joined += $0 }
                }
                #expect(joined == Array(text.utf8))
            }
        }
    }

    /// A run of white space takes a step of the search for each of its characters, and PCRE2 gives up after ten million.
    @Test func aLongRunOfSpacesIsOnePiece() throws {
        let preTokenizer = PreTokenizer(try #require(PreTokenizerRules.named["llama-bpe"]))
        let text = [UInt8](repeating: UInt8(ascii: " "), count: 11 << 20) + Array("x".utf8)
        var lengths: [Int] = []
        try text.withUnsafeBufferPointer { bytes in
            try preTokenizer.forEachPiece(of: bytes, PatternSearch()) { lengths.append($0.count) }
        }
        #expect(lengths == [text.count - 2, 2])
    }

    @Test func aSearchThatIsGivenUpIsAnErrorOfThatText() throws {
        let pattern = Pattern(#"\s*[\r\n]+|\s+"#)
        let text = Array((String(repeating: " ", count: 10_000) + "x").utf8)
        text.withUnsafeBufferPointer { bytes in
            let error = #expect(throws: TokenizerError.self) {
                try PatternSearch(mostSteps: 100).firstMatch(of: pattern, in: bytes, from: 0)
            }
            #expect(error?.description.contains("match limit exceeded") == true)
        }
    }

    /// Each class of `tokenizers`, as this module spells it.
    private func characterClass(_ name: String) throws -> CharacterClass {
        switch name {
        case "space": .whiteSpace
        case "w": .words
        case "word": .rustWords
        case "digit": .numeric
        case "punctuation": .punctuation
        case "mark": .marks
        default: try #require(.property(name.hasPrefix("sc:") ? String(name.dropFirst(3)) : name))
        }
    }

    @Test func classesAreThoseOfHuggingFace() throws {
        let golden = try JSONDecoder().decode([String: [[UInt32]]].self, from: data("unicode-classes.json"))
        #expect(golden.count == 68)
        var everything = String.UnicodeScalarView()
        for code in UInt32(0)..<0x110000 { if let scalar = Unicode.Scalar(code) { everything.append(scalar) } }
        var text = String(everything)
        for (name, ranges) in golden {
            let pattern = Pattern(try characterClass(name))
            var found: [[UInt32]] = []
            try text.withUTF8 { bytes in
                try PatternSearch().forEachMatch(of: pattern, in: bytes) { match in
                    let value = UTF8Scalars.first(of: bytes, at: match.lowerBound).value
                    // A run goes over the surrogates, which no text has.
                    if let last = found.last, value == last[1] + 1 || last[1] == 0xD7FF && value == 0xE000 {
                        found[found.count - 1][1] = value
                    } else {
                        found.append([value, value])
                    }
                }
            }
            let expected = ranges.reduce(into: [[UInt32]]()) { runs, range in
                if let last = runs.last, last[1] == 0xD7FF, range[0] == 0xE000 {
                    runs.removeLast(); runs.append([last[0], range[1]])
                } else {
                    runs.append(range)
                }
            }
            if found != expected {
                let (a, b) = (Set(found), Set(expected))
                Issue.record(
                    "\(name): ours alone \(a.subtracting(b).sorted { $0[0] < $1[0] }.prefix(12)), theirs alone \(b.subtracting(a).sorted { $0[0] < $1[0] }.prefix(12))"
                )
            }
        }
    }
}
