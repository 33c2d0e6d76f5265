// What the filters `safe` and `escape` return: text that counts as HTML. A plain text that is joined to it is escaped,
// even though nothing else is (autoescape is off). The semantics are those of Python's markupsafe.

extension Interpreter {
    /// The value's text, which stays markup if it is: jinja2's `soft_str`.
    func softText(of value: Value) throws(JinjaError) -> Text {
        if case .string(let text) = value { return text }
        return try text(of: value)
    }

    /// The value as markup: its text with `&`, `<`, `>` and quotes escaped, unless it is markup already. What a user
    /// wrote stays the user's.
    func escaped(_ value: Value) throws(JinjaError) -> Text { try escaped(try softText(of: value)) }

    func escaped(_ text: Text) throws(JinjaError) -> Text {
        if text.isMarkup { return text }
        try spend(textBytes: text.utf8Count + text.growthByEscaping)
        return text.escaped.marked()
    }

    /// Python's `left + right`: if one is markup, the other is escaped, and so is the sum.
    func sum(_ left: Text, _ right: Text) throws(JinjaError) -> Text {
        try spend(textBytes: left.utf8Count + right.utf8Count)
        let isMarkup = left.isMarkup || right.isMarkup
        var sum = isMarkup ? try escaped(left) : left
        sum.append(isMarkup ? try escaped(right) : right)
        return sum
    }
}

extension Value {
    /// This value with all strings that it is or directly holds as markup.
    func marked() throws(JinjaError) -> Value {
        switch self {
        case .string(let text): .string(text.marked())
        case .list(let items): try .list(try items.values.map { value throws(JinjaError) in try value.marked() })
        case .tuple(let items): try .tuple(try items.values.map { value throws(JinjaError) in try value.marked() })
        default: self
        }
    }

    /// Whether this is markup.
    var isMarkup: Bool {
        if case .string(let text) = self { return text.isMarkup }
        return false
    }
}

extension Text {
    fileprivate var escaped: Text {
        mapScalars { scalar in
            switch scalar {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "'": "&#39;"
            case "\"": "&#34;"
            default: String(scalar)
            }
        }
    }

    /// By how many bytes the text becomes longer when it is escaped.
    fileprivate var growthByEscaping: Int {
        withUTF8 { bytes in
            bytes.reduce(into: 0) { growth, byte in
                switch byte {
                case UInt8(ascii: "<"), UInt8(ascii: ">"): growth += 3
                case UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "\""): growth += 4
                default: break
                }
            }
        }
    }
}
