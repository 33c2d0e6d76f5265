// Regular expressions of tokenizer.json against Oniguruma, as Hugging Face `tokenizers` uses it: Data/regular-expressions.json,
// made by make_regular_expressions.py there.

import Foundation
import TestSupport
import Testing

@testable import Tokenizers

struct OnigurumaPatternTests {
    private struct Golden: Decodable {
        let texts: [String]
        let patterns: [Row]
    }

    private struct Row: Decodable {
        let pattern: String
        /// By text: the first code point and the end of each match. Nil if the pattern is refused there.
        let matches: [[[Int]]]?

        init(from decoder: any Decoder) throws {
            var row = try decoder.unkeyedContainer()
            pattern = try row.decode(String.self)
            matches = try row.decodeIfPresent([[[Int]]].self)
        }
    }

    @Test func matchesLikeOniguruma() throws {
        let data = try Data(contentsOf: Locations.beside("Data/regular-expressions.json"))
        let golden = try JSONDecoder().decode(Golden.self, from: data)
        var compared = 0
        for row in golden.patterns {
            guard let expected = row.matches, let pattern = try? Pattern(foreign: row.pattern) else { continue }
            compared += 1
            for (text, matches) in zip(golden.texts, expected) {
                #expect(try found(pattern, text) == matches, "\(row.pattern) in \(text.debugDescription)")
            }
        }
        #expect(compared >= 85)
    }

    /// The matches that are not empty, in code points.
    private func found(_ pattern: Pattern, _ text: String) throws -> [[Int]] {
        var text = text
        var found: [[Int]] = []
        try text.withUTF8 { bytes in
            try PatternSearch().forEachMatch(of: pattern, in: bytes) { match in
                func count(_ end: Int) -> Int { bytes[..<end].count { $0 & 0xC0 != 0x80 } }
                if !match.isEmpty { found.append([count(match.lowerBound), count(match.upperBound)]) }
            }
        }
        return found
    }

    @Test(arguments: [
        (#"\X"#, #"the escape \X"#), (#"a\K"#, #"the escape \K"#), (#"(a)\1"#, #"the escape \1"#),
        (#"\k<a>"#, #"the escape \k"#),
        (#"\g<a>"#, #"the escape \g"#), (#"(?~a)"#, "the group (?~"), (#"(?(1)a|b)"#, "the group (?("),
        (#"(*FAIL)"#, "the call (*"),
        (#"(?x: a)"#, "the option x"), (#"\p{Unheard}"#, "unknown property"), (#"\p{Cn}"#, #"the property \p{Cn}"#),
        (#"\p{InBasicLatin}"#, "the property"), (#"\pL"#, #"\p without a name"#), (#"\xE9"#, #"the escape \x"#),
        (#"\u12"#, #"the escape \u"#), (#"a(?i)b"#, "options within a sequence"),
        (#"(?i:ss)"#, "\"ss\" without regard to case"),
        (#"(?i)\p{Lu}"#, "without regard to case"), ("(", "a group without end"), (")", "closing parenthesis"),
        ("[", "a set without end"),
        ("[z-a]", "a range that ends before it begins"), ("a{3,2}", "an interval that ends before it begins"),
        ("a{99999}", "an interval that is too long"), ("*a", "a quantifier without"), ("\\", "a backslash without"),
        ("[[:new:]]", "the bracket [:new:]"),
        ("(?#a", "a comment without end"), ("(?<a", "a group's name without end"), ("(?i", "options without a group"),
        (String(repeating: "(", count: 200), "a hundred groups"),
        (String(repeating: "[", count: 200), "a hundred sets"),
        (#"(?<=a+)b"#, "lookbehind"),
    ])
    func refusesByName(_ pattern: String, _ reason: String) {
        let error = #expect(throws: PatternError.self) { try Pattern(foreign: pattern) }
        #expect(error?.reason.contains(reason) == true, "\(pattern): \(error?.reason ?? "")")
    }

    /// Whatever stands in a file, reading it ends with a pattern or a reason.
    @Test(arguments: 0..<UInt64(50))
    func anythingIsReadOrRefused(seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let parts = [
            "\\", "(", ")", "[", "]", "?", "<", ">", "{", "}", "&&", "-", "a", "1", ",", "^", ":", "p", "L", "|", "*",
            "#", "=", "é", "x",
        ]
        for _ in 0..<400 {
            let pattern = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
                parts.randomElement(using: &generator)!
            }.joined()
            do throws(PatternError) { _ = try Pattern(foreign: pattern) } catch { #expect(!error.reason.isEmpty) }
        }
    }
}
