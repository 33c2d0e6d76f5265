// The texts of the tokens of a text, where characters are divided between tokens.

import Sampling

extension ScoredPosition {
    /// The top tokens, then the requested ones that are not among them.
    var alternatives: [ScoredToken] {
        top
            + requested.enumerated().filter { index, token in
                !top.contains { $0.token == token.token } && !requested[..<index].contains { $0.token == token.token }
            }.map(\.element)
    }
}

/// The texts of tokens that follow each other. A character belongs to the token that completes it; tokens with only a
/// part of it have the rest of their text, or none.
struct TokenTexts {
    /// The start of an incomplete character.
    private var pending: [UInt8] = []

    /// The text of a token at the next position.
    func text(_ bytes: [UInt8]) -> String { split(bytes).text }

    /// Goes to the position behind a token.
    mutating func advance(_ bytes: [UInt8]) { pending = split(bytes).rest }

    private func split(_ bytes: [UInt8]) -> (text: String, rest: [UInt8]) {
        let all = pending + bytes
        let rest = all.suffix(Self.unfinished(all))
        return (String(decoding: all.dropLast(rest.count), as: UTF8.self), Array(rest))
    }

    /// The number of bytes at the end that begin a character which further bytes could complete.
    private static func unfinished(_ bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let lead = bytes[bytes.count - length]
            if lead & 0xC0 == 0x80 { continue }
            let needed = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1
            return lead <= 0xF4 && needed > length ? length : 0
        }
        return 0
    }
}
