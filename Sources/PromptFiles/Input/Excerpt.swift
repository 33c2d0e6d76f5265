// Pieces of the user's input, fit for one line of a message: escaped as JSON, and shortened.

/// Makes excerpts of values for messages.
enum Excerpt {
    private static let longest = 60

    /// `text` as a JSON string, shortened.
    static func quoted(_ text: String) -> String {
        let short = shortened(text)
        var bytes: [UInt8] = []
        bytes.append(string: short)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `text`, cut with an ellipsis where it is long.
    static func shortened(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard scalars.count > longest else { return text }
        return String(String.UnicodeScalarView(scalars.prefix(longest - 1))) + "…"
    }

    /// A value of a document as JSON, shortened; containers are only named.
    static func of(_ node: JSONNode) -> String {
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

extension JSONNode {
    /// The kind with its article, for messages: "an array".
    var kindWithArticle: String {
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
