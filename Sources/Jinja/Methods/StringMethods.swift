// Methods of Python's `str`: trimming, splitting, searching and joining. Case and classification are in
// `StringCase.swift`.

extension Interpreter {
    func callStringMethod(_ name: String, _ text: Text, _ arguments: Arguments) throws(JinjaError) -> Value {
        if text.isMarkup { return try callMarkupMethod(name, text, arguments) }
        try spend(text.utf8Count / 8)
        switch name {
        case "strip", "lstrip", "rstrip": return .string(try strip(name, text, arguments))
        case "split", "rsplit": return try split(text, arguments, fromRight: name == "rsplit")
        case "splitlines":
            let keepEnds = try arguments.bind(name, ["keepends"])[0]?.isTrue ?? false
            return try strings(text.splitLines(keepEnds: keepEnds))
        case "startswith", "endswith": return .bool(try hasAffix(name, text, arguments))
        case "find", "rfind", "index", "rindex", "count": return .int(try search(name, text, arguments))
        case "replace": return .string(try replace(text, arguments))
        case "join": return .string(try join(try arguments.bind(name, ["iterable"], required: 1)[0]!, separator: text))
        case "removeprefix":
            let prefix = try string(try arguments.bind(name, ["prefix"], required: 1)[0]!)
            guard text.hasPrefix(prefix) else { return .string(text) }
            return .string(cut(text, prefix.utf8Count..<text.utf8Count))
        case "removesuffix":
            let suffix = try string(try arguments.bind(name, ["suffix"], required: 1)[0]!)
            guard text.hasSuffix(suffix) else { return .string(text) }
            return .string(cut(text, 0..<text.utf8Count - suffix.utf8Count))
        case "partition", "rpartition": return try partition(name, text, arguments)
        case "format": return .string(try format(text, arguments))
        case "center", "ljust", "rjust", "zfill": return .string(try pad(name, text, arguments))
        default:
            _ = try arguments.bind(name)
            return try callCaseMethod(name, text)
        }
    }

    /// A method of Python's `Markup`: that of `str`, with a result that is markup, and what is put into the text escaped.
    private func callMarkupMethod(_ name: String, _ text: Text, _ arguments: Arguments) throws(JinjaError) -> Value {
        var arguments = arguments
        switch name {
        case "format": return .string(try format(text, arguments))
        case "join":
            let values = try elements(of: try arguments.bind(name, ["iterable"], required: 1)[0]!)
            let pieces = try values.map { value throws(JinjaError) in try escaped(value) }
            return .string(try join(pieces, separator: text))
        case "replace", "center", "ljust", "rjust":
            if arguments.positional.count > 1 {
                arguments.positional[1] = .string(try escaped(arguments.positional[1]))
            }
        default: break
        }
        return try callStringMethod(name, text.plain, arguments).marked()
    }

    /// The rest of `text` when the template named the characters to remove.
    private func cut(_ text: Text, _ range: Range<Int>) -> Text {
        let rest = text.slice(range)
        noteRemoval(from: text, leaving: [rest])
        return rest
    }

    func strings(_ texts: [Text]) throws(JinjaError) -> Value {
        try spend(elements: texts.count)
        return try .list(texts.map { .string($0) })
    }

    private func strip(_ name: String, _ text: Text, _ arguments: Arguments) throws(JinjaError) -> Text {
        let leading = name != "rstrip"
        let trailing = name != "lstrip"
        let given = try arguments.bind(name, ["chars"])[0]
        guard let given, case .string(let set) = given else {
            if let given, case .undefined(let undefined) = given { throw undefined.error }
            if let given, given.typeName != "NoneType" { throw JinjaError(.type, "\(name)() needs a string or None") }
            return text.trimmed(leading: leading, trailing: trailing)
        }
        let scalars = Set(set.string.unicodeScalars)
        let trimmed = text.trimmed(leading: leading, trailing: trailing) { scalars.contains($0) }
        noteRemoval(from: text, leaving: [trimmed])
        return trimmed
    }

