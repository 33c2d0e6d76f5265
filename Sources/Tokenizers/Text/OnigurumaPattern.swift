// Translates a regular expression of Oniguruma, whose dialect tokenizer.json is written in, to one of PCRE2.

/// Why a regular expression cannot be used.
struct PatternError: Error, Equatable {
    /// What was found, for people: `\X (a grapheme cluster) at character 7`.
    let reason: String
}

/// A parser of Oniguruma's Ruby syntax, which is the one of Hugging Face `tokenizers`, that writes what it reads for PCRE2.
///
/// Where the two mean different things by the same letters, the result says what Oniguruma means: `^` and `$` are the ends
/// of lines, `\h` is a hexadecimal digit, `{2,3}+` is not possessive, `[a[b]&&[^c]]` computes with sets. What PCRE2 cannot
/// say is refused.
struct OnigurumaPattern {
    let characters: [Unicode.Scalar]
    var position = 0
    var depth = 0
    var ignoresCase = false
    private var dotMatchesNewline = false

    /// The same pattern for PCRE2, compiled with `PCRE2_UTF | PCRE2_UCP`.
    static func translated(_ pattern: String) throws(PatternError) -> String {
        var parser = OnigurumaPattern(characters: Array(pattern.unicodeScalars))
        let result = try parser.alternatives()
        if parser.position < parser.characters.count {
            throw parser.refusal("a closing parenthesis without an opening one")
        }
        return result
    }

    private init(characters: [Unicode.Scalar]) { self.characters = characters }

    var next: Unicode.Scalar? { position < characters.count ? characters[position] : nil }

    func follows(_ text: String) -> Bool { characters[position...].starts(with: text.unicodeScalars) }

