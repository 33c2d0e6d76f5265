// Turns a growing list of token ids into text. A character is never split.

/// The text of one sequence of tokens, as they arrive.
///
/// The joined results of all calls are the text of all tokens without control tokens, which is `Tokenizer.decode`.
public struct Detokenizer: Sendable {
    private let tokenizer: Tokenizer
    /// The start of an incomplete character: at most three bytes.
    private var pending: [UInt8] = []
    /// Whether `pending` came from tokens of single bytes.
    private var isPendingOfBytes = false
    private var isFirst = true
    /// A token whose text depends on whether another follows.
    private var held: Int32?
    /// How many times the start of the text may still be stripped.
    private var strips: Int
    private let skipsControl: Bool
    private let shown: Set<Int32>

    /// Makes a detokenizer.
    ///
    /// - Parameters:
    ///   - continuing: whether other text stands before that of the tokens. Otherwise it begins a text, and a space that
    ///     the model writes before a text's first word is left out.
    ///   - skipsControl: whether control tokens are left out.
    ///   - shown: control tokens that are not left out.
    public init(
        _ tokenizer: Tokenizer, continuing: Bool = false, skipsControl: Bool = true, shown: Set<Int32> = []
    ) {
        self.tokenizer = tokenizer
        self.shown = shown
        self.skipsControl = skipsControl
        strips = continuing ? 0 : tokenizer.decoder.stripped.count
        isFirst = !continuing
    }

    /// Adds the next token. Returns the text that is complete now, often one word, sometimes nothing.
    public mutating func push(_ id: Int32) -> String {
        guard id >= 0, Int(id) < tokenizer.vocabularySize, !isSkipped(id) else { return "" }
        guard tokenizer.decoder.holdsLast else { return text(of: id, isLast: false) }
        defer { held = id }
        return held.map { text(of: $0, isLast: false) } ?? ""
    }

    private func isSkipped(_ id: Int32) -> Bool { skipsControl && tokenizer.isControl(id) && !shown.contains(id) }

    /// Ends the text. Returns what is left: U+FFFD if it ends within a character, otherwise mostly nothing.
    public mutating func finish() -> String {
        let last = held.take().map { text(of: $0, isLast: true) } ?? ""
        return last + endOfCharacter()
    }

    private mutating func text(of id: Int32, isLast: Bool) -> String {
        let decoder = tokenizer.decoder
        let (bytes, isByte) = decoder.text(of: id, isFirst: isFirst, isLast: isLast)
        var result = ""
        if !isFirst, !decoder.separator.isEmpty { pending += decoder.separator }
        isFirst = isFirst && decoder.isFirstUntilText && bytes.isEmpty
        // A character of byte tokens ends where another token begins.
        if case .eachReplaced = decoder.bytes, isPendingOfBytes, !isByte { result = endOfCharacter() }
        pending += bytes
        isPendingOfBytes = isByte
        result += completeText()
        if strips > 0, !result.isEmpty { strip(&result) }
        return result
    }

    private mutating func strip(_ text: inout String) {
        let content = String(decoding: tokenizer.decoder.stripped.content, as: UTF8.self).unicodeScalars
        while strips > 0, !text.isEmpty {
            guard text.unicodeScalars.starts(with: content) else {
                strips = 0
                break
            }
            text.unicodeScalars.removeFirst(content.count)
            strips -= 1
        }
    }

    private mutating func completeText() -> String {
        if case .eachReplaced = tokenizer.decoder.bytes, isPendingOfBytes {
            var result = ""
            while !pending.isEmpty, let length = UTF8Start.lengthOfCharacter(pending[...]) {
                result += length > 0 ? String(decoding: pending[..<length], as: UTF8.self) : "\u{FFFD}"
                pending.removeFirst(max(length, 1))
            }
            return result
        }
        let complete = pending.count - UTF8Start.unfinishedSuffix(of: pending)
        defer { pending.removeFirst(complete) }
        return String(decoding: pending[..<complete], as: UTF8.self)
    }

    private mutating func endOfCharacter() -> String {
        defer { pending = [] }
        if case .eachReplaced = tokenizer.decoder.bytes {
            return String(repeating: "\u{FFFD}", count: pending.count)
        }
        return String(decoding: pending, as: UTF8.self)
    }
}

/// Beginnings of characters in UTF-8 (Unicode 16, table 3-7).
private enum UTF8Start {
    /// The number of bytes at the end that are the start of a character which further bytes could complete.
    static func unfinishedSuffix(of bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            if bytes[bytes.count - length] & 0xC0 == 0x80 { continue }
            return lengthOfCharacter(bytes[(bytes.count - length)...]) == nil ? length : 0
        }
        return 0
    }

    /// The length of the character that `bytes` begin with; 0 if they begin with none, nil if further bytes are needed to
    /// know.
    static func lengthOfCharacter(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard let lead = bytes.first else { return nil }
        let needed =
            switch lead {
            case 0..<0x80: 1
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 0
            }
        if needed < 2 { return needed }
        let second: ClosedRange<UInt8> =
            switch lead {
            case 0xE0: 0xA0...0xBF
            case 0xED: 0x80...0x9F
            case 0xF0: 0x90...0xBF
            case 0xF4: 0x80...0x8F
            default: 0x80...0xBF
            }
        for (index, byte) in bytes.dropFirst().prefix(needed - 1).enumerated() {
            if !(index == 0 ? second : 0x80...0xBF).contains(byte) { return 0 }
        }
        return bytes.count >= needed ? needed : nil
    }
}
