// Excerpts of the user's input for messages of one line: escaped as in JSON, and shortened.

/// Makes excerpts of values for messages.
public enum Excerpt {
    private static let longest = 60

    /// `text` as a JSON string, shortened.
    public static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = []
        bytes.append(string: cut(text))
        return visible(String(decoding: bytes, as: UTF8.self))
    }

    /// `text`, cut with an ellipsis if it is long.
    package static func shortened(_ text: String) -> String { visible(cut(text)) }

    private static func cut(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard scalars.count > longest else { return text }
        return String(String.UnicodeScalarView(scalars.prefix(longest - 1))) + "…"
    }

    /// `text` with JSON escapes for invisible characters.
    private static func visible(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: \.isInvisible) else { return text }
        return text.unicodeScalars.map { scalar in
            scalar.isInvisible
                ? scalar.utf16.map { "\\u" + hexadecimal(UInt32($0)).lowercased() }.joined() : String(scalar)
        }.joined()
    }

    /// A single character in quotes; an invisible one by its number, as U+FEFF.
    package static func character(_ scalar: Unicode.Scalar) -> String {
        guard scalar.isInvisible else { return quoted(String(scalar)) }
        return "U+\(hexadecimal(scalar.value))" + (scalar.isByteOrderMark ? " (a byte order mark)" : "")
    }

    private static func hexadecimal(_ number: UInt32) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// A value of a document as shortened JSON. Arrays and objects are only named.
    package static func of(_ node: JSONNode) -> String {
        switch node.kind {
        case .string: return quoted(String(decoding: node.utf8.prefix(longest * 4 + 4), as: UTF8.self))
        case .array: return node.elements.isEmpty ? "[]" : "[…]"
        case .object: return node.members.isEmpty ? "{}" : "{…}"
        default:
            var bytes: [UInt8] = []
            bytes.append(node)
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}

extension Unicode.Scalar {
    package var isByteOrderMark: Bool { value == 0xFEFF }

    /// Whether it is invisible, or looks like a space.
    fileprivate var isInvisible: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned: true
        case .spaceSeparator: self != " "
        default: false
        }
    }
}

extension JSONNode {
    /// The kind with its article, for messages: "an array".
    package var kindWithArticle: String {
        switch kind {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .unsigned: "an integer"
        case .double: "a number with a fraction or exponent"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