    mutating func skip(_ text: String) -> Bool {
        guard follows(text) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    func refusal(_ what: String) -> PatternError { PatternError(reason: "\(what) at character \(position)") }

    // MARK: Sequences

    private mutating func alternatives() throws(PatternError) -> String {
        depth += 1
        defer { depth -= 1 }
        // It bounds the recursion.
        if depth > 100 { throw refusal("a hundred groups in one another") }
        let flags = (ignoresCase, dotMatchesNewline)
        defer { (ignoresCase, dotMatchesNewline) = flags }
        var result = try sequence()
        while next == "|" {
            position += 1
            result += "|" + (try sequence())
        }
        return result
    }

    private mutating func sequence() throws(PatternError) -> String {
        var result = ""
        var previous: Unicode.Scalar?
        let start = position
        while let character = next, character != "|", character != ")" {
            if follows("(?#") {
                guard let close = characters[position...].firstIndex(of: ")") else {
                    throw refusal("a comment without end")
                }
                position = close + 1
                continue
            }
            if let options = try optionsAlone(isFirst: position == start) {
                result += options
                continue
            }
            let before = position
            var atom = try atom()
            if ignoresCase, position == before + 1 {
                let pair = [previous, character].compactMap { $0.map { String($0).lowercased() } }.joined()
                if ["ss", "ff", "fi", "fl", "st"].contains(pair) {
                    throw refusal("\"\(pair)\" without regard to case, which is also one character,")
                }
                previous = character
            } else {
                previous = nil
            }
            var isRepeated = false
            while let repetition = try repetition() {
                atom = isRepeated ? "(?:\(atom))\(repetition.text)" : atom + repetition.text
                isRepeated = true
                if repetition.endsAtom { atom = "(?:\(atom))" }
            }
            result += atom
        }
        return result
    }

    /// A quantifier. `endsAtom` says that a sign after it is a quantifier of its own, where PCRE2 would see a suffix.
    private mutating func repetition() throws(PatternError) -> (text: String, endsAtom: Bool)? {
        switch next {
        case "*", "+", "?":
            var text = String(characters[position])
            position += 1
            if next == "?" || next == "+" {
                text.unicodeScalars.append(characters[position])
                position += 1
            }
            return (text, false)
        case "{":
            guard let (low, high, end) = try interval() else { return nil }
            position = end
            if let high, low > high { throw refusal("an interval that ends before it begins") }
            let text = high.map { $0 == low ? "{\(low)}" : "{\(low),\($0)}" } ?? "{\(low),}"
            // A lazy {n} would be n times the atom or nothing.
            if next == "?", high != low {
                position += 1
                return (text + "?", true)
            }
            return (text, true)
        default: return nil
        }
    }

    /// The interval at the position; nil if the brace is an ordinary character.
    private func interval() throws(PatternError) -> (low: Int, high: Int?, end: Int)? {
        guard let close = characters[position...].firstIndex(of: "}") else { return nil }
        let parts = String(String.UnicodeScalarView(characters[(position + 1)..<close]))
            .split(separator: ",", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else { return nil }
        let numbers = parts.map { UInt16($0).map(Int.init) }
        if zip(parts, numbers).contains(where: { !$0.isEmpty && $1 == nil }) {
            throw refusal("an interval that is too long")
        }
        switch (parts.count, numbers.first ?? nil) {
        case (1, let count?): return (count, count, close + 1)
        case (2, let low?) where parts[1].isEmpty: return (low, nil, close + 1)
        case (2, let low?): return numbers[1].map { (low, $0, close + 1) }
        case (2, nil) where parts[0].isEmpty: return numbers[1].map { (0, $0, close + 1) }
        default: return nil
        }
    }

    // MARK: Groups

    /// `(?i)` up to the end of its group. Oniguruma lets it include the alternatives that follow.
    private mutating func optionsAlone(isFirst: Bool) throws(PatternError) -> String? {
        guard follows("(?"), let close = characters[position...].firstIndex(of: ")") else { return nil }
        let letters = characters[(position + 2)..<close]
        guard !letters.isEmpty, letters.allSatisfy({ $0 == "-" || ("a"..."z").contains($0) }) else { return nil }
        guard isFirst else { throw refusal("options within a sequence") }
        position += 2
        let text = try options()
        position += 1
        return "(?\(text))"
    }

    /// The letters of options at the position, up to `:` or `)`.
    private mutating func options() throws(PatternError) -> String {
        var result = ""
        var turnsOn = true
        while let letter = next, letter != ":", letter != ")" {
            switch letter {
            case "-": turnsOn = false
            case "i": ignoresCase = turnsOn
            // Ruby's m is PCRE2's s, and a dot is written out below.
            case "m": dotMatchesNewline = turnsOn
            default: throw refusal("the option \(letter)")
            }
            if letter != "m" { result.unicodeScalars.append(letter) }
            position += 1
        }
        return result
    }

    private mutating func group() throws(PatternError) -> String {
        let flags = (ignoresCase, dotMatchesNewline)
        defer { (ignoresCase, dotMatchesNewline) = flags }
        var opening = "(?:"
        if let kind = ["(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"].first(where: { follows($0) }) {
            position += kind.unicodeScalars.count
            opening = kind
        } else if follows("(?") {
            position += 2
            if next == "<" || next == "'" {
                // A named group only captures.
                let end: Unicode.Scalar = next == "<" ? ">" : "'"
                position += 1
                guard let close = characters[position...].firstIndex(of: end) else {
                    throw refusal("a group's name without end")
                }
                position = close + 1
            } else {
                guard let letter = next, letter == "-" || ("a"..."z").contains(letter) else {
                    throw refusal("the group (?\(next.map(String.init) ?? "")")
                }
                let text = try options()
                guard skip(":") else { throw refusal("options without a group") }
                opening = "(?\(text):"
            }
        } else if follows("(*") {
            throw refusal("the call (*")
        } else {
            position += 1
        }
        let body = try alternatives()
        guard skip(")") else { throw refusal("a group without end") }
        return opening + body + ")"
    }

    // MARK: Atoms

    private mutating func atom() throws(PatternError) -> String {
        let character = characters[position]
        switch character {
        case "(": return try group()
        case "[": return try set().expression
        case ".":
            position += 1
            return dotMatchesNewline ? #"(?s:.)"# : #"[^\n]"#
        case "^":
            position += 1
            return "(?m:^)"
        case "$":
            position += 1
            return "(?m:$)"
        case "*", "+", "?": throw refusal("a quantifier without anything to repeat")
        case "\\": return try escape()
        default:
            position += 1
            return Self.quoted(character)
        }
    }

    private mutating func escape() throws(PatternError) -> String {
        let start = position
        guard position + 1 < characters.count else { throw refusal("a backslash without anything behind it") }
        let word = CharacterClass.words.expression
        switch characters[position + 1] {
        case "A": position += 2; return #"\A"#
        case "z": position += 2; return #"\z"#
        case "Z": position += 2; return #"\Z"#
        case "G": position += 2; return #"\G"#
        case "R": position += 2; return #"\R"#
        case "b": position += 2; return "(?:(?<=\(word))(?!\(word))|(?<!\(word))(?=\(word)))"
        case "B": position += 2; return "(?:(?<=\(word))(?=\(word))|(?<!\(word))(?!\(word)))"
        default: break
        }
        if let set = try escapedSet(inBrackets: false) { return set.expression }
        position = start
        return Self.quoted(try escapedCharacter())
    }
}
