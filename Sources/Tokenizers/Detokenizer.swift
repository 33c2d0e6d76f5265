// Turns a growing list of token ids into text. A character is never split.

/// The text of one sequence of tokens, as they arrive.
///
/// The joined results of all calls are the text of all tokens without control tokens. Bytes that are not UTF-8 become
/// U+FFFD, one for each maximal invalid part, as in Python's `bytes.decode(errors="replace")`.
public struct Detokenizer: Sendable {
    private let tokenizer: Tokenizer
    /// The start of an incomplete character: at most three bytes.
    private var pending: [UInt8] = []

    /// Makes a detokenizer at the start of a text.
    public init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
    }

    /// Adds the next token. Returns the text that is complete now, often one word, sometimes nothing.
    public mutating func push(_ id: Int32) -> String {
        pending.append(contentsOf: tokenizer.bytes(of: CollectionOfOne(id), skipSpecial: true))
        let complete = pending.count - Self.unfinishedSuffix(of: pending)
        defer { pending.removeFirst(complete) }
        return String(decoding: pending[..<complete], as: UTF8.self)
    }

    /// Ends the text. Returns U+FFFD if it ends within a character, else nothing.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// The number of bytes at the end that are the start of a character which further bytes could complete (Unicode 16,
    /// table 3-7).
    private static func unfinishedSuffix(of bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let lead = bytes[bytes.count - length]
            if lead & 0xC0 == 0x80 { continue }
            let needed =
                switch lead {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            guard length < needed else { return 0 }
            guard length > 1 else { return 1 }
            let second = bytes[bytes.count - length + 1]
            let valid: ClosedRange<UInt8> =
                switch lead {
                case 0xE0: 0xA0...0xBF
                case 0xED: 0x80...0x9F
                case 0xF0: 0x90...0xBF
                case 0xF4: 0x80...0x8F
                default: 0x80...0xBF
                }
            return valid.contains(second) ? length : 0
        }
        return 0
    }
}
