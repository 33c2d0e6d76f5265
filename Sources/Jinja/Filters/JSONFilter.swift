// `tojson` as Hugging Face transformers defines it: Python's `json.dumps` with `ensure_ascii` off and no HTML escaping.

enum JSONFilter {
    /// The result is `.data` as a whole if any string in the value is.
    @Sendable static func tojson(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])
        var writer = JSONWriter(interpreter: interpreter)
        writer.ensuresASCII = bound[0]?.isTrue ?? false
        writer.sortsKeys = bound[3]?.isTrue ?? false
        switch bound[1] {
        case nil, .null?: break
        case .string(let text)?: writer.indent = text.string
        case let width?:
            let spaces = max(0, try interpreter.integer(width))
            try interpreter.spend(textBytes: spaces)
            writer.indent = String(repeating: " ", count: spaces)
        }
        if writer.indent != nil { writer.itemSeparator = "," }
        if let given = bound[2], given.typeName != "NoneType" {
            let pair = try interpreter.elements(of: given)
            guard pair.count == 2 else { throw JinjaError(.value, "separators must be a pair") }
            writer.itemSeparator = try interpreter.string(pair[0]).string
            writer.keySeparator = try interpreter.string(pair[1]).string
        }
        try writer.write(value, depth: 0)
        return .string(writer.text.origin == .data ? writer.text.asData : writer.text)
    }
}

private struct JSONWriter {
    let interpreter: Interpreter
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
    var ensuresASCII = false
    var text = Text()

    mutating func write(_ value: Value, depth: Int) throws(JinjaError) {
        try interpreter.spend(textBytes: 8)
        switch value {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .int(let value): text += String(value)
        case .float(let value): text += number(value)
        case .string(let value): try write(value)
        case .list(let items), .tuple(let items): try writeList(items.values, depth)
        case .dict(let dict): try writeDict(dict, depth)
        case .undefined(.forbidden(let name, let type)):
            throw Undefined.forbidden(attribute: name, typeName: type).error
        default: throw JinjaError(.type, "Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private func number(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : pythonText(value)
    }

    private mutating func breakLine(_ depth: Int) throws(JinjaError) {
        guard let indent else { return }
        try interpreter.spend(textBytes: depth * indent.utf8.count)
        text += "\n"
        for _ in 0..<depth { text += indent }
    }

    private mutating func writeList(_ values: [Value], _ depth: Int) throws(JinjaError) {
        if values.isEmpty {
            text += "[]"
            return
        }
        text += "["
        for (index, value) in values.enumerated() {
            if index > 0 { text += itemSeparator }
            try breakLine(depth + 1)
            try write(value, depth: depth + 1)
        }
        try breakLine(depth)
        text += "]"
    }

    private mutating func writeDict(_ dict: Dict, _ depth: Int) throws(JinjaError) {
        if dict.count == 0 {
            text += "{}"
            return
        }
        var members = Array(zip(dict.keys, dict.values))
        if sortsKeys {
            members = try interpreter.sorted(members, by: { $0.0 })
        }
        text += "{"
        for (index, (key, value)) in members.enumerated() {
            if index > 0 { text += itemSeparator }
            try breakLine(depth + 1)
            try writeKey(key)
            text += keySeparator
            try write(value, depth: depth + 1)
        }
        try breakLine(depth)
        text += "}"
    }

    /// Keys that are not strings are written as the string of their JSON.
    private mutating func writeKey(_ key: Value) throws(JinjaError) {
        switch key {
        case .string(let text): try write(text)
        case .null: text += "\"null\""
        case .bool(let value): text += value ? "\"true\"" : "\"false\""
        case .int(let value): text += "\"\(value)\""
        case .float(let value): text += "\"\(number(value))\""
        default: throw JinjaError(.type, "JSON keys must be strings or numbers, not \(key.typeName)")
        }
    }

    private mutating func write(_ value: Text) throws(JinjaError) {
        try interpreter.spend(textBytes: value.utf8Count)
        text += "\""
        text.append(value.mapPieces(escaped))
        text += "\""
    }

    private func escaped(_ piece: Substring) -> String {
        var text = ""
        for scalar in piece.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{08}": text += "\\b"
            case "\u{0C}": text += "\\f"
            case _ where scalar.value < 0x20: text += "\\u" + hexadecimal(scalar.value, width: 4)
            case _ where ensuresASCII && scalar.value > 0x7F:
                for unit in String(scalar).utf16 { text += "\\u" + hexadecimal(UInt32(unit), width: 4) }
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
