// Changes text before it is split: Unicode forms, replacements, stripping. The steps are those of tokenizer.json.

/// Text between added tokens on its way through a normaliser.
struct NormalizedText {
    /// The text, valid UTF-8.
    var bytes: [UInt8]
    /// For each byte, whether it was written by a template and not by a user; nil if nobody asks.
    var isTemplate: [Bool]?
    /// Whether nothing of the original text is before the first character.
    var beginsText: Bool

    /// Nothing yet, of the same kind as `text`.
    init(emptyLike text: borrowing NormalizedText) {
        bytes = []
        bytes.reserveCapacity(text.bytes.count + 16)
        isTemplate = text.isTemplate.map { _ in [] }
        beginsText = text.beginsText
    }

    init(bytes: [UInt8], isTemplate: [Bool]?, beginsText: Bool) {
        self.bytes = bytes
        self.isTemplate = isTemplate
        self.beginsText = beginsText
    }

    /// Appends what replaces `range` of `source`. It is a template's only if all of that was.
    mutating func append(
        _ replacement: some Collection<UInt8>, replacing range: Range<Int>, of source: borrowing NormalizedText
    ) {
        bytes.append(contentsOf: replacement)
        guard let origins = source.isTemplate else { return }
        isTemplate?.append(contentsOf: repeatElement(origins[range].allSatisfy(\.self), count: replacement.count))
    }

    /// Appends `range` of `source` as it is.
    mutating func append(_ range: Range<Int>, of source: borrowing NormalizedText) {
        bytes.append(contentsOf: source.bytes[range])
        if let origins = source.isTemplate { isTemplate?.append(contentsOf: origins[range]) }
    }
}

/// The normaliser of a model: steps, applied one after another.
struct Normalizer: Sendable {
    /// A Unicode normalisation form.
    enum Form: String, Sendable {
        case nfc = "NFC"
        case nfd = "NFD"
        case nfkc = "NFKC"
        case nfkd = "NFKD"
    }

    /// One step.
    enum Step: Sendable {
        case form(Form)
        case lowercase
        /// Writes text before a text that is not empty.
        case prepend([UInt8])
        /// Replaces each occurrence of bytes, which are not empty.
        case replace([UInt8], with: [UInt8])
        /// Replaces each match of a pattern.
        case replaceMatches(Pattern, with: [UInt8])
        /// Removes white space at the ends.
        case strip(left: Bool, right: Bool)
        /// Removes combining marks.
        case stripAccents
        /// Removes control characters, and makes spaces of other white space.
        case nmt
        /// Writes bytes as characters of GPT-2's alphabet.
        case byteAlphabet
        /// Removes spaces at the ends, and all but one of a run.
        case removeExtraSpaces
        /// Removes bytes, which are not empty, from the end as often as they are there.
        case removeFromEnd([UInt8])
    }

    let steps: [Step]

    /// No step: text stays as it is.
    static let none = Normalizer(steps: [])

    /// The maximum of bytes that a byte of text becomes.
    var mostBytesOfByte: Int {
        steps.reduce(1) { bytes, step in
            let factor =
                switch step {
                // No character becomes more than three times (with compatibility mappings: eleven times) its bytes.
                case .form(.nfc), .form(.nfd), .byteAlphabet: 3
                case .form: 11
                case .lowercase: 2
                case .prepend(let text): text.count + 1
                case .replace(let found, let text): max(1, (text.count + found.count - 1) / found.count)
                case .replaceMatches(_, let text): 2 * text.count + 1
                case .strip, .stripAccents, .nmt, .removeExtraSpaces, .removeFromEnd: 1
                }
            return bytes.saturatingProduct(factor)
        }
    }

    /// Normalises `text`.
    ///
    /// - Throws: `TokenizerError.patternFailed`.
    func normalize(_ text: inout NormalizedText, _ search: borrowing PatternSearch) throws(TokenizerError) {
        for step in steps {
            if text.bytes.isEmpty { return }
            try Self.apply(step, to: &text, search)
        }
    }

    private static func apply(
        _ step: Step, to text: inout NormalizedText, _ search: borrowing PatternSearch
    ) throws(TokenizerError) {
        switch step {
        case .form(let form): UnicodeForms.apply(form, to: &text)
        case .lowercase:
            if text.bytes.contains(where: { $0 >= 0x80 || (0x41...0x5A).contains($0) }) {
                mapCharacters(of: &text) { lowercase($0) }
            }
        case .prepend(let prefix):
            // What is added is part of the first character, but never of a user's text.
            text.bytes.insert(contentsOf: prefix, at: 0)
            text.isTemplate?.insert(contentsOf: repeatElement(true, count: prefix.count), at: 0)
        case .replace(let found, let replacement): replace(found, with: replacement, in: &text)
        case .replaceMatches(let pattern, let replacement):
            let matches = try matches(of: pattern, in: text.bytes, search)
            replace(matches, with: replacement, in: &text)
        case .strip(let left, let right): strip(&text, left, right)
        case .stripAccents:
            let matches = try matches(of: mark, in: text.bytes, search)
            replace(matches, with: [], in: &text)
        case .nmt: mapCharacters(of: &text) { nmt($0) }
        case .byteAlphabet:
            var result = NormalizedText(emptyLike: text)
            for position in text.bytes.indices {
                let range = position..<position + 1
                result.append(ByteLevel.spelling(of: text.bytes[range]), replacing: range, of: text)
            }
            text = result
        case .removeExtraSpaces: removeExtraSpaces(&text)
        case .removeFromEnd(let end):
            while text.bytes.suffix(end.count).elementsEqual(end) {
                text.bytes.removeLast(end.count)
                text.isTemplate?.removeLast(end.count)
            }
        }
    }

