// A chat with marks on the texts that must reach the prompt, so that a text that a template silently leaves out is
// reported.

import JSONText
import Jinja
import OpenAIFormats
import Tokenizers

/// A chat's messages and tools for a template. Each text that must not be lost has a mark of its own.
struct MarkedChat {
    /// The messages. Members without marks may be left out: ids, names, reasoning.
    private(set) var messages = JinjaValue.null
    private(set) var tools: JinjaValue?
    private(set) var documents: JinjaValue?
    /// The mark after the text to continue; nil if none is continued.
    private(set) var endMark: Int?
    /// The marked texts; the mark of the first is 1.
    private var texts: [(text: ChatText, isNeededWhole: Bool, characters: Int)] = []

    /// A text that no message ends with; transformers uses the same. It ends in a space: see `Rendering.cut(before:)`.
    private static let end = "CONTINUE_FINAL_MESSAGE_TAG "

    /// Makes the chat in `form`, with the roles renamed by `roles`.
    init(_ chat: RequestBody.Chat, _ form: MessageForm, roles: [String: String]) {
        let given = chat.templateMessages(form)
        var shown: [JinjaValue] = []
        for (index, message) in given.enumerated() {
            let continues = chat.continuesFinalMessage && index == given.count - 1
            shown.append(marked(message, index, roles, continues: continues))
        }
        messages = .array(shown)
        if case .array(let given)? = chat.tools {
            tools = .array(given.enumerated().map { markedTool($1, $0) })
        }
        if case .array(let given)? = chat.documents {
            documents = .array(given.enumerated().map { markedDocument($1, $0) })
        }
    }

    /// The marked texts that are not in a rendering, in the order of the chat.
    func unused(in rendering: Rendering) -> [UnusedText] {
        let written = rendering.writtenCharacters
        let removed = rendering.removedCharacters
        var unused: [UnusedText] = []
        for (index, (text, isNeededWhole, characters)) in texts.enumerated() {
            let reached = written[index + 1]
            guard reached + removed[index + 1] < characters, isNeededWhole || reached == 0 else { continue }
            unused.append(UnusedText(text: text, isCut: reached > 0))
        }
        return unused.isEmpty ? [] : unused.withoutRepetition(ofTools: texts.map(\.text))
    }

    private mutating func mark(_ text: ChatText, isNeededWhole: Bool, _ value: JinjaValue) -> Int {
        texts.append((text, isNeededWhole, value.visibleCharacters))
        return texts.count
    }

    // MARK: Messages

    private mutating func marked(
        _ message: JSONValue, _ index: Int, _ roles: [String: String], continues: Bool
    ) -> JinjaValue {
        guard case .object(let members) = message, case .string(let role)? = message["role"] else { return .null }
        var shown: [(key: String, value: JinjaValue)] = []
        for member in members {
            switch (member.key, member.value) {
            case ("role", _): shown.append(("role", .string(roles[role] ?? role)))
            case ("content", .string(let text)):
                shown.append(("content", .pieces(pieces(text, of: role, index, continues: continues))))
            case ("content", .array(let parts)):
                let last = parts.count - 1
                let marked = parts.enumerated().map { place, part in
                    markedPart(part, of: role, index, continues: continues && place == last)
                }
                shown.append(("content", .array(marked)))
            case ("tool_calls", .array(let calls)):
                shown.append(("tool_calls", .array(calls.enumerated().map { markedCall($1, $0, in: index) })))
            default: shown.append((member.key, JinjaValue(member.value)))
            }
        }
        return .object(shown)
    }

    private mutating func markedPart(
        _ part: JSONValue, of role: String, _ index: Int, continues: Bool
    ) -> JinjaValue {
        guard case .string(let text)? = part["text"] else { return JinjaValue(part) }
        return .object([
            ("type", "text"), ("text", .pieces(pieces(text, of: role, index, continues: continues))),
        ])
    }

    /// Templates may drop the reasoning of earlier assistant messages, and text that they take for reasoning, but must
    /// keep the rest of those messages. The text of other roles is needed whole.
    private mutating func pieces(
        _ text: String, of role: String, _ index: Int, continues: Bool
    ) -> [(text: String, mark: Int)] {
        let message = ChatText.message(index: index, role: role)
        if continues {
            let mark = mark(message, isNeededWhole: true, .string(text))
            let end = self.mark(message, isNeededWhole: true, .string(Self.end))
            endMark = end
            return [(text, mark), (Self.end, end)]
        }
        if role != "assistant" { return [(text, mark(message, isNeededWhole: true, .string(text)))] }
        guard let thought = text.ranges(of: "</think>").last else {
            return [(text, mark(message, isNeededWhole: true, .string(text)))]
        }
        let answer = String(text[thought.upperBound...])
        return [
            (String(text[..<thought.upperBound]), 0), (answer, mark(message, isNeededWhole: true, .string(answer))),
        ]
    }

    private mutating func markedCall(_ call: JSONValue, _ index: Int, in message: Int) -> JinjaValue {
        guard case .string(let name)? = call["function"]?["name"] else { return JinjaValue(call) }
        var shown = JinjaValue(call)
        let text = ChatText.call(message: message, index: index, name: name)
        mark(text, isNeededWhole: true, at: ["function", "name"], in: &shown)
        let arguments = ChatText.arguments(message: message, index: index, name: name)
        mark(arguments, isNeededWhole: true, at: ["function", "arguments"], in: &shown)
        return shown
    }

    private mutating func markedTool(_ tool: JSONValue, _ index: Int) -> JinjaValue {
        guard case .string(let name)? = tool["function"]?["name"] else { return JinjaValue(tool) }
        var shown = JinjaValue(tool)
        mark(.tool(index: index, name: name), isNeededWhole: true, at: ["function", "name"], in: &shown)
        let description = ChatText.toolDescription(index: index, name: name)
        mark(description, isNeededWhole: true, at: ["function", "description"], in: &shown)
        // The names and descriptions of the parameters; a function without parameters has none.
        let parameters = ChatText.toolParameters(index: index, name: name)
        mark(parameters, isNeededWhole: false, at: ["function", "parameters", "properties"], in: &shown)
        return shown
    }

    /// A document's texts, each of which is needed whole.
    private mutating func markedDocument(_ document: JSONValue, _ index: Int) -> JinjaValue {
        guard case .object(let members) = document else { return JinjaValue(document) }
        return .object(
            members.map { member in
                let value = JinjaValue(member.value)
                return (member.key, .marked(value, mark(.document(index: index), isNeededWhole: true, value)))
            })
    }

    /// Marks the member at `path`, if it exists.
    private mutating func mark(
        _ text: ChatText, isNeededWhole: Bool, at path: [String], in value: inout JinjaValue
    ) {
        value = value.replacing(path[...]) { .marked($0, mark(text, isNeededWhole: isNeededWhole, $0)) }
    }
}

extension JinjaValue {
    /// The value with the member at `path` changed, if it exists.
    fileprivate func replacing(_ path: ArraySlice<String>, _ change: (JinjaValue) -> JinjaValue) -> JinjaValue {
        guard let key = path.first else { return change(self) }
        guard case .object(let members) = self else { return self }
        return .object(
            members.map { ($0.key, $0.key == key ? $0.value.replacing(path.dropFirst(), change) : $0.value) })
    }

    /// Converts a JSON value.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(Int(value))
        case .double(let value): self = .float(value)
        case .string(let value): self = .string(value)
        case .array(let items): self = .array(items.map { JinjaValue($0) })
        case .object(let members): self = .object(members.map { (key: $0.key, value: JinjaValue($0.value)) })
        }
    }
}
