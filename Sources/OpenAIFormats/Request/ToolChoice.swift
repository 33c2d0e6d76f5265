// Which tools a text must call. A call that must be made is a grammar of its own.

import JSONText
import Sampling

extension RequestBody {
    /// Which tools the model calls.
    public enum ToolChoice: Sendable, Hashable {
        /// Those that it wants to call.
        case auto
        /// At least one.
        case required
        /// Only this function.
        case named(String)
    }
}

extension BodyReader {
    mutating func readToolChoice(_ value: JSONNode, _ path: String) {
        let remedy = "use \"auto\", \"none\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}"
        if value.kind == .object {
            guard let members = members(value, path, ["type", "function"]) else { return }
            guard members["type"]?.isString("function") == true, let function = members["function"],
                let name = self.members(function, "\(path).function", ["name"])?["name"],
                let text = string(name, "\(path).function.name")
            else { return problems.add(.invalidValue, path, value, "names no function", remedy) }
            toolChoice = .named(text)
        } else if value.isString("required") {
            toolChoice = .required
        } else if value.isString("none") {
            offersTools = false
        } else if !value.isString("auto") {
            problems.add(.invalidValue, path, value, "is no choice of tools", remedy)
        }
    }

    /// Makes the grammar of a call that must be made.
    mutating func finishToolChoice(_ chat: RequestBody.Chat) {
        request.toolChoice = toolChoice
        if toolChoice == .auto { return }
        let field = prefix + "tool_choice"
        let tools = chat.tools.map(Self.functions) ?? []
        guard !tools.isEmpty else {
            return problems.add(.invalidValue, field, nil, "wants a call, and there are no tools", "give tools")
        }
        for (index, tool) in tools.enumerated()
        where !isShort(tool.parameters, "\(prefix)tools[\(index)].function.parameters") { return }
        guard case .named(let name) = toolChoice else {
            return set(.calls(tools, mayBeSeveral: request.allowsParallelCalls), prefix + "tools")
        }
        guard let index = tools.firstIndex(where: { $0.name == name }) else {
            let nearest = NearestName.of(name, among: tools.map(\.name))
            return problems.add(
                RequestProblem(
                    code: .invalidValue, place: .field(field + ".function.name"), value: Excerpt.quoted(name),
                    complaint: "is none of the tools",
                    remedy: nearest.map { "did you mean \($0)?" } ?? "name one of them"))
        }
        set(.json(tools[index].parameters), "\(prefix)tools[\(index)].function.parameters")
    }

    /// The functions that are offered. Arguments are an object, even where the schema does not say so.
    private static func functions(_ tools: JSONValue) -> [GrammarSource.Function] {
        guard case .array(let elements) = tools else { return [] }
        return elements.compactMap { tool in
            guard case .string(let name)? = tool["function"]?["name"] else { return nil }
            var parameters: JSONValue = ["type": "object", "additionalProperties": false]
            switch tool["function"]?["parameters"] {
            case .object(let members)?:
                let type: [JSONValue.Member] = members.contains { $0.key == "type" } ? [] : [.init("type", "object")]
                parameters = .object(type + members)
            case nil, .null?: break
            case let other?: parameters = other
            }
            return GrammarSource.Function(name: name, parameters: parameters.text)
        }
    }
}
