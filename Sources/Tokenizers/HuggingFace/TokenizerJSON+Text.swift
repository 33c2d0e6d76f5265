// Reads the normaliser and the pre-tokeniser of tokenizer.json.

extension Normalizer.Step {
    /// The steps of a normaliser.
    static func read(_ place: JSONPlace) throws(TokenizerError) -> [Normalizer.Step] {
        let type = try place.type()
        switch type {
        case "Sequence":
            var steps: [Normalizer.Step] = []
            try place.required("normalizers").forEachElement { part throws(TokenizerError) in steps += try read(part) }
            return steps
        case "NFC", "NFD", "NFKC", "NFKD": return [.form(Normalizer.Form(rawValue: type)!)]
        case "Lowercase": return [.lowercase]
        case "Nmt": return [.nmt]
        case "StripAccents": return [.stripAccents]
        case "Strip":
            return [.strip(left: try place.requiredBool("strip_left"), right: try place.requiredBool("strip_right"))]
        case "Prepend": return [.prepend(try place.required("prepend").bytes())]
        case "ByteLevel": return [.byteAlphabet]
        case "Replace":
            let content = try place.required("content").bytes()
            let pattern = try place.required("pattern")
            if pattern["String"] != nil { return [.replace(try pattern.text("String"), with: content)] }
            return [.replaceMatches(try Pattern.read(pattern), with: content)]
        case "BertNormalizer":
            throw place.error("the normaliser BertNormalizer, which WordPiece models use, is not supported")
        case "Precompiled": throw place.error("the normaliser Precompiled, which Unigram models use, is not supported")
        default: throw place.error("the normaliser \(type) is not known")
        }
    }
}

extension Pattern {
    /// Reads `{"Regex": …}` or `{"String": …}`.
    static func read(_ place: JSONPlace) throws(TokenizerError) -> Pattern {
        if let literal = place["String"] {
            let text = String(decoding: try place.text("String"), as: UTF8.self)
            do throws(PatternError) { return try Pattern(literal: text) } catch { throw literal.error(error.reason) }
        }
        guard let pattern = place["Regex"] else { throw place.error("has neither String nor Regex") }
        let text = try pattern.string()
        do throws(PatternError) { return try Pattern(foreign: text) } catch {
            throw pattern.error("the regular expression cannot be used: \(error.reason) in \(text)")
        }
    }
}

extension PreTokenizer.Step {
    /// The steps of a pre-tokeniser.
    static func read(_ place: JSONPlace) throws(TokenizerError) -> [PreTokenizer.Step] {
        let type = try place.type()
        switch type {
        case "Sequence":
            var steps: [PreTokenizer.Step] = []
            try place.required("pretokenizers").forEachElement { part throws(TokenizerError) in steps += try read(part)
            }
            return steps
        case "ByteLevel":
            // trim_offsets is about places in the text, for which nobody asks.
            let prefix: [PreTokenizer.Step] = try place.requiredBool("add_prefix_space") ? [.prefixSpace] : []
            let split = try place.bool("use_regex", default: true) ? PreTokenizer.Step.words : nil
            return prefix + [split].compactMap(\.self) + [.byteAlphabet]
        case "Split":
            let behavior = try SplitBehavior.read(place.required("behavior"))
            let isInverted = try place.requiredBool("invert")
            return [.split(try Pattern.read(place.required("pattern")), behavior, isInverted: isInverted)]
        case "Digits":
            let isolates = try place.requiredBool("individual_digits")
            return [.split(Pattern(CharacterClass.numeric), isolates ? .isolated : .contiguous)]
        case "Punctuation":
            let behavior = try place["behavior"].map { value throws(TokenizerError) in try SplitBehavior.read(value) }
            return [.split(Pattern(CharacterClass.punctuation), behavior ?? .isolated)]
        case "Whitespace":
            let word = CharacterClass.rustWords
            var others = word
            others.formUnion(.whiteSpace)
            return [.split(Pattern(runsOf: [word, others.complement]), .removed, isInverted: true)]
        case "WhitespaceSplit": return [.split(Pattern(CharacterClass.whiteSpace), .removed)]
        case "BertPreTokenizer":
            return [
                .split(Pattern(CharacterClass.whiteSpace), .removed),
                .split(Pattern(CharacterClass.punctuation), .isolated),
            ]
        case "CharDelimiterSplit":
            return [.split(try literal(try character("delimiter", of: place), place), .removed)]
        case "FixedLength":
            let length =
                try place["length"].map { value throws(TokenizerError) in try value.integer(most: 1 << 30) } ?? 5
            if length == 0 { throw place.error("length is 0") }
            return [.fixedLength(length)]
        case "UnicodeScripts": return [.scripts]
        case "Metaspace":
            let metaspace = try Metaspace(place)
            let escape = PreTokenizer.Step.escapeSpaces(
                replacement: Array(metaspace.replacement.utf8), prepends: metaspace.prepends)
            return metaspace.splits
                ? [escape, .split(try literal(metaspace.replacement, place), .mergedWithNext)] : [escape]
        default: throw place.error("the pre-tokeniser \(type) is not known")
        }
    }

    /// GPT-2's split, which is part of `ByteLevel`.
    private static var words: PreTokenizer.Step {
        .split(Pattern(#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#), .isolated)
    }

    private static func literal(_ text: String, _ place: JSONPlace) throws(TokenizerError) -> Pattern {
        do throws(PatternError) { return try Pattern(literal: text) } catch { throw place.error(error.reason) }
    }

    fileprivate static func character(_ name: StaticString, of place: JSONPlace) throws(TokenizerError) -> String {
        let text = String(decoding: try place.text(name), as: UTF8.self)
        guard text.unicodeScalars.count == 1 else { throw place.error("\(name) is not one character") }
        return text
    }
}

extension SplitBehavior {
    static func read(_ place: JSONPlace) throws(TokenizerError) -> SplitBehavior {
        let name = try place.string()
        guard let behavior = SplitBehavior(rawValue: name) else {
            throw place.error("the behavior \(name) is not known")
        }
        return behavior
    }
}

/// `Metaspace`, which is a pre-tokeniser and a decoder.
struct Metaspace {
    /// The character that stands for a space.
    let replacement: String
    let prepends: PreTokenizer.Prepending
    let splits: Bool

    init(_ place: JSONPlace) throws(TokenizerError) {
        replacement = try PreTokenizer.Step.character("replacement", of: place)
        splits = try place.bool("split", default: true)
        let addsPrefix = try place.bool("add_prefix_space", default: true)
        switch try place.string("prepend_scheme") {
        case "always", nil: prepends = addsPrefix ? .always : .never
        case "first": prepends = .first
        case "never": prepends = .never
        case let name?: throw place.error("the prepend_scheme \(name) is not known")
        }
        if !addsPrefix, place["prepend_scheme"] != nil, prepends != .never {
            throw place.error("add_prefix_space is false, but prepend_scheme is not never")
        }
    }
}
