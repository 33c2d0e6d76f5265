// The logprobs of a text, and the texts of its tokens.

/// A token with its logprob, as a response tells it.
public struct TokenLogprob: Sendable, Hashable {
    /// Its id.
    public var id: Int32
    /// Its bytes, which need not be whole characters.
    public var bytes: [UInt8]
    /// Its logprob; nil for the first token of a prompt.
    public var logprob: Float?

    /// Makes a token with its logprob.
    public init(id: Int32, bytes: [UInt8], logprob: Float?) {
        self.id = id
        self.bytes = bytes
        self.logprob = logprob
    }
}

/// The logprobs of one position of a text.
public struct TokenLogprobs: Sendable, Hashable {
    /// The token that the text has there.
    public var own: TokenLogprob
    /// The most probable tokens, the most probable first.
    public var top: [TokenLogprob]
    /// Tokens that were asked for by their ids.
    public var requested: [TokenLogprob]
    /// The number of tokens that are at least as probable as the own one.
    public var rank: Int32?

    /// Makes the logprobs of a position.
    public init(
        own: TokenLogprob, top: [TokenLogprob] = [], requested: [TokenLogprob] = [], rank: Int32? = nil
    ) {
        self.own = own
        self.top = top
        self.requested = requested
        self.rank = rank
    }

    /// The top tokens, then the requested ones that are not among them.
    var alternatives: [TokenLogprob] {
        top
            + requested.enumerated().filter { index, token in
                !top.contains { $0.id == token.id } && !requested[..<index].contains { $0.id == token.id }
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
