// The sets and single characters of Oniguruma's regular expressions.

extension OnigurumaPattern {
    /// `\s`, `\p{…}` and their like at the position; nil if it is another escape.
    mutating func escapedSet(inBrackets: Bool) throws(PatternError) -> CharacterClass? {
        guard position + 1 < characters.count else { return nil }
        let letter = characters[position + 1]
        let words = inBrackets ? CharacterClass.wordsInBrackets : .words
        switch letter {
        case "s": position += 2; return .whiteSpace
        case "S": position += 2; return CharacterClass(items: #"\P{White_Space}"#)
        case "w": position += 2; return words
        case "W": position += 2; return words.complement
        case "d": position += 2; return CharacterClass.property("Nd")
        case "D": position += 2; return CharacterClass.property("Nd")?.complement
        case "h": position += 2; return CharacterClass(items: "0-9A-Fa-f")
        case "H": position += 2; return CharacterClass(items: "0-9A-Fa-f").complement
        case "p", "P":
            guard position + 2 < characters.count, characters[position + 2] == "{",
                let close = characters[position...].firstIndex(of: "}")
            else { throw refusal("\\\(letter) without a name in braces") }
            var name = String(String.UnicodeScalarView(characters[(position + 3)..<close]))
            var isNegative = letter == "P"
            if name.hasPrefix("^") {
                name.removeFirst()
                isNegative.toggle()
            }
            guard let set = CharacterClass.property(name) else { throw refusal("the property \\\(letter){\(name)}") }
            if ignoresCase, ["lu", "ll", "lt"].contains(name.lowercased()) {
                throw refusal("the property \\\(letter){\(name)} without regard to case")
            }
            position = close + 1
            return isNegative ? set.complement : set
        default: return nil
        }
    }

    /// The character that an escape stands for.
    mutating func escapedCharacter() throws(PatternError) -> Unicode.Scalar {
        guard position + 1 < characters.count else { throw refusal("a backslash without anything behind it") }
        let letter = characters[position + 1]
        position += 2
        switch letter {
        case "t": return "\t"
        case "n": return "\n"
        case "r": return "\r"
        case "f": return "\u{0C}"
        case "v": return "\u{0B}"
        case "a": return "\u{07}"
        case "e": return "\u{1B}"
        case "x" where next == "{":
            guard let close = characters[position...].firstIndex(of: "}"), close - position <= 9 else { break }
            let digits = characters[(position + 1)..<close]
            position = close + 1
            if let scalar = Self.scalar(digits) { return scalar }
        case "x", "u":
            let digits = characters[position...].prefix(letter == "x" ? 2 : 4)
            position += digits.count
            // A \x without braces is a byte.
            if let scalar = Self.scalar(digits), letter == "u" ? digits.count == 4 : scalar.isASCII { return scalar }
        default:
            if !letter.properties.isAlphabetic, !("0"..."9").contains(letter) { return letter }
        }
        position -= 2
        throw refusal("the escape \\\(letter)")
    }

    private static func scalar(_ digits: ArraySlice<Unicode.Scalar>) -> Unicode.Scalar? {
        let text = String(String.UnicodeScalarView(digits))
        guard !text.isEmpty, text.unicodeScalars.allSatisfy(\.isASCII), text.first != "+", text.first != "-" else {
            return nil
        }
        return UInt32(text, radix: 16).flatMap(Unicode.Scalar.init)
    }

    /// A character as PCRE2 reads it anywhere.
    static func quoted(_ character: Unicode.Scalar) -> String {
        let isPlain = character.properties.isAlphabetic || ("0"..."9").contains(character)
        return isPlain ? String(character) : #"\x{\#(String(character.value, radix: 16, uppercase: true))}"#
    }

    // MARK: Brackets

    /// A set in brackets at the position.
    mutating func set() throws(PatternError) -> CharacterClass {
        depth += 1
        defer { depth -= 1 }
        if depth > 100 { throw refusal("a hundred sets in one another") }
        position += 1
        let isNegative = skip("^")
        var operands: [CharacterClass] = []
        var operand = CharacterClass(items: "")
        let start = position
        while true {
            guard let character = next else { throw refusal("a set without end") }
            if character == "]", position > start { break }
            if skip("&&") {
                operands.append(operand)
                operand = CharacterClass(items: "")
            } else if follows("[:"), let set = try bracket() {
                operand.formUnion(set)
            } else if character == "[" {
                operand.formUnion(try set())
            } else if character == "\\", let set = try escapedSet(inBrackets: true) {
                operand.formUnion(set)
            } else {
                operand.formUnion(CharacterClass(items: try range()))
            }
        }
        position += 1
        operands.append(operand)
        let result = operands.count == 1 ? operands[0] : CharacterClass(intersection: operands)
        return isNegative ? result.complement : result
    }

    /// A character, or a range of them.
    private mutating func range() throws(PatternError) -> String {
        let first = try member()
        guard next == "-", position + 1 < characters.count, characters[position + 1] != "]" else {
            return Self.quoted(first)
        }
        let dash = position
        position += 1
        if next == "[" || follows("&&") {
            position = dash
            return Self.quoted(first)
        }
        if next == "\\" {
            let escape = position
            if try escapedSet(inBrackets: true) != nil {
                position = dash
                return Self.quoted(first)
            }
            position = escape
        }
        let last = try member()
        guard first <= last else { throw refusal("a range that ends before it begins") }
        return Self.quoted(first) + "-" + Self.quoted(last)
    }

    private mutating func member() throws(PatternError) -> Unicode.Scalar {
        guard let character = next else { throw refusal("a set without end") }
        // In a set \b is a backspace.
        if skip(#"\b"#) { return "\u{08}" }
        if character == "\\" { return try escapedCharacter() }
        position += 1
        return character
    }

    /// `[:alpha:]` within a set; nil if it is not that.
    private mutating func bracket() throws(PatternError) -> CharacterClass? {
        guard let close = characters[position...].firstIndex(of: "]"), close > position + 2,
            characters[close - 1] == ":"
        else {
            return nil
        }
        var name = String(String.UnicodeScalarView(characters[(position + 2)..<(close - 1)]))
        let isNegative = name.hasPrefix("^")
        if isNegative { name.removeFirst() }
        guard name.allSatisfy(\.isLetter) else { return nil }
        guard let set = CharacterClass.bracket(name) else { throw refusal("the bracket [:\(name):]") }
        position = close + 1
        return isNegative ? set.complement : set
    }
}
