// The prompts of a completion request: a text or a list of token ids, or an array of one of these.

import JSONText

extension BodyReader {
    /// The most prompts of one request.
    private static let mostPrompts = 2048

    mutating func readPrompts(_ node: JSONNode, _ path: @autoclosure () -> String) -> [RequestBody.Prompt]? {
        guard node.kind == .array, let first = node.elements.first(where: { _ in true }),
            first.kind == .string || first.kind == .array
        else { return readPrompt(node, path()).map { [$0] } }
        let count = node.elements.reduce(0) { count, _ in count + 1 }
        guard count <= Self.mostPrompts else {
            problems.add(
                .invalidValue, path(), nil, "\(count) prompts are too many for one request",
                "give at most \(Self.mostPrompts), and the others in further lines")
            return nil
        }
        var prompts: [RequestBody.Prompt] = []
        for (index, element) in node.elements.enumerated() {
            guard element.kind == first.kind else {
                problems.addType(
                    "\(path())[\(index)]", element,
                    wanted: first.kind == .string ? "a string like the others" : "an array of token ids like the others"
                )
                return nil
            }
            guard let prompt = readPrompt(element, "\(path())[\(index)]") else { return nil }
            prompts.append(prompt)
        }
        return prompts
    }

    private mutating func readPrompt(_ node: JSONNode, _ path: @autoclosure () -> String) -> RequestBody.Prompt? {
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
        if node.elements.isEmpty {
            problems.add(.invalidValue, path(), node, "is empty", "give a text or token ids to continue")
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