    private func split(_ text: Text, _ arguments: Arguments, fromRight: Bool) throws(JinjaError) -> Value {
        let bound = try arguments.bind("split", ["sep", "maxsplit"])
        let given = try optionalInteger(bound[1]) ?? -1
        let limit = given < 0 ? Int.max : given
        guard let separator = bound[0], separator.typeName != "NoneType" else {
            if fromRight, limit < .max { return try strings(splitOnSpaceFromRight(text, limit: limit)) }
            return try strings(text.splitOnSpace(limit: limit))
        }
        let pattern = try string(separator)
        if pattern.isEmpty { throw JinjaError(.value, "empty separator") }
        let hits =
            fromRight ? text.offsetsFromRight(of: pattern, limit: limit) : text.offsets(of: pattern, limit: limit)
        try spend(elements: hits.count)
        let pieces = text.split(at: hits, width: pattern.utf8Count)
        if !hits.isEmpty { noteRemoval(from: text, leaving: pieces) }
        return try strings(pieces)
    }

    private func splitOnSpaceFromRight(_ text: Text, limit: Int) -> [Text] {
        var result: [Text] = []
        var rest = text.trimmed(leading: false)
        while !rest.isEmpty, result.count < limit {
            let head = rest.trimmed(leading: false) { !$0.isPythonSpace }
            result.append(rest.slice(head.utf8Count..<rest.utf8Count))
            rest = head.trimmed(leading: false)
        }
        let first = rest.trimmed()
        if !first.isEmpty { result.append(rest) }
        return result.reversed()
    }

    private func hasAffix(_ name: String, _ text: Text, _ arguments: Arguments) throws(JinjaError) -> Bool {
        let bound = try arguments.bind(name, ["affix", "start", "end"], required: 1)
        let (lower, upper) = try byteRange(text, bound[1], bound[2])
        let subject = lower <= upper ? text.slice(lower..<upper) : Text()
        var candidates = [bound[0]!]
        if case .tuple(let items) = bound[0]! { candidates = items.values }
        for candidate in candidates {
            let affix = try string(candidate)
            if lower <= upper, name == "startswith" ? subject.hasPrefix(affix) : subject.hasSuffix(affix) {
                return true
            }
        }
        return false
    }

    /// A code point range as UTF-8 offsets; the first is greater than the second if the range is past the end.
    private func byteRange(_ text: Text, _ start: Value?, _ stop: Value?) throws(JinjaError) -> (Int, Int) {
        if start == nil, stop == nil { return (0, text.utf8Count) }
        let count = text.count
        let range = clampedRange(try optionalInteger(start), try optionalInteger(stop), count)
        if range.start > range.stop { return (1, 0) }
        return (text.offset(ofCodePoint: range.start), text.offset(ofCodePoint: range.stop))
    }

    private func search(_ name: String, _ text: Text, _ arguments: Arguments) throws(JinjaError) -> Int {
        let bound = try arguments.bind(name, ["sub", "start", "end"], required: 1)
        let needle = try string(bound[0]!)
        let (lower, upper) = try byteRange(text, bound[1], bound[2])
        let subject = lower <= upper ? text.slice(lower..<upper) : Text()
        if name == "count" {
            if lower > upper { return 0 }
            return needle.isEmpty ? subject.count + 1 : subject.offsets(of: needle).count
        }
        var hit: Int?
        if lower <= upper {
            if name.hasPrefix("r") {
                hit = needle.isEmpty ? subject.utf8Count : subject.offsetsFromRight(of: needle, limit: 1).first
            } else {
                hit = subject.firstOffset(of: needle)
            }
        }
        if let hit { return text.codePoints(before: lower + hit) }
        if name.hasSuffix("find") { return -1 }
        throw JinjaError(.value, "substring not found")
    }

    private func replace(_ text: Text, _ arguments: Arguments) throws(JinjaError) -> Text {
        let bound = try arguments.bind("replace", ["old", "new", "count"], required: 2)
        let count = try optionalInteger(bound[2]) ?? -1
        return try replace(text, try string(bound[0]!), with: try string(bound[1]!), count: count)
    }

