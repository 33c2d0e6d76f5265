// Splits text into the pieces within which tokens are merged.

/// What becomes of the delimiters of a split. The names are those of tokenizer.json.
enum SplitBehavior: String, Sendable {
    /// They are left out.
    case removed = "Removed"
    /// Each is a piece.
    case isolated = "Isolated"
    /// Each belongs to the piece before it.
    case mergedWithPrevious = "MergedWithPrevious"
    /// Each belongs to the piece behind it.
    case mergedWithNext = "MergedWithNext"
    /// A run of them is a piece.
    case contiguous = "Contiguous"
}

/// The pre-tokeniser of a model: steps, applied one after another.
struct PreTokenizer: Sendable {
    /// One step.
    enum Step: Sendable {
        /// Splits at the matches of a pattern; `isInverted` swaps the matches and what is between them.
        case split(Pattern, SplitBehavior, isInverted: Bool = false)
        /// Puts a space before a piece that does not begin with one.
        case prefixSpace
        /// Writes spaces as `replacement`, and puts one before a piece that does not begin with one.
        case escapeSpaces(replacement: [UInt8], prepends: Prepending)
        /// Writes bytes as characters of GPT-2's alphabet.
        case byteAlphabet
        /// Splits after every so many characters.
        case fixedLength(Int)
        /// Splits where the script changes.
        case scripts
        /// Splits where bytes that are numeric as characters of GPT-2's alphabet meet others. It must be the last step: the
        /// pieces need not be UTF-8.
        case numericBytes
        /// Splits runs of digits into groups.
        case digitGroups(DigitGroups)
    }

    /// Which pieces get a space before them.
    enum Prepending: Sendable {
        case never
        /// Only the piece that begins the text.
        case first
        case always
    }

    private let steps: [Step]

    init(_ steps: [Step]) { self.steps = steps }

    init(_ rules: PreTokenizerRules) {
        self.init(
            rules.steps.map { step in
                switch step {
                case .pattern(let pattern): .split(Pattern(pattern), .isolated)
                case .digits: .split(Pattern(CharacterClass.numeric), .isolated)
                case .punctuation: .split(Pattern(CharacterClass.punctuation), .contiguous)
                case .numericBytes: .numericBytes
                case .digitGroups(let groups): .digitGroups(groups)
                }
            })
    }

    /// The maximum of bytes of pieces that a byte of text becomes.
    var mostBytesOfByte: Int {
        steps.reduce(1) { bytes, step in
            let factor =
                switch step {
                case .prefixSpace, .byteAlphabet: 2
                case .escapeSpaces(let replacement, _): 2 * replacement.count
                case .split, .fixedLength, .scripts, .numericBytes, .digitGroups: 1
                }
            return bytes.saturatingProduct(factor)
        }
    }

    /// Calls `body` with each piece of `text` (valid UTF-8), in order.
    ///
    /// - Parameter beginsText: whether nothing is before `text`.
    /// - Throws: `TokenizerError.patternFailed`.
    func forEachPiece(
        of text: UnsafeBufferPointer<UInt8>, beginsText: Bool = true, _ search: borrowing PatternSearch,
        _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) throws(TokenizerError) {
        if !text.isEmpty { try cut(text, step: 0, beginsText, search, body) }
    }

