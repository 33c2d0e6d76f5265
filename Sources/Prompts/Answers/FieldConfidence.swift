// How sure the model was of each value of a JSON text: the probability of the tokens that the value is made of.

import Foundation
import JSONText

/// The values of a JSON text, each with its probability.
package struct FieldConfidence {
    private let text: [UInt8]
    /// Where each token begins in the text, and its logprob.
    private let tokens: [(start: Int, logprob: Double)]
    private var position = 0
    /// The first token that may be part of a later value.
    private var next = 0
    private var found: [JSONValue.Member] = []
    private static let mostLevels = 128

    /// The probability of each string, number, boolean and null of `text` by its JSON path, as a JSON object; nil if the
    /// text is not JSON. A token that a value shares with its neighbours counts for all of them.
    ///
    /// - Parameters:
    ///   - tokens: the bytes and logprobs of all tokens.
    ///   - offset: where the text begins in the bytes of the tokens.
    package static func json(
        of text: String, _ tokens: [(bytes: Int, logprob: Double)], offset: Int = 0
    ) -> String? {
        let bytes = Array(text.utf8)
        guard (try? JSONValue(parsing: bytes)) != nil else { return nil }
        var starts: [(start: Int, logprob: Double)] = []
        var place = -offset
        for token in tokens {
            starts.append((place, token.logprob))
            place += token.bytes
        }
        var reader = FieldConfidence(text: bytes, tokens: starts)
        guard reader.value("$", level: 0) else { return nil }
        return JSONValue.object(reader.found).text
    }

    private init(text: [UInt8], tokens: [(start: Int, logprob: Double)]) {
        self.text = text
        self.tokens = tokens
    }

    /// Reads a value. The text is known to be JSON; returns false if it is nested too deep.
    private mutating func value(_ path: String, level: Int) -> Bool {
        guard level <= Self.mostLevels else { return false }
        skipSpace()
        switch text[position] {
        case UInt8(ascii: "{"): return members(path, level: level)
        case UInt8(ascii: "["): return elements(path, level: level)
        default:
            let start = position
            if text[position] == UInt8(ascii: "\"") { skipString() } else { skipWord() }
            found.append(.init(path, .double(probability(of: start..<position))))
            return true
        }
    }

    private mutating func members(_ path: String, level: Int) -> Bool {
        position += 1
        while true {
            skipSpace()
            if text[position] == UInt8(ascii: "}") { break }
            if text[position] == UInt8(ascii: ",") {
                position += 1
                continue
            }
            let start = position
            skipString()
            let key = Self.step(text[start..<position])
            skipSpace()
            position += 1
            guard value(path + key, level: level + 1) else { return false }
        }
        position += 1
        return true
    }

    private mutating func elements(_ path: String, level: Int) -> Bool {
        position += 1
        var index = 0
        while true {
            skipSpace()
            if text[position] == UInt8(ascii: "]") { break }
            if text[position] == UInt8(ascii: ",") {
                position += 1
                continue
            }
            guard value("\(path)[\(index)]", level: level + 1) else { return false }
            index += 1
        }
        position += 1
        return true
    }

    /// The step of a path to a member, whose key is given with its quotes: `.name` or `["a b"]`.
    private static func step(_ key: ArraySlice<UInt8>) -> String {
        let name = key.dropFirst().dropLast()
        let isName =
            (name.first.map { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false)
            && name.allSatisfy { byte in
                byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            }
        return isName ? "." + String(decoding: name, as: UTF8.self) : "[\(String(decoding: key, as: UTF8.self))]"
    }

    private mutating func probability(of range: Range<Int>) -> Double {
        // Values come in the order of the text.
        while next < tokens.count, end(of: next) <= range.lowerBound { next += 1 }
        var sum = 0.0
        var index = next
        while index < tokens.count, tokens[index].start < range.upperBound {
            // Tokens without text, such as those that end it, belong to no value.
            if end(of: index) > tokens[index].start { sum += tokens[index].logprob }
            index += 1
        }
        return exp(sum)
    }

    private func end(of token: Int) -> Int { token + 1 < tokens.count ? tokens[token + 1].start : text.count }

    private mutating func skipSpace() {
        while [0x20, 0x09, 0x0A, 0x0D].contains(text[position]) { position += 1 }
    }

    private mutating func skipString() {
        position += 1
        while text[position] != UInt8(ascii: "\"") { position += text[position] == UInt8(ascii: "\\") ? 2 : 1 }
        position += 1
    }

    private mutating func skipWord() {
        let ends = Array(" \t\n\r,]}".utf8)
        while position < text.count, !ends.contains(text[position]) { position += 1 }
    }
}
