// Reads the post-processor and the decoder of tokenizer.json.

import JSONText

/// What is put around the tokens of a single text.
struct PromptFrame: Equatable {
    var prefix: [Int32] = []
    var suffix: [Int32] = []

    /// Reads a post-processor.
    ///
    /// - Parameter vocabularySize: ids must be smaller.
    static func read(_ place: JSONPlace, vocabularySize: Int) throws(TokenizerError) -> PromptFrame {
        let type = try place.type()
        switch type {
        case "ByteLevel": return PromptFrame()
        case "Sequence":
            var frame = PromptFrame()
            try place.required("processors").forEachElement { part throws(TokenizerError) in
                let outer = try read(part, vocabularySize: vocabularySize)
                frame = PromptFrame(prefix: outer.prefix + frame.prefix, suffix: frame.suffix + outer.suffix)
            }
            return frame
        case "RobertaProcessing", "BertProcessing":
            return PromptFrame(
                prefix: [try marker("cls", of: place, vocabularySize)],
                suffix: [try marker("sep", of: place, vocabularySize)])
        case "TemplateProcessing": return try template(place, vocabularySize)
        default: throw place.error("the post-processor \(type) is not known")
        }
    }

    /// The id of `["[CLS]", 101]`.
    private static func marker(_ name: StaticString, of place: JSONPlace, _ size: Int) throws(TokenizerError) -> Int32 {
        var ids: [Int32] = []
        var count = 0
        try place.required(name).forEachElement { element throws(TokenizerError) in
            if count == 1 { ids.append(Int32(try element.integer(most: size - 1))) }
            count += 1
        }
        guard count == 2 else { throw place.error("\(name) is not a token and its id") }
        return ids[0]
    }

    private static func template(_ place: JSONPlace, _ size: Int) throws(TokenizerError) -> PromptFrame {
        var frame = PromptFrame()
        var hasText = false
        let specials = place["special_tokens"]
        try place.required("single").forEachElement { piece throws(TokenizerError) in
            if let sequence = piece["Sequence"] {
                if try sequence.string("id") != "A" || hasText {
                    throw piece.error("is not the only text of a single one")
                }
                hasText = true
                return
            }
            guard let special = piece["SpecialToken"] else {
                throw piece.error("has neither Sequence nor SpecialToken")
            }
            let name = try special.required("id").bytes()
            var ids: [Int32] = []
            try specials.member(named: name, from: special).required("ids").forEachElement {
                id throws(TokenizerError) in
                ids.append(Int32(try id.integer(most: size - 1)))
            }
            if hasText { frame.suffix += ids } else { frame.prefix += ids }
        }
        guard hasText else { throw place.error("the text itself is missing in single") }
        return frame
    }
}

extension Optional where Wrapped == JSONPlace {
    /// The member with exactly these bytes as its name.
    fileprivate func member(named name: [UInt8], from place: JSONPlace) throws(TokenizerError) -> JSONPlace {
        if let self, self.node.kind == .object {
            for (key, value) in self.node.members where key.utf8.elementsEqual(name) {
                return JSONPlace(node: value, file: self.file, place: self.place + "." + key.string)
            }
        }
        throw place.error("the special token \(String(decoding: name, as: UTF8.self)) is not listed in special_tokens")
    }
}

extension TokenDecoder {
    /// Reads a decoder; nil means that tokens are joined by spaces, as in `tokenizers`.
    init(_ place: JSONPlace?, spellings: ByteStrings) throws(TokenizerError) {
        guard let place else {
            self.init(spellings: spellings, steps: [], bytes: .lossy, separator: [UInt8(ascii: " ")])
            return
        }
        var reader = Reader()
        try reader.read(place)
        self.init(spellings: spellings, steps: reader.steps, bytes: reader.bytes, stripped: reader.stripped)
    }

    private struct Reader {
        var steps: [Step] = []
        var bytes = Bytes.lossy
        var stripped: (content: [UInt8], count: Int) = ([], 0)
        /// How many times its length a token can become.
        var growth = 1
        /// Whether what follows sees the whole text instead of tokens.
        var isFused = false

        mutating func read(_ place: JSONPlace) throws(TokenizerError) {
            let type = try place.type()
            if isFused, ["Metaspace", "BPEDecoder", "ByteFallback"].contains(type) {
                throw place.error("the decoder \(type) of a whole text is not supported")
            }
            switch type {
            case "Sequence":
                var error: TokenizerError?
                try place.required("decoders").forEachElement { part throws(TokenizerError) in
                    do throws(TokenizerError) { try read(part) } catch let failure { error = error ?? failure }
                }
                if let error { throw error }
            case "ByteLevel":
                if isFused { throw place.error("the decoder ByteLevel of a whole text is not supported") }
                steps.append(.byteLevel)
                isFused = true
            case "Fuse": isFused = true
            case "ByteFallback":
                steps.append(.bytes)
                bytes = .eachReplaced
            case "Metaspace":
                let metaspace = try Metaspace(place)
                steps.append(
                    .unescapeSpaces(
                        replacement: Array(metaspace.replacement.utf8), dropsFirst: metaspace.prepends != .never))
            case "BPEDecoder": steps.append(.wordSuffix(try place.text("suffix")))
            case "Replace":
                let pattern = try place.required("pattern")
                guard pattern["String"] != nil else {
                    throw pattern.error("the decoder Replace with a regular expression is not supported")
                }
                let found = try pattern.text("String")
                if isFused, String(decoding: found, as: UTF8.self).unicodeScalars.count > 1 {
                    throw pattern.error("the decoder Replace of several characters in a whole text is not supported")
                }
                let content = try place.required("content").bytes()
                growth = growth.saturatingProduct(max(1, (content.count + found.count - 1) / found.count))
                if growth > 16 { throw place.error("the decoder makes tokens more than 16 times as long") }
                steps.append(.replace(found, with: content))
            case "Strip":
                let content = try place.text("content")
                let count = try place.integer("start", most: 1 << 20)
                if try place.integer("stop", most: 1 << 20) > 0 {
                    throw place.error("the decoder Strip at the end of a text is not supported")
                }
                if !isFused {
                    steps.append(.strip(content: content, count: count))
                } else if stripped.count == 0 {
                    stripped = (content, count)
                } else {
                    throw place.error("the decoder Strip for the second time is not supported")
                }
            case "WordPiece", "CTC": throw place.error("the decoder \(type) is not supported")
            default: throw place.error("the decoder \(type) is not known")
            }
        }
    }
}
