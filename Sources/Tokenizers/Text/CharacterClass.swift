// Sets of characters as PCRE2 writes them, with the members that Oniguruma knows.

/// A set of characters in PCRE2's syntax.
struct CharacterClass {
    /// What stands between brackets.
    private(set) var items: String
    /// Expressions, each for one character, that brackets cannot hold: complements of sets and intersections.
    private(set) var expressions: [String] = []

    init(items: String) { self.items = items }

    /// What all of `operands` contain.
    init(intersection operands: [CharacterClass]) {
        items = ""
        let conditions = operands.dropLast().map { "(?=\($0.expression))" }.joined()
        expressions = ["(?:\(conditions)\(operands[operands.count - 1].expression))"]
    }

    /// A regular expression for one character of the set.
    var expression: String {
        if expressions.isEmpty { return items.isEmpty ? "(?!)" : "[\(items)]" }
        if items.isEmpty, expressions.count == 1 { return expressions[0] }
        return "(?:" + ((items.isEmpty ? [] : ["[\(items)]"]) + expressions).joined(separator: "|") + ")"
    }

    /// All other characters.
    var complement: CharacterClass {
        var result = CharacterClass(items: "")
        if expressions.isEmpty {
            result.expressions = [items.isEmpty ? "(?s:.)" : "[^\(items)]"]
        } else {
            result.expressions = ["(?:(?!\(expression))(?s:.))"]
        }
        return result
    }

    mutating func formUnion(_ other: CharacterClass) {
        items += other.items
        expressions += other.expressions
    }

    /// Unicode's White_Space, as in Oniguruma. (PCRE2's own `\s` also contains U+180E.)
    static let whiteSpace = CharacterClass(items: #"\p{White_Space}"#)
    /// Oniguruma's `\w` within brackets.
    static let wordsInBrackets = CharacterClass(items: wordItems + UnicodeSupplement.ranges["w", default: ""])
    /// Oniguruma's `\w`: outside of brackets it also contains ²³¹¼½¾.
    static let words = CharacterClass(items: wordsInBrackets.items + #"\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}"#)
    /// `\w` of Rust's regular expressions, which some pre-tokenisers use.
    static let rustWords = CharacterClass(items: wordItems + UnicodeSupplement.ranges["word", default: ""])
    /// What Rust calls numeric.
    static let numeric = CharacterClass(items: #"\p{N}"# + UnicodeSupplement.ranges["digit", default: ""])
    /// What the pre-tokeniser `Punctuation` isolates.
    static let punctuation = CharacterClass(items: UnicodeSupplement.wholeClasses["punctuation", default: ""])
    /// What the normaliser `StripAccents` removes.
    static let marks = CharacterClass(items: UnicodeSupplement.wholeClasses["mark", default: ""])

    private static let wordItems = #"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}"#

    private static let categories: [String: String] = {
        var names = [
            "letter": "L", "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt",
            "modifierletter": "Lm",
            "otherletter": "Lo", "mark": "M", "combiningmark": "M", "nonspacingmark": "Mn", "spacingmark": "Mc",
            "enclosingmark": "Me", "number": "N", "decimalnumber": "Nd", "letternumber": "Nl", "othernumber": "No",
            "punctuation": "P", "connectorpunctuation": "Pc", "dashpunctuation": "Pd", "openpunctuation": "Ps",
            "closepunctuation": "Pe", "initialpunctuation": "Pi", "finalpunctuation": "Pf", "otherpunctuation": "Po",
            "symbol": "S", "mathsymbol": "Sm", "currencysymbol": "Sc", "modifiersymbol": "Sk", "othersymbol": "So",
            "separator": "Z", "spaceseparator": "Zs", "lineseparator": "Zl", "paragraphseparator": "Zp",
            "control": "Cc",
            "format": "Cf", "privateuse": "Co",
        ]
        for name in names.values { names[name.lowercased()] = name }
        return names
    }()

    /// Properties that PCRE2 knows by the same name, and that are not scripts.
    private static let binary = [
        "emoji": "Emoji", "emojipresentation": "Emoji_Presentation", "emojimodifier": "Emoji_Modifier",
        "extendedpictographic": "Extended_Pictographic", "ideographic": "Ideographic", "alphabetic": "Alphabetic",
        "uppercase": "Uppercase", "lowercase": "Lowercase", "whitespace": "White_Space", "any": "Any", "ascii": "ASCII",
    ]

    /// The set of `\p{name}`; nil if there is none that both libraries know.
    static func property(_ name: String) -> CharacterClass? {
        guard !name.isEmpty,
            name.utf8.allSatisfy({ $0 < 0x80 && ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A || " _-".utf8.contains($0)) })
        else { return nil }
        let key = name.lowercased().filter { $0.isLetter }
        if let category = categories[key] {
            let members = CharacterClass(items: #"\p{\#(category)}"# + UnicodeSupplement.ranges[category, default: ""])
            guard let former = UnicodeSupplement.former[category] else { return members }
            return CharacterClass(intersection: [CharacterClass(items: former).complement, members])
        }
        // Other is all that no other category has; that of the unassigned depends on Unicode's version.
        if key == "c" || key == "other" {
            return "LMNPSZ".reduce(into: CharacterClass(items: "")) { $0.formUnion(property(String($1))!) }.complement
        }
        if key == "cn" || key == "unassigned" || key == "assigned" || key.hasPrefix("in") && key != "inherited" {
            return nil
        }
        if key == "space" { return whiteSpace }
        if let set = bracket(key) { return set }
        if let property = binary[key] { return CharacterClass(items: #"\p{\#(property)}"#) }
        // A script; Oniguruma does not count script extensions, which PCRE2 does unless asked for `sc`.
        let script = UnicodeSupplement.ranges.keys.first { $0.hasPrefix("sc:") && $0.dropFirst(3).lowercased() == key }
        return CharacterClass(
            items: #"\p{sc:\#(name)}"# + (script.map { UnicodeSupplement.ranges[$0, default: ""] } ?? ""))
    }

    /// The set of `[:name:]`; nil if it is not known.
    static func bracket(_ name: String) -> CharacterClass? {
        switch name {
        case "alpha": CharacterClass(items: #"\p{Alphabetic}"#)
        case "digit": property("Nd")
        case "alnum": CharacterClass(items: #"\p{Alphabetic}"# + (property("Nd")?.items ?? ""))
        case "upper": CharacterClass(items: #"\p{Uppercase}"#)
        case "lower": CharacterClass(items: #"\p{Lowercase}"#)
        case "space": whiteSpace
        case "blank": CharacterClass(items: #"\p{Zs}\t"#)
        case "punct": CharacterClass(items: (property("P")?.items ?? "") + (property("S")?.items ?? ""))
        case "cntrl": CharacterClass(items: #"\p{Cc}"#)
        case "xdigit": CharacterClass(items: "0-9A-Fa-f")
        case "word": wordsInBrackets
        case "ascii": CharacterClass(items: #"\x{0}-\x{7F}"#)
        default: nil
        }
    }
}
