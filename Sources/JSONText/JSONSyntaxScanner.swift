// Finds where and why a text is not JSON. simdjson only reports that it is not; this slow, exact scan runs only on
// rejected texts. It checks RFC 8259 without recursion: with a stack of open brackets and the set of tokens that may
// follow.

/// Finds the first fault of a text that is not JSON.
package struct JSONSyntaxScanner {
    /// What is scanned; messages name it, and remedies differ.
    package enum Form: String {
        /// A line of a JSONL file.
        case line
        /// A text of its own, of any number of lines.
        case text
    }

    /// A fault: the byte offset of the first error, what is wrong there, and what to do.
    package struct Fault: Error, Equatable {
        package enum Kind {
            case notJSON, notUTF8
        }

        package var kind = Kind.notJSON
        package var offset: Int
        package var problem: String
        package var remedy: String?

        /// The place of the fault in the bytes that were scanned: line and byte of the line, both from 1.
        package func place(in bytes: [UInt8]) -> (line: Int, column: Int) {
            let before = bytes[..<offset]
            let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            return (before.count { $0 == UInt8(ascii: "\n") } + 1, offset - lineStart + 1)
        }
    }

    private enum Expectation {
        case value, valueOrEnd, key, keyOrEnd, colon, commaOrEnd, nothing
    }

    private let bytes: [UInt8]
    private let form: Form
    private var position = 0
    private var open: [UInt8] = []
    private var expectation = Expectation.value

    private init(_ bytes: [UInt8], _ form: Form) {
        self.bytes = bytes
        self.form = form
    }

    /// The first fault of `bytes`, which the parser has rejected.
    package static func fault(in bytes: [UInt8], of form: Form) -> Fault {
        firstFault(in: bytes, of: form) ?? Fault(offset: 0, problem: "is not a JSON text that can be read", remedy: nil)
    }

    /// The first fault of `bytes`; nil if they are JSON.
    package static func firstFault(in bytes: [UInt8], of form: Form) -> Fault? {
        if let fault = utf8Fault(in: bytes) { return fault }
        var scanner = JSONSyntaxScanner(bytes, form)
        do {
            try scanner.scan()
            return nil
        } catch {
            return error
        }
    }

    private static func utf8Fault(in bytes: [UInt8]) -> Fault? {
        do {
            _ = try UTF8Span(validating: bytes.span)
            return nil
        } catch {
            let offset = error.byteOffsets.lowerBound
            let byte = String(bytes[offset], radix: 16, uppercase: true)
            return Fault(
                kind: .notUTF8, offset: offset,
                problem: "the byte 0x\(byte.count < 2 ? "0" : "")\(byte) is not valid UTF-8",
                remedy: "convert the file to UTF-8, e.g. with iconv -f WINDOWS-1252 -t UTF-8")
        }
    }

    private mutating func scan() throws(Fault) {
        while true {
            skipSpaces()
            guard position < bytes.count else { break }
            try step(bytes[position])
        }
        guard expectation == .nothing else { throw unexpectedEnd() }
    }

    private mutating func step(_ byte: UInt8) throws(Fault) {
        switch (expectation, byte) {
        case (.nothing, _):
            throw fault(
                "unexpected \(shown(byte)) after the end of the value",
                form == .line ? "put one JSON object on each line" : nil)
        case (.colon, UInt8(ascii: ":")):
            advance(to: .value)
        case (.commaOrEnd, UInt8(ascii: ",")):
            advance(to: open.last == UInt8(ascii: "{") ? .key : .value)
        case (.commaOrEnd, UInt8(ascii: "}")), (.keyOrEnd, UInt8(ascii: "}")):
            try close(UInt8(ascii: "{"))
        case (.commaOrEnd, UInt8(ascii: "]")), (.valueOrEnd, UInt8(ascii: "]")):
            try close(UInt8(ascii: "["))
        case (.key, UInt8(ascii: "\"")), (.keyOrEnd, UInt8(ascii: "\"")):
            try scanString()
            expectation = .colon
        case (.value, _), (.valueOrEnd, _):
            try scanValue(byte)
        default:
            throw unexpected(byte)
        }
    }

    private mutating func advance(to next: Expectation) {
        position += 1
        expectation = next
    }

    private mutating func close(_ bracket: UInt8) throws(Fault) {
        guard open.last == bracket else { throw unexpected(bytes[position]) }
        open.removeLast()
        position += 1
        finishValue()
    }

    private mutating func finishValue() {
        expectation = open.isEmpty ? .nothing : .commaOrEnd
    }

    private mutating func scanValue(_ byte: UInt8) throws(Fault) {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard open.count < JSONParser.maximumDepth - 1 else {
                throw fault(
                    "objects and arrays are nested too deep", "nest at most \(JSONParser.maximumDepth - 1) deep")
            }
            open.append(byte)
            advance(to: byte == UInt8(ascii: "{") ? .keyOrEnd : .valueOrEnd)
        case UInt8(ascii: "\""):
            try scanString()
            finishValue()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try scanNumber()
            finishValue()
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
            try scanWord()
            finishValue()
        default:
            throw unexpected(byte)
        }
    }

    private mutating func scanWord() throws(Fault) {
        let start = position
        var end = start
        while end < bytes.count, isWordByte(bytes[end]) { end += 1 }
        let word = String(decoding: bytes[start..<end], as: UTF8.self)
        switch word {
        case "true", "false", "null": position = end
        case "True", "False", "None":
            let json = word == "None" ? "null" : word.lowercased()
            throw fault("\(word) is Python, not JSON", "write \(json)")
        case "NaN", "Infinity":
            throw fault("JSON has no \(word)", "use a finite number, or leave the field out")
        case "yes", "no", "on", "off", "nil", "undefined", "nan":
            throw fault("unexpected word \"\(word)\"", "put text in double quotes")
        // The word may be part of a prompt, and messages never show prompts.
        default: throw fault("unexpected word", "put text in double quotes")
        }
    }

    private func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private mutating func skipSpaces() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private func fault(_ problem: String, _ remedy: String? = nil, at offset: Int? = nil) -> Fault {
        Fault(offset: offset ?? position, problem: problem, remedy: remedy)
    }

    /// The character at the position. The text is valid UTF-8 here, so every position that is passed starts a
    /// character.
    private var character: Unicode.Scalar? {
        String(decoding: bytes[position...].prefix(4), as: UTF8.self).unicodeScalars.first
    }

    private func shown(_ byte: UInt8) -> String { character.map(Excerpt.character) ?? "end of \(form.rawValue)" }

    private func unexpected(_ byte: UInt8) -> Fault {
        if byte == UInt8(ascii: "'") {
            return fault("unexpected ' where \(wanted) should be", "use double quotes for strings")
        }
        if character?.isByteOrderMark == true {
            // Concatenated files may have a byte order mark in the middle.
            return fault("unexpected \(shown(byte)) where \(wanted) should be", #"remove it: sed 's/\xEF\xBB\xBF//'"#)
        }
        let afterComma = position > 0 && (byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]"))
        if afterComma, expectation == .key || (expectation == .value && open.last == UInt8(ascii: "[")) {
            return fault("unexpected \(shown(byte)) after a comma", "remove the comma before it")
        }
        return fault("unexpected \(shown(byte)) where \(wanted) should be")
    }

    private func unexpectedEnd() -> Fault {
        let isCut = !open.isEmpty && form == .line
        let remedy = isCut ? "put the whole object on one line (jq -c . writes it so)" : nil
        return fault("the \(form.rawValue) ends where \(wanted) should be", remedy, at: bytes.count)
    }

    private var wanted: String {
        switch expectation {
        case .value: "a value"
        case .valueOrEnd: "a value or ]"
        case .key: "a key in double quotes"
        case .keyOrEnd: "a key in double quotes or }"
        case .colon: "a colon"
        case .commaOrEnd: open.last == UInt8(ascii: "{") ? "a comma or }" : "a comma or ]"
        case .nothing: "the end of the \(form.rawValue)"
        }
    }
}

