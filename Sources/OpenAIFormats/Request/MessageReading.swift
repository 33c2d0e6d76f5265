// The messages and tools of a chat request. They are passed to the model's template unchanged. The checks here ensure
// that a template can use them, and that they need nothing that ttbatch does not support (images, audio).

import JSONText

extension BodyReader {
    private static let roles = ["system", "developer", "user", "assistant", "tool"]
    private static let rolesRemedy = "use one of \(roles.joined(separator: ", "))"
    /// Members that are passed on, and members that OpenAI's own client sends back with an empty value.
    private static let passedOn = [
        "role", "content", "name", "tool_calls", "tool_call_id", "reasoning", "reasoning_content",
    ]
    /// The most messages of a chat, and the most parts of a message.
    private static let mostParts = 10_000
    private static let mustBeEmpty = ["refusal", "audio", "function_call", "annotations"]

    mutating func readMessages(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue? {
        guard node.kind == .array else {
            problems.addType(path(), node, wanted: "an array of messages")
            return nil
        }
        guard isShort(node, "messages", path()) else { return nil }
        let messages = node.elements.enumerated().map { readMessage($1, "\(path())[\($0)]") }
        if messages.isEmpty {
            problems.add(.invalidValue, path(), node, "is empty", "give at least one message")
        }
        return .array(messages)
    }

    private mutating func isShort(_ node: JSONNode, _ what: String, _ path: @autoclosure () -> String) -> Bool {
        let count = node.elements.reduce(0) { count, _ in count + 1 }
        if count <= Self.mostParts { return true }
        problems.add(.invalidValue, path(), nil, "has \(count) \(what)", "give at most \(Self.mostParts)")
        return false
    }

    private mutating func readMessage(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue {
        guard node.kind == .object else {
            problems.addType(path(), node, wanted: "a message object with role and content")
            return nil
        }
        var members: [JSONValue.Member] = []
        var names: Set<String> = []
        var given: Set<String> = []
        for (key, value) in node.members {
            let name = key.string
            guard names.insert(name).inserted else {
                problems.add(.duplicateKey, "\(path()).\(Excerpt.shortened(name))", nil, "is given twice", "keep one")
                continue
            }
            if !value.isNull { given.insert(name) }
            if let kept = readMessageMember(name, value, path()) { members.append(.init(name, kept)) }
        }
        let message = JSONValue.object(members)
        checkMessage(message, given, path())
        return message
    }

    /// The value to pass on; nil if there is none.
    private mutating func readMessageMember(_ name: String, _ value: JSONNode, _ path: @autoclosure () -> String)
        -> JSONValue?
    {
        if Self.mustBeEmpty.contains(name) {
            if !value.isNull, !(value.kind == .array && value.elements.isEmpty) {
                problems.add(.unsupportedField, "\(path()).\(name)", value, "is not supported yet", "remove the field")
            }
            return nil
        }
        guard Self.passedOn.contains(name) else {
            if problems.isFull { return nil }
            let nearest = NearestName.of(name, among: Self.passedOn)
            let remedy = nearest.map { "did you mean \($0)?" } ?? "remove it"
            problems.add(
                .unknownField, "\(path()).\(Excerpt.shortened(name))", nil, "is not a field of a message", remedy)
            return nil
        }
        switch name {
        case "content": return readContent(value, "\(path()).content")
        case "tool_calls": return value.isNull ? nil : readToolCalls(value, "\(path()).tool_calls")
        default: return string(value, "\(path()).\(name)").map { .string($0) }
        }
    }

    /// Checks the rules that involve several members; `given` are the names of those that are not null.
    private mutating func checkMessage(_ message: JSONValue, _ given: Set<String>, _ path: @autoclosure () -> String) {
        if !given.contains("role") {
            problems.add(.missingField, "\(path()).role", nil, "is missing", Self.rolesRemedy)
        }
        guard case .string(let role)? = message["role"] else { return }
        if !Self.roles.contains(role) {
            problems.add(
                RequestProblem(
                    code: .invalidValue, place: .field("\(path()).role"), value: Excerpt.quoted(role),
                    complaint: "is not a role", remedy: role == "function" ? "use tool" : Self.rolesRemedy))
        }
        let callsTools = message["tool_calls"] != nil
        if callsTools, role != "assistant" {
            problems.add(.invalidValue, "\(path()).tool_calls", nil, "only an assistant calls tools", "remove it")
        }
        // An answer or a tool result may be empty, and OpenAI's API gives null for that.
        let isNull = message["content"] == .null
        let mayBeEmpty = role == "assistant" && (callsTools || isNull) || role == "tool" && isNull
        if !given.contains("content"), !mayBeEmpty {
            problems.add(
                .missingField, "\(path()).content", nil, isNull ? "is null" : "is missing", "give the message's text")
        }
    }

    private mutating func readContent(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue? {
        switch node.kind {
        case .null: return .null
        case .string: return .string(node.string)
        case .array:
            guard isShort(node, "parts", path()) else { return nil }
            let parts = node.elements.enumerated().compactMap { readPart($1, "\(path())[\($0)]") }
            if node.elements.isEmpty {
                problems.add(.invalidValue, path(), node, "is empty", "give a text")
            }
            return .array(parts)
        default:
            problems.addType(path(), node, wanted: "a string or an array of text parts")
            return nil
        }
    }

    private mutating func readPart(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue? {
        guard node.kind == .object else {
            problems.addType(path(), node, wanted: "an object such as {\"type\": \"text\", \"text\": …}")
            return nil
        }
        guard let part = jsonValue(node, path()), case .object(let members) = part else { return nil }
        guard case .string(let type)? = part["type"] else {
            problems.add(.missingField, "\(path()).type", nil, "is missing or no string", "use \"text\"")
            return nil
        }
        guard type == "text" else {
            let complaint = "parts of type \(Excerpt.quoted(type)) are not supported"
            problems.add(.unsupportedField, "\(path()).type", nil, complaint, "use parts of type \"text\" only")
            return nil
        }
        if case .string? = part["text"] {
        } else {
            problems.add(.missingField, "\(path()).text", nil, "is missing or no string", "give the part's text")
        }
        for member in members where member.key != "type" && member.key != "text" {
            let memberPath = "\(path()).\(Excerpt.shortened(member.key))"
            problems.add(.unknownField, memberPath, nil, "is not a field of a text part", "remove it")
        }
        return part
    }

    private mutating func readToolCalls(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue? {
        guard node.kind == .array else {
            problems.addType(path(), node, wanted: "an array of tool calls")
            return nil
        }
        guard !node.elements.isEmpty else { return nil }
        for (index, call) in node.elements.enumerated() {
            checkFunction(call, "\(path())[\(index)]", what: "a tool call")
        }
        guard let calls = jsonValue(node, path()), case .array(let elements) = calls else { return nil }
        for (index, call) in elements.enumerated() {
            guard let arguments = call["function"]?["arguments"], RequestBody.Chat.arguments(arguments) == nil else {
                continue
            }
            let place = "\(path())[\(index)].function.arguments"
            switch Self.readError(of: arguments) {
            case .duplicateKey(let key):
                problems.add(.duplicateKey, place, nil, "have the key \(Excerpt.quoted(key)) twice", "keep one")
            case .integerOutOfRange(let number):
                problems.add(
                    .invalidValue, place, nil, "have a number beyond 64 bits, \(number)", "write it as a string")
            case .syntax(let column, let problem):
                problems.add(
                    .invalidValue, place, nil, "are no JSON object in a string, column \(column): \(problem)",
                    "write them as \"{\\\"name\\\": …}\"")
            case nil:
                problems.add(
                    .invalidValue, place, nil, "are no JSON object in a string",
                    "write them as \"{\\\"name\\\": …}\"")
            }
        }
        return calls
    }

    private static func readError(of arguments: JSONValue) -> JSONValue.ReadError? {
        guard case .string(let text) = arguments else { return nil }
        do throws(JSONValue.ReadError) { _ = try JSONValue(parsing: Array(text.utf8)) } catch { return error }
        return nil
    }

    mutating func readTools(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue? {
        guard node.kind == .array else {
            problems.addType(path(), node, wanted: "an array of tools")
            return nil
        }
        guard !node.elements.isEmpty else { return nil }
        for (index, tool) in node.elements.enumerated() {
            checkFunction(tool, "\(path())[\(index)]", what: "a tool")
        }
        return jsonValue(node, path())
    }

    /// Reads texts that the answer may draw on: objects whose members are strings, such as `title` and `text`.
    mutating func readDocuments(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue? {
        guard node.kind == .array else {
            problems.addType(path(), node, wanted: "an array of documents")
            return nil
        }
        guard !node.elements.isEmpty else { return nil }
        for (index, document) in node.elements.enumerated() {
            guard document.kind == .object else {
                problems.addType(
                    "\(path())[\(index)]", document, wanted: "an object such as {\"title\": …, \"text\": …}")
                continue
            }
            if document.members.isEmpty {
                problems.add(.invalidValue, "\(path())[\(index)]", document, "is empty", "give its text")
            }
            for (key, value) in document.members where value.kind != .string {
                problems.addType("\(path())[\(index)].\(Excerpt.shortened(key.string))", value, wanted: "a string")
            }
        }
        return jsonValue(node, path())
    }

    /// Reads a template that the request brings.
    mutating func readTemplate(_ node: JSONNode, _ path: @autoclosure () -> String) -> String? {
        guard let template = string(node, path()) else { return nil }
        guard !template.isEmpty else {
            problems.add(.invalidValue, path(), node, "is empty", "give a Jinja template, or remove it")
            return nil
        }
        guard template.utf8.count <= Self.longestTemplate else {
            problems.add(
                .invalidValue, path(), nil, "has \(template.utf8.count) bytes", "use at most \(Self.longestTemplate)")
            return nil
        }
        return template
    }

    private static let longestTemplate = 1 << 18

    /// Reads variables for the template. They must not replace a field of the request.
    mutating func readTemplateArguments(_ node: JSONNode, _ path: @autoclosure () -> String) -> JSONValue? {
        guard node.kind == .object else {
            problems.addType(path(), node, wanted: "an object")
            return nil
        }
        for (key, _) in node.members {
            for name in ["messages", "tools", "documents", "chat_template", "continue_final_message"]
            where key.string == name {
                problems.add(
                    .invalidValue, "\(path()).\(name)", nil, "is a field of the request itself",
                    "move it out of chat_template_kwargs")
            }
        }
        return jsonValue(node, path())
    }

    /// A tool and a call of a tool have the same form: `{"type": "function", "function": {"name": …}}`.
    private mutating func checkFunction(_ node: JSONNode, _ path: @autoclosure () -> String, what: String) {
        guard node.kind == .object else {
            return problems.addType(path(), node, wanted: "an object")
        }
        let type = node.members.first { $0.key.isString("type") }?.value
        if let type, !type.isString("function") {
            return problems.add(.unsupportedField, "\(path()).type", type, "is not supported", "use \"function\"")
        }
        let function = node.members.first { $0.key.isString("function") }?.value
        guard type != nil, let function, function.kind == .object else {
            let remedy = "\(what) is {\"type\": \"function\", \"function\": {\"name\": …}}"
            return problems.add(.missingField, path(), nil, "has no type or no function", remedy)
        }
        let name = function.members.first { $0.key.isString("name") }?.value
        guard let name, name.kind == .string, !name.utf8.isEmpty else {
            return problems.add(
                .missingField, "\(path()).function.name", nil, "is missing or no string", "name the function")
        }
    }
}
