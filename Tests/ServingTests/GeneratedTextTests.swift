// Where a text ends: stop strings wherever they fall, and characters that tokens cut.

import FakeModel
import Foundation
import TestSupport
import Testing
import Tokenizers

@testable import Prompts
@testable import Serving

@Suite struct GeneratedTextTests {
    private let tokenizer = TinyModel.tokenizer

    /// One token for each byte of `text`, and the merged ones where BPE makes them.
    private func tokens(_ text: String) -> [Int32] { try! tokenizer.encode(text, specials: .text) }

    /// The single token that stands for `byte`.
    private func token(_ byte: UInt8) -> Int32 {
        Int32((0..<tokenizer.vocabularySize).first { tokenizer.bytes(of: [Int32($0)], skipSpecial: true) == [byte] }!)
    }

    /// The text of `tokens`, and after how many of them a stop string ended it.
    private func run(_ tokens: [Int32], _ stops: [String]) -> (text: String, stoppedAfter: Int?) {
        var text = GeneratedText(tokenizer, .stopping(at: stops))
        for (index, token) in tokens.enumerated() where text.append(token) { return (text.finish(), index + 1) }
        return (text.finish(), nil)
    }

    @Test func withoutStopStringsTheTextIsThatOfTheTokens() {
        let text = "the king and the queen Ä中😀"
        #expect(run(tokens(text), []) == (text, nil))
        #expect(run([], ["x"]) == ("", nil))
        #expect(run(tokens(text), ["nowhere"]) == (text, nil))
    }

    /// What is told while a text grows is the text, and nothing of it is taken back: random texts of few letters, so that
    /// stop strings begin often.
    @Test func whatIsToldIsNotTakenBack() {
        var random = SplitMix64(seed: 27)
        func word(_ length: Int) -> String { String((0..<length).map { _ in "ab😀".randomElement(using: &random)! }) }
        var held = 0
        for _ in 0..<400 {
            let stops = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                word(Int.random(in: 1...4, using: &random))
            }
            let tokens = self.tokens(word(Int.random(in: 0...12, using: &random)))
            var text = GeneratedText(tokenizer, .stopping(at: stops))
            var told = ""
            for token in tokens {
                let hasEnded = text.append(token)
                told += text.takeStable(isAtEnd: hasEnded) ?? ""
                if hasEnded { break }
                if told.utf8.count < tokens.count { held += 1 }
            }
            told += text.takeStable(isAtEnd: true) ?? ""
            #expect(told == text.finish() && text.takeStable(isAtEnd: true) == nil, "\(stops)")
        }
        #expect(held > 100)
    }

    @Test func aStopStringInsideAToken() throws {
        let the = tokens(" the")
        try #require(the.count == 1)
        #expect(run(tokens("a") + the + tokens("b"), ["h"]) == ("a t", 2))
    }

    @Test(arguments: ["and the", "king and", "d th", "g and t"])
    func aStopStringAcrossTokens(stop: String) {
        let text = "the king and the queen"
        let all = tokens(text)
        let (before, count) = run(all, [stop])
        #expect(before == String(text[..<text.range(of: stop)!.lowerBound]))
        #expect(count! < all.count && tokenizer.decode(all.prefix(count!)).contains(stop))
        #expect(!tokenizer.decode(all.prefix(count! - 1)).contains(stop), "not a token too late")
    }

    @Test func aStopStringAtTheVeryStartLeavesNothing() {
        #expect(run(tokens("hello"), ["h"]) == ("", 1))
        #expect(run(tokens("hello"), ["hello"]).text == "")
    }

    /// Of several the one that is complete first in the text counts, wherever the tokens' borders lie: each text is cut
    /// into tokens in every way, and into the tokenizer's own.
    @Test(arguments: [
        (text: "abc", stops: ["abc", "b"], rest: "a", stop: "b"),
        (text: "xabcd", stops: ["abcd", "bc", "cd"], rest: "xa", stop: "bc"),
        (text: " the", stops: ["e", "h", "t"], rest: " ", stop: "t"),
        (text: " the king", stops: ["the king", "king", "kin"], rest: " the ", stop: "kin"),
        // What ends together: the longer, of which less is left in the text.
        (text: "xaab", stops: ["b", "aab"], rest: "x", stop: "aab"),
        (text: "xaab", stops: ["aab", "b"], rest: "x", stop: "aab"),
    ])
    func ofSeveralTheFirstThatIsCompleteCounts(_ example: (text: String, stops: [String], rest: String, stop: String)) {
        let bytes = Array(example.text.utf8).map(token)
        for all in [bytes, tokens(example.text)] {
            var text = GeneratedText(tokenizer, .stopping(at: example.stops))
            _ = all.first { text.append($0) }
            let rest = text.finish()
            #expect(rest == example.rest && text.stopString == example.stop)
        }
    }

    @Test func aStopStringThatBeginsTwice() {
        #expect(run(tokens("aaab."), ["aab"]).text == "a")
        #expect(run(tokens("ababac."), ["abac"]).text == "ab")
        #expect(run(tokens("aaaa"), ["aa"]).text == "")
    }

    @Test func charactersThatTokensCutAreWholeInTheText() {
        let bytes = Array("é中😀".utf8).map(token)
        #expect(bytes.count == 9)
        #expect(run(bytes, []) == ("é中😀", nil))
        #expect(run(bytes, ["中"]) == ("é", 5))
        #expect(run(bytes, ["😀"]) == ("é中", 9))
    }

    @Test func anUnfinishedCharacterIsReplacedOnlyWhereTheTextEndsThere() {
        let half = token(0xE4)
        #expect(run([token(0x61), half], []) == ("a\u{FFFD}", nil))
        // Half a character behind a stop string is no part of the text.
        var text = GeneratedText(tokenizer, .stopping(at: ["."]))
        let stopped = [0x61, UInt8(ascii: ".")].map { text.append(token($0)) }
        #expect(stopped == [false, true])
        _ = text.append(half)
        let whole = text.finish()
        #expect(whole == "a")
    }

    @Test func controlTokensHaveNoText() {
        let end = TinyModel.tokenizer.endOfGenerationTokens.first!
        #expect(run([token(0x61), end, token(0x62)], ["ab"]) == ("", 3))
    }

    @Test func controlTokensAreShownWhereThatIsWanted() {
        let end = TinyModel.tokenizer.endOfGenerationTokens.first!
        var rules = OutputRules.stopping(at: ["ab"])
        rules.skipsSpecialTokens = false
        var text = GeneratedText(tokenizer, rules)
        let stopped = [token(0x61), end, token(0x62)].map { text.append($0) }
        #expect(stopped == [false, false, false])
        let name = String(decoding: tokenizer.bytes(of: [end], skipSpecial: false), as: UTF8.self)
        let whole = text.finish()
        #expect(!name.isEmpty && whole == "a\(name)b")
    }

    /// The stop string stays, and nothing of its last token behind it.
    @Test func aStopStringStaysWhereThatIsWanted() throws {
        let the = tokens(" the")
        try #require(the.count == 1)
        var rules = OutputRules.stopping(at: ["h"])
        rules.includesStop = true
        var text = GeneratedText(tokenizer, rules)
        let stopped = (tokens("a") + the).map { text.append($0) }
        #expect(stopped == [false, true])
        let whole = text.finish()
        #expect(whole == "a th")
    }
}

extension OutputRules {
    fileprivate static func stopping(at strings: [String]) -> OutputRules {
        var rules = OutputRules()
        rules.stopStrings = strings
        return rules
    }
}