    /// A later step sees only one piece at a time: its look-ahead ends with the piece, as in Hugging Face.
    private func cut(
        _ text: UnsafeBufferPointer<UInt8>, step: Int, _ beginsText: Bool, _ search: borrowing PatternSearch,
        _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) throws(TokenizerError) {
        guard step < steps.count else { return body(text) }
        func cutFurther(_ range: Range<Int>) throws(TokenizerError) {
            if range.isEmpty { return }
            let piece = UnsafeBufferPointer(rebasing: text[range])
            try cut(piece, step: step + 1, beginsText && range.lowerBound == 0, search, body)
        }
        switch steps[step] {
        case .split(let pattern, .isolated, _) where !pattern.mayMatchNothing:
            var end = 0
            while end < text.count, let match = try search.firstMatch(of: pattern, in: text, from: end) {
                try cutFurther(end..<match.lowerBound)
                try cutFurther(match)
                end = match.upperBound
            }
            try cutFurther(end..<text.count)
        case .split(let pattern, let behavior, let isInverted):
            let parts = try Self.parts(of: text, pattern, isInverted, search)
            for range in Self.pieces(parts, behavior) { try cutFurther(range) }
        case .prefixSpace:
            if text[0] == UInt8(ascii: " ") {
                try cut(text, step: step + 1, beginsText, search, body)
            } else {
                try cut(changed: [UInt8(ascii: " ")] + text, step: step + 1, beginsText, search, body)
            }
        case .escapeSpaces(let replacement, let prepends):
            var changed: [UInt8] = []
            changed.reserveCapacity(text.count + text.count / 2 + replacement.count)
            let isBegun = text[0] == UInt8(ascii: " ") || text.starts(with: replacement)
            if !isBegun, prepends == .always || prepends == .first && beginsText { changed += replacement }
            for byte in text { if byte == UInt8(ascii: " ") { changed += replacement } else { changed.append(byte) } }
            try cut(changed: changed, step: step + 1, beginsText, search, body)
        case .byteAlphabet:
            try cut(changed: ByteLevel.spelling(of: text), step: step + 1, beginsText, search, body)
        case .fixedLength(let length):
            var start = 0
            var characters = 0
            for position in text.indices where text[position] & 0xC0 != 0x80 {
                if characters == length {
                    try cutFurther(start..<position)
                    (start, characters) = (position, 0)
                }
                characters += 1
            }
            try cutFurther(start..<text.count)
        case .scripts:
            for range in UnicodeScripts.runs(of: text) { try cutFurther(range) }
        case .numericBytes:
            var start = 0
            for position in text.indices.dropFirst()
            where Self.isNumeric(text[position]) != Self.isNumeric(text[position - 1]) {
                try cutFurther(start..<position)
                start = position
            }
            try cutFurther(start..<text.count)
        case .digitGroups(let groups):
            for range in try groups.pieces(of: text, search) { try cutFurther(range) }
        }
    }

    private func cut(
        changed text: [UInt8], step: Int, _ beginsText: Bool, _ search: borrowing PatternSearch,
        _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) throws(TokenizerError) {
        try text.withUnsafeBufferPointer { text throws(TokenizerError) in
            try cut(text, step: step, beginsText, search, body)
        }
    }

    /// Whether a byte's character in GPT-2's alphabet is numeric: a digit, or one of ²³¹¼½¾.
    private static func isNumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE: true
        default: false
        }
    }

    // MARK: Splits

    private typealias Part = (range: Range<Int>, isDelimiter: Bool)

    /// All of `text`, in matches of `pattern` and what is between them.
    private static func parts(
        of text: UnsafeBufferPointer<UInt8>, _ pattern: Pattern, _ isInverted: Bool, _ search: borrowing PatternSearch
    ) throws(TokenizerError) -> [Part] {
        var parts: [Part] = []
        var end = 0
        try search.forEachMatch(of: pattern, in: text) { match in
            if match.lowerBound > end { parts.append((end..<match.lowerBound, isInverted)) }
            parts.append((match, !isInverted))
            end = match.upperBound
        }
        if end < text.count { parts.append((end..<text.count, isInverted)) }
        return parts
    }

    private static func pieces(_ parts: [Part], _ behavior: SplitBehavior) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        func extend(by range: Range<Int>) {
            pieces[pieces.count - 1] = pieces[pieces.count - 1].lowerBound..<range.upperBound
        }
        var previous = false
        for (index, part) in parts.enumerated() {
            switch behavior {
            case .isolated: pieces.append(part.range)
            case .removed: if !part.isDelimiter { pieces.append(part.range) }
            case .contiguous:
                if part.isDelimiter == previous, !pieces.isEmpty {
                    extend(by: part.range)
                } else {
                    pieces.append(part.range)
                }
            case .mergedWithPrevious:
                if part.isDelimiter, !previous, !pieces.isEmpty {
                    extend(by: part.range)
                } else {
                    pieces.append(part.range)
                }
            case .mergedWithNext:
                if !part.isDelimiter, index > 0, previous { extend(by: part.range) } else { pieces.append(part.range) }
            }
            previous = part.isDelimiter
        }
        return pieces
    }
}