    /// - Parameter count: the maximum number of replacements; negative for all.
    func replace(_ text: Text, _ old: Text, with new: Text, count: Int) throws(JinjaError) -> Text {
        let limit = count < 0 ? Int.max : count
        let hits = old.isEmpty ? text.utf8Count + 1 : text.offsets(of: old, limit: limit).count
        let (growth, overflow) = min(hits, limit).multipliedReportingOverflow(by: new.utf8Count)
        try spend(textBytes: overflow ? .max : text.utf8Count + growth)
        let result = text.replacing(old, with: new, limit: limit)
        if hits > 0, !old.isEmpty { noteRemoval(from: text, leaving: [result]) }
        return result
    }

    /// `separator.join(values)`. All values must be strings.
    func join(_ values: Value, separator: Text) throws(JinjaError) -> Text {
        var pieces: [Text] = []
        for value in try elements(of: values) {
            guard case .string(let piece) = value else {
                throw JinjaError(.type, "join() needs strings, found '\(value.typeName)'")
            }
            pieces.append(piece)
        }
        return try join(pieces, separator: separator)
    }

    /// `separator.join(pieces)`; markup escapes the pieces.
    func join(_ pieces: [Text], separator: Text) throws(JinjaError) -> Text {
        var pieces = pieces
        if separator.isMarkup { pieces = try pieces.map { piece throws(JinjaError) in try escaped(piece) } }
        try spend(textBytes: pieces.reduce(0) { $0 + $1.utf8Count + separator.utf8Count })
        return separator.joining(pieces).marked(asMarkup: separator.isMarkup)
    }

    private func partition(_ name: String, _ text: Text, _ arguments: Arguments) throws(JinjaError) -> Value {
        let separator = try string(try arguments.bind(name, ["sep"], required: 1)[0]!)
        if separator.isEmpty { throw JinjaError(.value, "empty separator") }
        let fromRight = name == "rpartition"
        let hit = fromRight ? text.offsetsFromRight(of: separator, limit: 1).first : text.firstOffset(of: separator)
        guard let hit else {
            let parts = fromRight ? [Text(), Text(), text] : [text, Text(), Text()]
            return try .tuple(parts.map { .string($0) })
        }
        let after = hit + separator.utf8Count
        // Python puts the separator that it was given in the middle, markup or not.
        let middle = text.slice(hit..<after).marked(asMarkup: separator.isMarkup)
        return try .tuple([
            .string(text.slice(0..<hit)), .string(middle),
            .string(text.slice(after..<text.utf8Count)),
        ])
    }

    private func pad(_ name: String, _ text: Text, _ arguments: Arguments) throws(JinjaError) -> Text {
        let bound = try arguments.bind(name, ["width", "fill"], required: 1)
        let width = try integer(bound[0]!)
        let fill =
            try bound[1].map { value throws(JinjaError) in try string(value) } ?? Text(name == "zfill" ? "0" : " ")
        guard fill.count == 1 else { throw JinjaError(.type, "the fill character must be exactly one character") }
        let missing = width - min(text.count, max(width, 0))
        if missing <= 0 { return text }
        try spend(textBytes: missing)
        if name == "zfill", text.hasPrefix(Text("-")) || text.hasPrefix(Text("+")) {
            var result = text.slice(0..<1)
            result.append(padding(fill, missing))
            result.append(text.slice(1..<text.utf8Count))
            return result
        }
        // CPython puts the odd space on the left if the width is odd too.
        let left = name == "ljust" ? 0 : name == "center" ? missing / 2 + (missing & width & 1) : missing
        var result = padding(fill, left)
        result.append(text)
        result.append(padding(fill, missing - left))
        return result
    }

    func padding(_ fill: Text, _ count: Int) -> Text {
        Text(String(repeating: fill.string, count: count), author: fill.author)
    }
}
