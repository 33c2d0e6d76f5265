// Splits a template into text and tags. White-space control is as in jinja2 with `trim_blocks` and `lstrip_blocks` on
// and `keep_trailing_newline` off. `Lexer+Expressions.swift` reads the inside of tags.

struct Lexer {
    let source: [Unicode.Scalar]
    var position = 0
    var line = 1
    var tokens: [Token] = []
    /// The closing symbols of the open brackets. The end of a tag counts only when this is empty.
    var openBrackets: [Token.Symbol] = []
    /// Whether the input read last ended a line, so that indentation before a block can be stripped.
    private var atLineStart = true

    init(_ text: String) {
        source = Self.normalised(text)
    }

    /// `\r\n` and `\r` become `\n`; one final newline is removed.
    private static func normalised(_ text: String) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(text.utf8.count)
        var afterReturn = false
        for scalar in text.unicodeScalars {
            if scalar == "\r" {
                result.append("\n")
            } else if !(scalar == "\n" && afterReturn) {
                result.append(scalar)
            }
            afterReturn = scalar == "\r"
        }
        if result.last == "\n" { result.removeLast() }
        return result
    }

    /// All tokens; the last is `.end`.
    static func tokens(of text: String) throws(JinjaError) -> [Token] {
        var lexer = Lexer(text)
        while lexer.position < lexer.source.count { try lexer.readTextAndTag() }
        lexer.add(.end)
        return lexer.tokens
    }

    private enum Tag { case block, variable, comment }

    private mutating func readTextAndTag() throws(JinjaError) {
        guard let (start, tag) = nextTag() else {
            return addText(position..<source.count, control: nil, tag: .variable, next: source.count)
        }
        let control = start + 2 < source.count ? source[start + 2] : nil
        let hasControl = control == "-" || control == "+"
        addText(position..<start, control: hasControl ? control : nil, tag: tag, next: start + (hasControl ? 3 : 2))
        switch tag {
        case .comment: try skipComment()
        case .variable: try readTag(begin: .variableBegin, end: .variableEnd, close: "}}", trimsNewline: false)
        case .block:
            if let afterRaw = endOfTag(named: "raw", from: position) {
                try readRaw(from: afterRaw)
            } else {
                try readTag(begin: .blockBegin, end: .blockEnd, close: "%}", trimsNewline: true)
            }
        }
        atLineStart = position > 0 && source[position - 1] == "\n"
    }

    private func nextTag() -> (start: Int, tag: Tag)? {
        var index = position
        while index + 1 < source.count {
            if source[index] == "{" {
                switch source[index + 1] {
                case "%": return (index, .block)
                case "{": return (index, .variable)
                case "#": return (index, .comment)
                default: break
                }
            }
            index += 1
        }
        return nil
    }

    /// Emits the text before a tag, stripped according to the tag's control sign, and moves to `next`.
    private mutating func addText(_ range: Range<Int>, control: Unicode.Scalar?, tag: Tag, next: Int) {
        var end = range.upperBound
        if control == "-" {
            while end > range.lowerBound, source[end - 1].isPythonSpace { end -= 1 }
        } else if control == nil, tag != .variable {
            end = endWithoutIndentation(range)
        }
        if end > range.lowerBound { add(.data(string(range.lowerBound..<end))) }
        advance(to: next)
    }

    /// `lstrip_blocks`: if a block is first on its line, the white space before it is removed.
    private func endWithoutIndentation(_ range: Range<Int>) -> Int {
        var start = range.upperBound
        while start > range.lowerBound, source[start - 1] != "\n" {
            guard source[start - 1].isPythonSpace else { return range.upperBound }
            start -= 1
        }
        return start > range.lowerBound || atLineStart ? start : range.upperBound
    }

    private mutating func skipComment() throws(JinjaError) {
        var index = position
        while index + 1 < source.count, !(source[index] == "#" && source[index + 1] == "}") { index += 1 }
        guard index + 1 < source.count else { throw JinjaError(.syntax, "comment without '#}'", line: line) }
        let control = index > position ? source[index - 1] : nil
        advance(to: endAfterClose(index + 2, control: control, trimsNewline: true))
    }

    /// The start of the text after a closing delimiter that ends at `end`.
    private func endAfterClose(_ end: Int, control: Unicode.Scalar?, trimsNewline: Bool) -> Int {
        var index = end
        if control == "-" {
            while index < source.count, source[index].isPythonSpace { index += 1 }
        } else if trimsNewline, control != "+", index < source.count, source[index] == "\n" {
            index += 1
        }
        return index
    }

    private mutating func readTag(
        begin: Token.Kind, end: Token.Kind, close: String, trimsNewline: Bool
    ) throws(JinjaError) {
        let beginLine = line
        add(begin)
        while true {
            skipSpace()
            guard position < source.count else {
                throw JinjaError(.syntax, "tag without '\(close)'", line: beginLine)
            }
            if openBrackets.isEmpty, let (next, control) = closing(close, allowsPlus: trimsNewline) {
                add(end)
                return advance(to: endAfterClose(next, control: control, trimsNewline: trimsNewline))
            }
            try readExpressionToken()
        }
    }

    private func closing(_ close: String, allowsPlus: Bool) -> (end: Int, control: Unicode.Scalar?)? {
        if matches(close, at: position) { return (position + 2, nil) }
        let sign = source[position]
        guard sign == "-" || (allowsPlus && sign == "+"), matches(close, at: position + 1) else { return nil }
        return (position + 3, sign)
    }

    /// Reads up to `endraw`; only `-` after `raw` trims, only `-` before `endraw` strips (and `lstrip_blocks`).
    private mutating func readRaw(from afterRaw: (next: Int, control: Unicode.Scalar?)) throws(JinjaError) {
        let beginLine = line
        advance(to: endAfterClose(afterRaw.next, control: afterRaw.control, trimsNewline: false))
        atLineStart = source[position - 1] == "\n"
        var index = position
        while index + 1 < source.count {
            if source[index] == "{", source[index + 1] == "%" {
                let sign = index + 2 < source.count ? source[index + 2] : nil
                let hasControl = sign == "-" || sign == "+"
                let inside = index + (hasControl ? 3 : 2)
                if let end = endOfTag(named: "endraw", from: inside) {
                    addText(position..<index, control: hasControl ? sign : nil, tag: .block, next: inside)
                    return advance(to: endAfterClose(end.next, control: end.control, trimsNewline: true))
                }
            }
            index += 1
        }
        throw JinjaError(.syntax, "'raw' without 'endraw'", line: beginLine)
    }

    /// The end of a tag that consists only of `name`, if there is one at `start`.
    private func endOfTag(named name: String, from start: Int) -> (next: Int, control: Unicode.Scalar?)? {
        var index = start
        while index < source.count, source[index].isPythonSpace { index += 1 }
        guard matches(name, at: index) else { return nil }
        index += name.unicodeScalars.count
        while index < source.count, source[index].isPythonSpace { index += 1 }
        if matches("%}", at: index) { return (index + 2, nil) }
        guard index < source.count, source[index] == "-" || source[index] == "+", matches("%}", at: index + 1) else {
            return nil
        }
        return (index + 3, source[index])
    }

    func matches(_ text: String, at start: Int) -> Bool {
        var index = start
        for scalar in text.unicodeScalars {
            guard index < source.count, source[index] == scalar else { return false }
            index += 1
        }
        return true
    }

    func string(_ range: Range<Int>) -> String {
        var result = String.UnicodeScalarView()
        result.append(contentsOf: source[range])
        return String(result)
    }

    mutating func add(_ kind: Token.Kind) { tokens.append(Token(kind: kind, line: line)) }

    mutating func skipSpace() {
        var index = position
        while index < source.count, source[index].isPythonSpace { index += 1 }
        advance(to: index)
    }

    /// Moves to `next` and counts lines.
    mutating func advance(to next: Int) {
        for scalar in source[position..<next] where scalar == "\n" { line += 1 }
        position = next
    }
}
