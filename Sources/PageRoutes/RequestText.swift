// The prompt of a request's body, as text for people.

import JSONText

enum RequestText {
    /// The prompt, or the messages one after another; nil if the body has none that is text.
    static func prompt(_ body: [UInt8]) -> String? {
        guard let value = try? JSONValue(parsing: body) else { return nil }
        if case .array(let messages)? = value["messages"] {
            return messages.map { message in
                let role: String = if case .string(let role)? = message["role"] { role } else { "?" }
                return "\(role): \(content(message["content"]))"
            }
            .joined(separator: "\n\n")
        }
        return value["prompt"].map(content)
    }

    private static func content(_ value: JSONValue?) -> String {
        switch value {
        case .string(let text): text
        case .array(let parts): parts.map { part in content(part["text"] ?? part) }.joined(separator: "\n")
        case .int(let token): "\(token)"
        default: ""
        }
    }
}
