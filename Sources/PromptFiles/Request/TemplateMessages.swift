// The messages in the shape for which chat templates are written. OpenAI's wire format differs in two places, and vLLM
// bridges both in the same way: text parts become one string, and a tool call's arguments are JSON inside a string.

extension RequestBody.Chat {
    /// The messages with every `content` a string (text parts are joined by line feeds) or null, and with the arguments
    /// of tool calls as objects.
    public var templateMessages: JSONValue {
        guard case .array(let messages) = messages else { return messages }
        return .array(messages.map(Self.templateMessage))
    }

    private static func templateMessage(_ message: JSONValue) -> JSONValue {
        message.mapMembers { key, value in
            switch key {
            case "content": joinedText(value)
            case "tool_calls": value.mapElements(templateCall)
            default: value
            }
        }
    }

    private static func joinedText(_ content: JSONValue) -> JSONValue {
        guard case .array(let parts) = content else { return content }
        let texts = parts.compactMap { part in
            if case .string(let text)? = part["text"] { text } else { nil }
        }
        return .string(texts.joined(separator: "\n"))
    }

    private static func templateCall(_ call: JSONValue) -> JSONValue {
        call.mapMembers { key, function in
            guard key == "function" else { return function }
            return function.mapMembers { key, value in
                key == "arguments" ? RequestBody.Chat.arguments(value) ?? value : value
            }
        }
    }

    /// A tool call's arguments as an object, from an object or from JSON in a string (the empty string is none); nil
    /// where they are neither.
    static func arguments(_ value: JSONValue) -> JSONValue? {
        switch value {
        case .object: return value
        case .string(""): return [:]
        case .string(let text):
            guard let parsed = try? JSONValue(parsing: Array(text.utf8)), case .object = parsed else { return nil }
            return parsed
        default: return nil
        }
    }
}

extension JSONValue {
    fileprivate func mapMembers(_ transform: (String, JSONValue) -> JSONValue) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members.map { Member($0.key, transform($0.key, $0.value)) })
    }

    fileprivate func mapElements(_ transform: (JSONValue) -> JSONValue) -> JSONValue {
        guard case .array(let elements) = self else { return self }
        return .array(elements.map(transform))
    }
}
