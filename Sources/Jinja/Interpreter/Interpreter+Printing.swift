// Python's `str` and `repr`.

extension Interpreter {
    /// `str(value)`, which is what `{{ value }}` prints; never markup.
    func text(of value: Value) throws(JinjaError) -> Text {
        switch value {
        case .string(let text): return text.plain
        case .undefined: return Text()
        default: return try representation(of: value)
        }
    }

    /// `repr(value)`. The result is `.data` if any string in it is.
    func representation(of value: Value) throws(JinjaError) -> Text {
        var printer = Printer(interpreter: self)
        try printer.add(value)
        return printer.text.origin == .data ? printer.text.asData : printer.text
    }
}

private struct Printer {
    let interpreter: Interpreter
    var text = Text()

    mutating func add(_ value: Value) throws(JinjaError) {
        try interpreter.spend(textBytes: 8)
        switch value {
        case .undefined: text += "Undefined"
        case .null: text += "None"
        case .bool(let value): text += value ? "True" : "False"
        case .int(let value): text += String(value)
        case .float(let value): text += pythonText(value)
        case .string(let value):
            try interpreter.spend(textBytes: value.utf8Count)
            if value.isMarkup { text += "Markup(" }
            addQuoted(value)
            if value.isMarkup { text += ")" }
        case .list(let items): try addList(items.values, "[", "]")
        case .tuple(let items): try addList(items.values, "(", items.values.count == 1 ? ",)" : ")")
        case .dict(let dict): try addDict(dict)
        case .range(let range):
            text += "range(\(range.start), \(range.stop)" + (range.step == 1 ? ")" : ", \(range.step))")
        case .view(let view):
            text += "dict_\(view.kind.rawValue)("
            try addList(try view.values(), "[", "])")
        case .iterator: text += "<generator object>"
        case .object(let object): text += object.printed
        }
    }

    private mutating func addList(_ values: [Value], _ open: String, _ close: String) throws(JinjaError) {
        text += open
        for (index, value) in values.enumerated() {
            if index > 0 { text += ", " }
            try add(value)
        }
        text += close
    }

    private mutating func addDict(_ dict: Dict) throws(JinjaError) {
        text += "{"
        for (index, (key, value)) in zip(dict.keys, dict.values).enumerated() {
            if index > 0 { text += ", " }
            try add(key)
            text += ": "
            try add(value)
        }
        text += "}"
    }

    private mutating func addQuoted(_ value: Text) {
        let utf8 = value.string.utf8
        let quote: Unicode.Scalar = utf8.contains(0x27) && !utf8.contains(0x22) ? "\"" : "'"
        text += String(quote)
        text.append(value.mapPieces { Self.escaped($0, quote) })
        text += String(quote)
    }

    private static func escaped(_ piece: Substring, _ quote: Unicode.Scalar) -> String {
        var text = ""
        for scalar in piece.unicodeScalars {
            switch scalar {
            case quote, "\\": text += "\\" + String(scalar)
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.isPythonPrintable: text.unicodeScalars.append(scalar)
            default: text += scalar.pythonEscape
            }
        }
        return text
    }
}

extension Unicode.Scalar {
    /// The number of the character as an escape of a Python string.
    fileprivate var pythonEscape: String {
        let (prefix, width) = value < 0x100 ? ("x", 2) : value < 0x10000 ? ("u", 4) : ("U", 8)
        return "\\" + prefix + hexadecimal(value, width: width)
    }
}

extension Text {
    /// A representation as Python's `ascii` makes it of one by `repr`.
    var escapingAllButASCII: Text { mapScalars { $0.isASCII ? String($0) : $0.pythonEscape } }

    /// Appends the text that a serialiser writes between a value's strings.
    static func += (text: inout Text, syntax: String) { text.append(Text(syntax)) }
}

/// Lower-case hexadecimal digits, zero-padded to `width`.
func hexadecimal(_ value: UInt32, width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
