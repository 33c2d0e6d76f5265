// The prompt of a completion request: one text, or one list of token ids.

import JSONText

extension BodyReader {
    mutating func readPrompt(_ node: JSONNode, _ path: @autoclosure () -> String) -> RequestBody.Prompt? {
        switch node.kind {
        case .string where node.utf8.isEmpty:
            problems.add(.invalidValue, path(), node, "is empty", "give a text or token ids to continue")
            return nil
        case .string:
            return .text(node.string)
        case .array:
            return readTokenPrompt(node, path())
        default:
            problems.addType(path(), node, wanted: "a string or an array of token ids")
            return nil
        }
    }

    private mutating func readTokenPrompt(_ node: JSONNode, _ path: @autoclosure () -> String) -> RequestBody.Prompt? {
        var elements = node.elements
        guard let first = elements.next() else {
            problems.add(.invalidValue, path(), node, "is empty", "give a text or token ids to continue")
            return nil
        }
        if first.kind == .string || first.kind == .array {
            let what = first.kind == .string ? "texts" : "token lists"
            let remedy = "give one prompt a line: a string, or an array of token ids"
            problems.add(.invalidType, path(), nil, "an array of \(what) is several prompts", remedy)
            return nil
        }
        return tokenIDs(node, path()).map { .tokens($0) }
    }

    /// Copies a value of any form. Adds problems for repeated keys and for integers beyond 64 bits.
    mutating func jsonValue(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue? {
        do {
            return try JSONValue(node)
        } catch .duplicateKey(let key) {
            problems.add(.duplicateKey, path(), nil, "the key \(Excerpt.quoted(key)) is given twice", "keep one")
        } catch {
            problems.add(.invalidValue, path(), nil, "\(error)", "use a smaller number")
        }
        return nil
    }
}
