// Tokens inside tags: names, numbers, strings and operators.

extension Lexer {
    mutating func readExpressionToken() throws(JinjaError) {
        let scalar = source[position]
        if scalar == "'" || scalar == "\"" {
            try readString(quote: scalar)
        } else if scalar.isDigit {
            try readNumber()
        } else if scalar.isNameStart {
            readName()
        } else {
            try readSymbol()
        }
    }

    private mutating func readName() {
        var end = position
        while end < source.count, source[end].isNamePart { end += 1 }
        add(.name(string(position..<end)))
        advance(to: end)
    }

    private mutating func readSymbol() throws(JinjaError) {
        for symbol in Token.Symbol.allCases where matches(symbol.rawValue, at: position) {
            try track(symbol)
            add(.symbol(symbol))
            return advance(to: position + symbol.rawValue.utf8.count)
        }
        throw JinjaError(.syntax, "unexpected character '\(source[position])'", line: line)
    }

    private mutating func track(_ symbol: Token.Symbol) throws(JinjaError) {
        switch symbol {
        case .leftBrace: openBrackets.append(.rightBrace)
        case .leftBracket: openBrackets.append(.rightBracket)
        case .leftParenthesis: openBrackets.append(.rightParenthesis)
        case .rightBrace, .rightBracket, .rightParenthesis:
            guard openBrackets.popLast() == symbol else {
                throw JinjaError(.syntax, "unexpected '\(symbol.rawValue)'", line: line)
            }
        default: break
        }
    }

    private mutating func readNumber() throws(JinjaError) {
        let start = position
        if source[start] == "0", start + 1 < source.count, let radix = Self.radix(source[start + 1]) {
            return try readInteger(radix: radix)
        }
        var end = endOfDigits(from: start)
        var isFloat = false
        // After a dot, digits with a dot are two subscripts: `x.1.5`.
        if start == 0 || source[start - 1] != "." {
            if end + 1 < source.count, source[end] == ".", source[end + 1].isDigit {
                end = endOfDigits(from: end + 1)
                isFloat = true
            }
            if let exponentEnd = endOfExponent(from: end) {
                end = exponentEnd
                isFloat = true
            }
        }
        let digits = string(start..<end).filter { $0 != "_" }
        if isFloat {
            add(.float(Double(digits) ?? .infinity))
        } else if digits.count > 1, digits.hasPrefix("0"), digits.contains(where: { $0 != "0" }) {
            throw JinjaError(.syntax, "leading zeros in the integer \(digits)", line: line)
        } else if let value = Int(digits) {
            add(.integer(value))
        } else {
            throw JinjaError(.syntax, "the integer \(digits.prefix(40)) does not fit into 64 bits", line: line)
        }
        advance(to: end)
    }

    private mutating func readInteger(radix: Int) throws(JinjaError) {
        var end = position + 2
        while end < source.count, source[end].isNamePart { end += 1 }
        guard let value = Int(string(position + 2..<end).filter { $0 != "_" }, radix: radix) else {
            throw JinjaError(.syntax, "invalid integer '\(string(position..<end))'", line: line)
        }
        add(.integer(value))
        advance(to: end)
    }

    private static func radix(_ scalar: Unicode.Scalar) -> Int? {
        switch scalar {
        case "x", "X": 16
        case "o", "O": 8
        case "b", "B": 2
        default: nil
        }
    }

    /// The end of a run of digits, which may have single underscores between them.
    private func endOfDigits(from start: Int) -> Int {
        var end = start
        while end < source.count {
            let isSeparator = source[end] == "_" && end > start && end + 1 < source.count && source[end + 1].isDigit
            guard source[end].isDigit || (isSeparator && source[end - 1] != "_") else { break }
            end += 1
        }
        return end
    }

    private func endOfExponent(from start: Int) -> Int? {
        guard start < source.count, source[start] == "e" || source[start] == "E" else { return nil }
        var digits = start + 1
        if digits < source.count, source[digits] == "+" || source[digits] == "-" { digits += 1 }
        guard digits < source.count, source[digits].isDigit else { return nil }
        return endOfDigits(from: digits)
    }

    private mutating func readString(quote: Unicode.Scalar) throws(JinjaError) {
        var end = position + 1
        while end < source.count, source[end] != quote { end += source[end] == "\\" ? 2 : 1 }
        guard end < source.count else { throw JinjaError(.syntax, "string without a closing quote", line: line) }
        add(.string(try unescaped(source[position + 1..<end])))
        advance(to: end + 1)
    }

    /// Python's string escapes.
    private func unescaped(_ body: ArraySlice<Unicode.Scalar>) throws(JinjaError) -> String {
        var result = String.UnicodeScalarView()
        var index = body.startIndex
        while index < body.endIndex {
            guard body[index] == "\\" else {
                result.append(body[index])
                index += 1
                continue
            }
            index += 1
            let escape = body[index]
            index += 1
            if let plain = Self.simpleEscapes[escape] {
                result.append(plain)
            } else if escape == "x" || escape == "u" || escape == "U" {
                let width = escape == "x" ? 2 : escape == "u" ? 4 : 8
                result.append(try scalar(body, from: index, width: width, radix: 16))
                index += width
            } else if ("0"..."7").contains(escape) {
                var end = index
                while end < body.endIndex, end < index + 2, ("0"..."7").contains(body[end]) { end += 1 }
                result.append(try scalar(body, from: index - 1, width: end - index + 1, radix: 8))
                index = end
            } else if escape == "N" {
                throw JinjaError(.unsupported, "the string escape \\N{…}; write the character itself", line: line)
            } else if escape != "\n" {
                result.append("\\")
                result.append(escape)
            }
        }
        return String(result)
    }

    private func scalar(
        _ body: ArraySlice<Unicode.Scalar>, from start: Int, width: Int, radix: Int
    ) throws(JinjaError) -> Unicode.Scalar {
        let digits = string(start..<min(start + width, body.endIndex))
        guard digits.utf8.count == width, digits.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }),
            let value = UInt32(digits, radix: radix), let scalar = Unicode.Scalar(value)
        else { throw JinjaError(.syntax, "invalid escape '\(digits)' in a string", line: line) }
        return scalar
    }

    private static let simpleEscapes: [Unicode.Scalar: Unicode.Scalar] = [
        "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{07}", "b": "\u{08}",
        "f": "\u{0C}", "v": "\u{0B}",
    ]
}

extension Unicode.Scalar {
    fileprivate var isDigit: Bool { ("0"..."9").contains(self) }

    fileprivate var isNameStart: Bool { self == "_" || (properties.isXIDStart && self != "\u{37A}") }

    fileprivate var isNamePart: Bool { self == "_" || properties.isXIDContinue }
}