// Strings and numbers.
extension JSONSyntaxScanner {
    private mutating func scanString() throws(Fault) {
        let start = position
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"):
                try scanEscape()
            case 0..<0x20:
                let code = String(bytes[position], radix: 16)
                throw fault("a raw control character (0x\(code)) in a string", "escape it, for example as \\n or \\t")
            default:
                position += 1
            }
        }
        throw fault("the string that starts here is not closed", "close it with a double quote", at: start)
    }

    private mutating func scanEscape() throws(Fault) {
        guard position + 1 < bytes.count else {
            throw fault("the \(form.rawValue) ends in the middle of an escape")
        }
        switch bytes[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        case UInt8(ascii: "u"):
            try scanUnicodeEscape()
        default:
            throw fault("an unknown escape in a string", "write a backslash itself as \\\\")
        }
    }

    private mutating func scanUnicodeEscape() throws(Fault) {
        let unit = try hexDigits(at: position)
        switch unit {
        case 0xDC00...0xDFFF:
            throw fault("a lone low surrogate escape", "write the character itself, in UTF-8")
        case 0xD800...0xDBFF:
            let next = position + 6
            guard next + 1 < bytes.count, bytes[next] == UInt8(ascii: "\\"), bytes[next + 1] == UInt8(ascii: "u"),
                case 0xDC00...0xDFFF = try hexDigits(at: next)
            else { throw fault("a lone high surrogate escape", "write the character itself, in UTF-8") }
            position += 12
        default:
            position += 6
        }
    }

    private func hexDigits(at offset: Int) throws(Fault) -> UInt32 {
        let digits = bytes.dropFirst(offset + 2).prefix(4)
        let text = String(decoding: digits, as: UTF8.self)
        guard digits.count == 4, text.first != "+", text.first != "-", let unit = UInt32(text, radix: 16) else {
            throw fault("\\u must be followed by four hexadecimal digits", nil, at: offset)
        }
        return unit
    }

    private mutating func scanNumber() throws(Fault) {
        let start = position
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        let integerStart = position
        try scanDigits("a digit should follow the minus sign")
        if bytes[integerStart] == UInt8(ascii: "0"), position - integerStart > 1 {
            throw fault("a number with a leading zero", "write it without", at: start)
        }
        var isInteger = true
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try scanDigits("a digit should follow the decimal point")
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            try scanDigits("a digit should follow the exponent's e")
        }
        try checkRange(String(decoding: bytes[start..<position], as: UTF8.self), isInteger: isInteger, start: start)
    }

    private mutating func scanDigits(_ complaint: String) throws(Fault) {
        let start = position
        while position < bytes.count, case UInt8(ascii: "0")...UInt8(ascii: "9") = bytes[position] { position += 1 }
        if position == start { throw fault(complaint) }
    }

    private func checkRange(_ number: String, isInteger: Bool, start: Int) throws(Fault) {
        let shown = Excerpt.shortened(number)
        if isInteger, Int64(number) == nil, UInt64(number) == nil {
            throw fault("\(shown) does not fit a 64-bit integer", "use a smaller number", at: start)
        }
        if !isInteger, !(Double(number) ?? .infinity).isFinite {
            throw fault("\(shown) is too large for a number", "use a smaller number", at: start)
        }
    }
}
