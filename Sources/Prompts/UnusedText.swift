// The texts that a chat template left out of the prompt, with messages for people.

/// A text of a chat that the model must see.
package enum ChatText: Equatable {
    case message(index: Int, role: String)
    case call(message: Int, index: Int, name: String)
    case arguments(message: Int, index: Int, name: String)
    case tool(index: Int, name: String)
    case toolDescription(index: Int, name: String)
    case toolParameters(index: Int, name: String)
    /// All tools together.
    case tools
    case document(index: Int)
    /// A variable of the template.
    case variable(name: String)
}

/// A text of a chat that a template left out or cut.
package struct UnusedText: Equatable {
    package var text: ChatText
    /// Whether a part of it is in the prompt.
    package var isCut: Bool

    /// The text's path in the request, and a name by which a person recognises it.
    package var path: String {
        switch text {
        case .message(let index, let role): "messages[\(index)] (\(role))"
        case .call(let message, let index, let name): "messages[\(message)].tool_calls[\(index)] (\(name))"
        case .arguments(let message, let index, let name):
            "messages[\(message)].tool_calls[\(index)].function.arguments (\(name))"
        case .tool(let index, let name): "tools[\(index)] (\(name))"
        case .toolDescription(let index, let name): "tools[\(index)].function.description (\(name))"
        case .toolParameters(let index, let name): "tools[\(index)].function.parameters (\(name))"
        case .tools: "tools"
        case .document(let index): "documents[\(index)]"
        case .variable("reasoning_effort"): "reasoning_effort"
        case .variable(let name): "chat_template_kwargs.\(name)"
        }
    }

    /// What the template did.
    package var complaint: String {
        switch text {
        case .tools: "the model's chat template does not use them"
        case .variable: "the model's chat template does not read it"
        case .arguments, .toolParameters: "the model's chat template does not use \(isCut ? "all of them" : "them")"
        default: "the model's chat template does not use \(isCut ? "all of it" : "it")"
        }
    }

    /// What to do about it.
    package var remedy: String {
        switch text {
        case .tools: "leave them out, set tool_choice to \"none\", or use a model that has tools"
        case .variable: "remove it, or use a model that takes it"
        case .document: "write it into a message's content, or use a model that takes documents"
        case .arguments: "write them into a message's content, or use a model that has tools"
        case .call: "write it into a message's content, or use a model that has tools"
        case .message(_, role: "tool"): "write it into a user's message, or use a model that has tools"
        default: "leave it out, or use a model that takes it"
        }
    }
}

extension [UnusedText] {
    /// Reports "none of the tools" once, and no parts of a tool or a call that is missing entirely.
    package func withoutRepetition(ofTools texts: [ChatText]) -> [UnusedText] {
        func isTool(_ text: ChatText) -> Bool { if case .tool = text { true } else { false } }
        let hasNoTools = contains { isTool($0.text) } && filter { isTool($0.text) }.count == texts.filter(isTool).count
        let missing = map(\.text)
        var kept = filter { unused in
            switch unused.text {
            case .tool: !hasNoTools
            case .toolDescription(let index, let name), .toolParameters(let index, let name):
                !missing.contains(.tool(index: index, name: name))
            case .arguments(let message, let index, let name):
                !missing.contains(.call(message: message, index: index, name: name))
            default: true
            }
        }
        if hasNoTools { kept.append(UnusedText(text: .tools, isCut: false)) }
        // The continued message has two marks.
        for index in kept.indices.reversed() where kept[..<index].contains(where: { $0.text == kept[index].text }) {
            kept.remove(at: index)
        }
        return kept
    }
}

/// A chat of which a template leaves something out.
package struct UnusedTexts: Error, CustomStringConvertible {
    /// At least one.
    package let texts: [UnusedText]

    package var description: String {
        texts.map { "\($0.path): \($0.complaint); \($0.remedy)" }.joined(separator: "\n")
    }
}
