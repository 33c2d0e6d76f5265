// What tokens add to a text: the decoder of a model, worked out for every token beforehand.

/// The decoder of a model. The steps are those of tokenizer.json.
struct TokenDecoder: Sendable {
    /// A step that changes the text of one token.
    enum Step: Sendable {
        /// Replaces each occurrence of bytes, which are not empty.
        case replace([UInt8], with: [UInt8])
        /// Writes spaces for `replacement`; with `dropsFirst`, nothing in the first token of a text.
        case unescapeSpaces(replacement: [UInt8], dropsFirst: Bool)
        /// Removes bytes, which are not empty, from the start of the first token of a text.
        case dropFromFirst([UInt8])
        /// `<0xE2>` is a byte.
        case bytes
        /// Removes up to `count` times `content` from the start.
        case strip(content: [UInt8], count: Int)
        /// Writes a space for the suffix of words; in the last token of a text, nothing.
        case wordSuffix([UInt8])
        /// Reads the text as bytes in GPT-2's alphabet.
        case byteLevel
    }

    /// What tokens are read as if several are needed for a character.
    enum Bytes: Sendable {
        /// Invalid ones become U+FFFD, one for each maximal invalid part, as in Python and Rust.
        case lossy
        /// Each invalid one becomes U+FFFD, as in SentencePiece. (`tokenizers` does so with all of a run of byte tokens
        /// if one of them is invalid. It would be known only at the end of the run, so the valid ones are kept here.)
        case eachReplaced
    }

    private let spellings: ByteStrings
    private let steps: [Step]
    /// What each token adds to a text of which it is neither the first nor the last token.
    private let texts: ByteStrings
    /// Which tokens are single bytes.
    private let isByte: [Bool]
    let bytes: Bytes
    /// What is removed from the start of a whole text: up to so many times this.
    let stripped: (content: [UInt8], count: Int)
    /// What stands between two tokens.
    let separator: [UInt8]
    /// Whether a token counts as the first one as long as there is no text.
    let isFirstUntilText: Bool

    /// A decoder of tokens that have their texts already.
    init(texts: ByteStrings) {
        self.init(spellings: texts, steps: [], bytes: .lossy)
    }

    /// - Parameters:
    ///   - spellings: the tokens as the steps expect them.
    ///   - bytes: what becomes of bytes that are no text.
    ///   - stripped: what is removed from the start of a text.
    init(
        spellings: ByteStrings, steps: [Step], bytes: Bytes, stripped: (content: [UInt8], count: Int) = ([], 0),
        separator: [UInt8] = [], isFirstUntilText: Bool = false, asTheyAre: Set<Int32> = []
    ) {
        self.spellings = spellings
        self.steps = steps
        self.bytes = bytes
        self.stripped = stripped
        self.separator = separator
        self.isFirstUntilText = isFirstUntilText
        self.asTheyAre = asTheyAre
        var isByte = [Bool](repeating: false, count: spellings.count)
        if steps.isEmpty {
            texts = spellings
        } else {
            var texts = ByteStrings()
            texts.reserve(count: spellings.count, bytes: spellings.bytes.count)
            for id in 0..<Int32(spellings.count) {
                isByte[Int(id)] = texts.append { buffer in
                    Self.append(
                        spellings[id], asTheyAre.contains(id) ? [] : steps, isFirst: false, isLast: false, to: &buffer)
                }
            }
            self.texts = texts
        }
        self.isByte = isByte
        dependsOnPlace = steps.contains {
            switch $0 {
            case .unescapeSpaces(_, dropsFirst: true), .dropFromFirst, .wordSuffix: true
            default: false
            }
        }
        holdsLast = steps.contains { if case .wordSuffix = $0 { true } else { false } }
    }

    /// Tokens that no step changes.
    private let asTheyAre: Set<Int32>
    private let dependsOnPlace: Bool
    /// Whether a token's text depends on whether another follows.
    let holdsLast: Bool

    /// Whether token `id` is a single byte, and what it adds to a text.
    func text(of id: Int32, isFirst: Bool, isLast: Bool) -> (bytes: ArraySlice<UInt8>, isByte: Bool) {
        guard dependsOnPlace, isFirst || isLast else { return (texts[id], isByte[Int(id)]) }
        var text: [UInt8] = []
        let isByte = Self.append(
            spellings[id], asTheyAre.contains(id) ? [] : steps, isFirst: isFirst, isLast: isLast, to: &text)
        return (text[...], isByte)
    }

    /// Appends the text of a token to `buffer`. Returns whether it is a single byte.
    private static func append(
        _ spelling: ArraySlice<UInt8>, _ steps: [Step], isFirst: Bool, isLast: Bool, to buffer: inout [UInt8]
    ) -> Bool {
        let start = buffer.count
        buffer.append(contentsOf: spelling)
        for step in steps {
            switch step {
            case .replace(let found, let replacement): replace(found, with: replacement, in: &buffer, from: start)
            case .unescapeSpaces(let replacement, let dropsFirst):
                let space = dropsFirst && isFirst ? [] : [UInt8(ascii: " ")]
                replace(replacement, with: space, in: &buffer, from: start)
            case .dropFromFirst(let first):
                if isFirst, buffer[start...].starts(with: first) { buffer.removeSubrange(start..<start + first.count) }
            case .bytes:
                if let byte = byte(spelledBy: buffer[start...]) {
                    buffer.replaceSubrange(start..., with: CollectionOfOne(byte))
                    return true
                }
            case .strip(let content, let count):
                var left = count
                while left > 0, buffer[start...].starts(with: content) {
                    buffer.removeSubrange(start..<start + content.count)
                    left -= 1
                }
            case .wordSuffix(let suffix):
                replace(suffix, with: isLast ? [] : [UInt8(ascii: " ")], in: &buffer, from: start)
            case .byteLevel:
                let text = Array(buffer[start...])
                buffer.removeSubrange(start...)
                text.withUnsafeBufferPointer { _ = ByteLevel.appendBytes(of: $0, to: &buffer) }
            }
        }
        return false
    }

    /// The byte of a token such as `<0xE2>`; nil if it is none.
    static func byte(spelledBy spelling: some Collection<UInt8>) -> UInt8? {
        guard spelling.count == 6, spelling.starts(with: "<0x".utf8),
            spelling.elementsEqual(spelling.dropLast() + ">".utf8)
        else { return nil }
        let digits = spelling.dropFirst(3).prefix(2).map {
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || 0x61...0x66 ~= $0 | 0x20 ? $0 : 0
        }
        return digits.contains(0) ? nil : UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    private static func replace(
        _ found: [UInt8], with replacement: [UInt8], in buffer: inout [UInt8], from start: Int
    ) {
        guard let first = found.first, var position = buffer[start...].firstIndex(of: first) else { return }
        let text = Array(buffer[position...])
        buffer.removeSubrange(position...)
        position = 0
        while position < text.count {
            if text[position] == first, text[position...].starts(with: found) {
                buffer += replacement
                position += found.count
            } else {
                buffer.append(text[position])
                position += 1
            }
        }
    }
}
