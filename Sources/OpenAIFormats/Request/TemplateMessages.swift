// Messages in the form that chat templates expect. OpenAI's wire format differs in three places, which vLLM converts in
// the same way: text parts are joined into one string, a missing content becomes an empty one, and a tool call's
// arguments, which are JSON in a string, become an object.

public import JSONText

/// The form of messages for a template. Most templates take the standard form. Some expect another one, and fail on the
/// standard form or leave something out.
public struct MessageForm: Sendable, Hashable {
    /// The replacement for a content that is empty, null or missing.
    public enum EmptyContent: Sendable, CaseIterable {
        case emptyString, null, absent
    }

    /// The replacement for an empty content.
    public var emptyContent: EmptyContent
    /// Whether a call's arguments are an object; else they are a string of JSON.
    public var hasObjectArguments: Bool
    /// Whether a content is an array of text parts, as templates of multimodal models expect; vLLM calls that the
    /// "openai" content format.
    public var hasContentParts = false

    /// The form that vLLM passes to templates.
    public static let standard = MessageForm(emptyContent: .emptyString, hasObjectArguments: true)

    /// Every form that makes a difference for a chat, the standard one first.
    ///
    /// - Parameter callsTools: whether a message of the chat calls a tool.
    public static func all(callsTools: Bool) -> [MessageForm] {
        let calls = [true, false].flatMap { object in
            EmptyContent.allCases.map { MessageForm(emptyContent: $0, hasObjectArguments: object) }
        }
        let strings = callsTools ? calls : [.standard]
        return strings
            + strings.map { form in
                var form = form
                form.hasContentParts = true
                return form
            }
    }
}

extension RequestBody.Chat {
    /// The messages in `form`. If a content must be a string, text parts are joined with line feeds.
    public func templateMessages(_ form: MessageForm = .standard) -> [JSONValue] {
        guard case .array(let messages) = messages else { return [] }
        return messages.map { Self.templateMessage($0, form) }
    }

    private static func templateMessage(_ message: JSONValue, _ form: MessageForm) -> JSONValue {
        guard case .object(var members) = message else { return message }
        let calls = message["tool_calls"]
        members.set("tool_calls", calls?.mapElements { templateCall($0, form) })
        let given = message["content"] ?? .null
        let content = joinedText(given)
        if content != .null, content != "" {
            members.set("content", form.hasContentParts ? parts(given) : content)
        } else {
            switch calls == nil ? .emptyString : form.emptyContent {
            case .emptyString: members.set("content", "")
            case .null: members.set("content", .null)
            case .absent: members.set("content", nil)
            }
        }
        return .object(members)
    }

    private static func joinedText(_ content: JSONValue) -> JSONValue {
        guard case .array(let parts) = content else { return content }
        let texts = parts.compactMap { part in
            if case .string(let text)? = part["text"] { text } else { nil }
        }
        return .string(texts.joined(separator: "\n"))
    }

    private static func parts(_ content: JSONValue) -> JSONValue {
        if case .array = content { return content }
        return [["type": "text", "text": content]]
    }

    private static func templateCall(_ call: JSONValue, _ form: MessageForm) -> JSONValue {
        guard case .object(var members) = call, case .object(var function)? = call["function"] else { return call }
        let given = call["function"]?["arguments"] ?? .null
        let object = arguments(given) ?? given
        function.set("arguments", form.hasObjectArguments ? object : text(given, object))
        members.set("function", .object(function))
        return .object(members)
    }

    /// The text of the arguments as in the request; if they were an object, its JSON.
    private static func text(_ given: JSONValue, _ object: JSONValue) -> JSONValue {
        if case .string(let text) = given, !text.isEmpty { return given }
        return .string(object.text)
    }

    /// A tool call's arguments as an object, from an object or from JSON in a string; null and the empty string give an
    /// empty object. Returns nil if they are neither.
    static func arguments(_ value: JSONValue) -> JSONValue? {
        switch value {
        case .object: return value
        case .null, .string(""): return [:]
        case .string(let text):
            guard let parsed = try? JSONValue(parsing: Array(text.utf8)), case .object = parsed else { return nil }
            return parsed
        default: return nil
        }
    }
}

extension [JSONValue.Member] {
    /// Sets a member, in place or as a new one at the end; without a value it removes the member.
    fileprivate mutating func set(_ key: String, _ value: JSONValue?) {
        let index = firstIndex { $0.key == key }
        switch (index, value) {
        case (let index?, let value?): self[index].value = value
        case (let index?, nil): remove(at: index)
        case (nil, let value?): append(.init(key, value))
        case (nil, nil): break
        }
    }
}

extension JSONValue {
    fileprivate func mapElements(_ transform: (JSONValue) -> JSONValue) -> JSONValue {
        guard case .array(let elements) = self else { return self }
        return .array(elements.map(transform))
    }
}
