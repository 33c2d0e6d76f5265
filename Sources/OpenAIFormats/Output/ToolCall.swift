// A call of a tool, as models make them and as results show them.

package import JSONText

/// A call of a function that the request offers, or that the model takes for one.
public struct ToolCall: Sendable, Hashable {
    /// The function's name.
    public var name: String
    /// Its arguments, as the text of a JSON object.
    public var arguments: String

    /// Makes a call.
    public init(name: String, arguments: String) {
        self.name = name
        self.arguments = arguments
    }

    /// Makes a call with arguments in the form of a value.
    package init(name: String, arguments: JSONValue) {
        self.init(name: name, arguments: arguments.text)
    }
}

extension ToolCall {
    /// The id of a call in an answer, which is the same each time that it is shown. Mistral's templates take only ids of
    /// nine letters and digits.
    ///
    /// - Parameter answer: the answer's id.
    package static func id(of answer: String, choice: Int, call: Int) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(answer) \(choice) \(call)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash ^= hash >> 29
        let digits = String(hash % 101_559_956_668_416, radix: 36)
        return String(repeating: "0", count: 9 - digits.count) + digits
    }
}

extension [ToolCall] {
    /// The calls as JSON for the job store: `[{"name": …, "arguments": "…"}]`.
    package var json: String {
        JSONValue.array(map { ["name": .string($0.name), "arguments": .string($0.arguments)] }).text
    }

    /// Reads what `json` gave; nil if it is something else.
    package init?(json: String) {
        guard case .array(let elements)? = try? JSONValue(parsing: [UInt8](json.utf8)) else { return nil }
        self = []
        for element in elements {
            guard case .string(let name)? = element["name"], case .string(let arguments)? = element["arguments"] else {
                return nil
            }
            append(ToolCall(name: name, arguments: arguments))
        }
    }
}