    private static let mark = Pattern(CharacterClass.marks)

    // MARK: Characters

    /// Replaces each character for which `change` returns something.
    private static func mapCharacters(of text: inout NormalizedText, _ change: (Unicode.Scalar) -> [UInt8]?) {
        var result = NormalizedText(emptyLike: text)
        text.bytes.withUnsafeBufferPointer { bytes in
            UTF8Scalars.forEach(in: bytes) { value, range in
                if let changed = Unicode.Scalar(value).flatMap(change) {
                    if changed.isEmpty, range.lowerBound == 0 { result.beginsText = false }
                    result.append(changed, replacing: range, of: text)
                } else {
                    result.append(range, of: text)
                }
            }
        }
        text = result
    }

    private static func lowercase(_ scalar: Unicode.Scalar) -> [UInt8]? {
        if scalar.isASCII { return ("A"..."Z").contains(scalar) ? [UInt8(scalar.value) | 0x20] : nil }
        if let lower = UnicodeSupplement.lowercase[scalar.value].flatMap(Unicode.Scalar.init) {
            return Array(String(lower).utf8)
        }
        return Array(scalar.properties.lowercaseMapping.utf8)
    }

    private static func nmt(_ scalar: Unicode.Scalar) -> [UInt8]? {
        switch scalar.value {
        case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: []
        case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: [0x20]
        default: nil
        }
    }

    // MARK: Replacing and stripping

    private static func matches(
        of pattern: Pattern, in bytes: [UInt8], _ search: borrowing PatternSearch
    ) throws(TokenizerError) -> [Range<Int>] {
        var matches: [Range<Int>] = []
        try bytes.withUnsafeBufferPointer { bytes throws(TokenizerError) in
            try search.forEachMatch(of: pattern, in: bytes) { matches.append($0) }
        }
        return matches
    }

    private static func replace(_ found: [UInt8], with replacement: [UInt8], in text: inout NormalizedText) {
        guard let first = found.first else { return }
        var matches: [Range<Int>] = []
        var position = 0
        while let start = text.bytes[position...].firstIndex(of: first) {
            position = start + 1
            if text.bytes[start...].starts(with: found) {
                position = start + found.count
                matches.append(start..<position)
            }
        }
        replace(matches, with: replacement, in: &text)
    }

    private static func replace(_ matches: [Range<Int>], with replacement: [UInt8], in text: inout NormalizedText) {
        guard let first = matches.first else { return }
        var result = NormalizedText(emptyLike: text)
        var end = 0
        for match in matches {
            result.append(end..<match.lowerBound, of: text)
            result.append(replacement, replacing: match, of: text)
            end = match.upperBound
        }
        result.append(end..<text.bytes.count, of: text)
        // What replaces several characters counts as the last of them, as in Hugging Face `tokenizers`.
        if first.lowerBound == 0, !first.isEmpty {
            let length = text.bytes.withUnsafeBufferPointer { UTF8Scalars.first(of: $0, at: 0).length }
            if replacement.isEmpty || first.count > length { result.beginsText = false }
        }
        text = result
    }

    private static func strip(_ text: inout NormalizedText, _ left: Bool, _ right: Bool) {
        var range = 0..<text.bytes.count
        text.bytes.withUnsafeBufferPointer { bytes in
            if left { range = WhiteSpace.end(of: bytes, from: 0)..<bytes.count }
            if right { range = range.lowerBound..<max(range.lowerBound, WhiteSpace.start(of: bytes, to: bytes.count)) }
        }
        if range.count == text.bytes.count { return }
        var result = NormalizedText(emptyLike: text)
        result.append(range, of: text)
        if range.lowerBound > 0 { result.beginsText = false }
        text = result
    }

    private static func removeExtraSpaces(_ text: inout NormalizedText) {
        let space = UInt8(ascii: " ")
        var result = NormalizedText(emptyLike: text)
        let end = (text.bytes.lastIndex { $0 != space } ?? -1) + 1
        for position in 0..<end {
            if text.bytes[position] == space, position == 0 || text.bytes[position - 1] == space { continue }
            result.append(position..<position + 1, of: text)
        }
        text = result
    }
}

extension Int {
    /// The product with `other`, or the largest number; both are positive.
    func saturatingProduct(_ other: Int) -> Int {
        let (product, overflows) = multipliedReportingOverflow(by: other)
        return overflows ? .max : product
    }
}
