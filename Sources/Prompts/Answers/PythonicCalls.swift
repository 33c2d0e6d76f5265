// Calls of tools that are written as Python: `[weather(city="Oslo", days=[1, 2]), time()]`.

import JSONText
import OpenAIFormats

/// Reads calls with literal arguments.
struct PythonicCalls {
    private var rest: Substring
    private static let mostLevels = 64

    /// Whether `text` begins like a list of calls.
    static func begin(_ text: String) -> Bool {
        guard text.hasPrefix("[") else { return false }
        var reader = PythonicCalls(rest: text.dropFirst())
        reader.skipSpace()
        return reader.name() != nil && reader.rest.hasPrefix("(")
    }

    /// The calls, of which there is at least one.
    static func read(_ text: Substring) throws(ToolCallReader.Fault) -> [ToolCall] {
        var reader = PythonicCalls(rest: text)
        var calls: [ToolCall] = []
        try reader.expect("[")
        repeat {
            guard let name = reader.name() else { throw reader.fault("a function's name") }
            calls.append(ToolCall(name: name, arguments: .object(try reader.arguments())))
        } while try reader.goesOn(until: "]")
        reader.skipSpace()
        guard reader.rest.isEmpty else { throw reader.fault("the end") }
        return calls
    }

    private mutating func arguments() throws(ToolCallReader.Fault) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        try expect("(")
        if take(")") { return members }
        repeat {
            guard let name = name() else { throw fault("an argument's name") }
            try expect("=")
            if members.contains(where: { $0.key == name }) {
                throw ToolCallReader.Fault(reason: "the argument \(Excerpt.quoted(name)) is given twice")
            }
            members.append(.init(name, try value(level: 1)))
        } while try goesOn(until: ")")
        return members
    }

    private mutating func value(level: Int) throws(ToolCallReader.Fault) -> JSONValue {
        guard level <= Self.mostLevels else { throw fault("at most \(Self.mostLevels) levels") }
        skipSpace()
        switch rest.first {
        case "[", "(": return .array(try elements(level: level))
        case "{": return try dictionaryOrSet(level: level)
        case "\"", "'": return .string(try string())
        default: return try word()
        }
    }

    private mutating func elements(level: Int) throws(ToolCallReader.Fault) -> [JSONValue] {
        let end: Character = rest.removeFirst() == "[" ? "]" : ")"
        var elements: [JSONValue] = []
        if take(end) { return elements }
        repeat { elements.append(try value(level: level + 1)) } while try goesOn(until: end)
        return elements
    }

    /// A set becomes an array.
    private mutating func dictionaryOrSet(level: Int) throws(ToolCallReader.Fault) -> JSONValue {
        rest.removeFirst()
        if take("}") { return .object([]) }
        let first = try value(level: level + 1)
        skipSpace()
        guard rest.first == ":", case .string(let key) = first else {
            var elements = [first]
            while try goesOn(until: "}") { elements.append(try value(level: level + 1)) }
            return .array(elements)
        }
        return .object(try members(first: key, level: level))
    }

    private mutating func members(first: String, level: Int) throws(ToolCallReader.Fault) -> [JSONValue.Member] {
        var (members, key) = ([JSONValue.Member](), first)
        while true {
            guard !members.contains(where: { $0.key == key }) else {
                throw ToolCallReader.Fault(reason: "the key \(Excerpt.quoted(key)) is given twice")
            }
            try expect(":")
            members.append(.init(key, try value(level: level + 1)))
            guard try goesOn(until: "}") else { return members }
            skipSpace()
            guard rest.first == "\"" || rest.first == "'" else { throw fault("a key in quotes") }
            key = try string()
        }
    }

    /// A number or a constant.
    private mutating func word() throws(ToolCallReader.Fault) -> JSONValue {
        let word = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "+-._".contains($0)) }
        let value: JSONValue? =
            switch word {
            case "True", "true": .bool(true)
            case "False", "false": .bool(false)
            case "None", "null": .null
            default: Int64(word).map { .int($0) } ?? Self.number(word)
            }
        guard let value else { throw fault("a value") }
        rest = rest[word.endIndex...]
        return value
    }

    private static func number(_ word: Substring) -> JSONValue? {
        guard word.allSatisfy({ $0.isNumber || "+-.eE".contains($0) }), let number = Double(word), number.isFinite
        else {
            return nil
        }
        return .double(number)
    }

    private mutating func string() throws(ToolCallReader.Fault) -> String {
        let quote = rest.unicodeScalars.removeFirst()
        var text = ""
        while let scalar = rest.unicodeScalars.popFirst() {
            if scalar == quote { return text }
            guard scalar == "\\" else {
                text.unicodeScalars.append(scalar)
                continue
            }
            guard let escaped = rest.unicodeScalars.popFirst() else { break }
            switch escaped {
            case "n": text += "\n"
            case "t": text += "\t"
            case "r": text += "\r"
            case "\n": break
            case "x": text.unicodeScalars.append(try scalarOf(digits: 2))
            case "u": text.unicodeScalars.append(try scalarOf(digits: 4))
            case "U": text.unicodeScalars.append(try scalarOf(digits: 8))
            case "\\", "\"", "'": text.unicodeScalars.append(escaped)
            // Python keeps the backslash of what is no escape.
            default: text.unicodeScalars.append(contentsOf: [scalar, escaped])
            }
        }
        throw fault("the end of a string")
    }

    private mutating func scalarOf(digits count: Int) throws(ToolCallReader.Fault) -> Unicode.Scalar {
        let digits = rest.unicodeScalars.prefix(count)
        guard digits.count == count, digits.allSatisfy(\.properties.isASCIIHexDigit),
            let code = UInt32(String(digits), radix: 16), let scalar = Unicode.Scalar(code)
        else { throw fault("\(count) hexadecimal digits of a character") }
        rest = rest[digits.endIndex...]
        return scalar
    }

    // MARK: Parts

    /// A name with dots, as of functions in modules.
    private mutating func name() -> String? {
        skipSpace()
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
        guard let first = name.first, !first.isNumber, first != "." else { return nil }
        rest = rest[name.endIndex...]
        return String(name)
    }

    private mutating func skipSpace() { rest = rest.drop(while: \.isWhitespace) }

    private mutating func take(_ character: Character) -> Bool {
        skipSpace()
        guard rest.first == character else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func expect(_ character: Character) throws(ToolCallReader.Fault) {
        guard take(character) else { throw fault("\(character)") }
    }

    /// Whether another element follows; a comma may stand before the end as well.
    private mutating func goesOn(until end: Character) throws(ToolCallReader.Fault) -> Bool {
        if take(end) { return false }
        try expect(",")
        return !take(end)
    }

    private func fault(_ wanted: String) -> ToolCallReader.Fault {
        ToolCallReader.Fault(
            reason:
                "a call has \(rest.isEmpty ? "its end" : Excerpt.quoted(String(rest.prefix(20)))) in place of \(wanted)"
        )
    }
}
