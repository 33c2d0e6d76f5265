// Conversations of every mixture of messages, each text in them with a word of its own, so that a plain search in a rendered
// prompt tells what of them is missing.

import OpenAIFormats

/// A conversation made of kinds of messages, and the words that a prompt made of it must have.
struct ChatMixture: CustomStringConvertible {
    enum Kind: String, CaseIterable {
        case system, developer, user, assistant, thinkingAssistant, toolResult
        case callWithText, callWithEmptyText, callWithNull, callWithoutContent
    }

    let kinds: [Kind]
    let hasTools: Bool

    var description: String { "\(kinds.map(\.rawValue)), tools \(hasTools)" }

    /// The words, by the place at which a message about them points.
    private(set) var words: [String: String] = [:]
    private(set) var body = ""

    init(_ kinds: [Kind], hasTools: Bool) {
        self.kinds = kinds
        self.hasTools = hasTools
        let messages = kinds.enumerated().map { message($1, $0) }
        body = #"{"messages":[\#(messages.joined(separator: ","))]"#
        if hasTools {
            body += #","tools":[\#(tool(0)),\#(tool(1))]"#
        }
        body += "}"
    }

    /// The conversation as it is read from a line.
    var chat: RequestBody.Chat {
        get throws {
            let request = try RequestBody.parse(Array(body.utf8), endpoint: .chatCompletions)
            guard case .chat(let chat) = request.prompts[0] else { fatalError("a chat was read as something else") }
            return chat
        }
    }

    private mutating func message(_ kind: Kind, _ index: Int) -> String {
        func text(_ role: String, _ before: String = "") -> String {
            let word = "word\(index)said"
            words["messages[\(index)] (\(role))"] = word
            return #""role":"\#(role)","content":"\#(before) \#(word) \"quoted\" \n""#
        }
        func call(_ content: String) -> String {
            words["messages[\(index)].tool_calls[0] (name\(index)called)"] = "name\(index)called"
            words["messages[\(index)].tool_calls[0].function.arguments (name\(index)called)"] = "value\(index)given"
            let arguments = #"{\"key\":\"value\#(index)given\",\"n\":2}"#
            return #"{"role":"assistant",\#(content)"tool_calls":[{"id":"call12345","type":"function","function":"#
                + #"{"name":"name\#(index)called","arguments":"\#(arguments)"}}]}"#
        }
        switch kind {
        case .system, .developer, .user, .assistant: return "{\(text(kind.rawValue))}"
        case .thinkingAssistant: return "{\(text("assistant", #"<think>\nhm\n</think>\n\n"#))}"
        case .toolResult: return #"{\#(text("tool")),"tool_call_id":"call12345"}"#
        case .callWithText:
            let word = "word\(index)said"
            words["messages[\(index)] (assistant)"] = word
            return call(#""content":"\#(word)","#)
        case .callWithEmptyText: return call(#""content":"","#)
        case .callWithNull: return call(#""content":null,"#)
        case .callWithoutContent: return call("")
        }
    }

    private mutating func tool(_ index: Int) -> String {
        words["tools[\(index)] (tool\(index)name)"] = "tool\(index)name"
        words["tools[\(index)].function.description (tool\(index)name)"] = "tool\(index)described"
        return #"{"type":"function","function":{"name":"tool\#(index)name","description":"tool\#(index)described","#
            + #""parameters":{"type":"object","properties":{"key":{"type":"string","description":"a key"}},"required":["key"]}}}"#
    }

    /// Every mixture of one and of two messages, and some hundred longer ones, with and without tools.
    static let all: [ChatMixture] = {
        let kinds = Kind.allCases
        var lists = kinds.map { [$0] } + kinds.flatMap { first in kinds.map { [first, $0] } }
        // What conversations look like, and then anything.
        lists += [
            [.system, .user, .assistant, .user], [.developer, .user, .thinkingAssistant, .user],
            [.system, .developer, .user], [.user, .callWithNull, .toolResult, .assistant, .user],
            [.system, .user, .callWithEmptyText, .toolResult], [.user, .callWithoutContent, .toolResult],
            [.developer, .user, .callWithText, .toolResult, .assistant],
            [.user, .callWithNull, .toolResult, .toolResult],
            [.user, .callWithNull, .toolResult, .callWithEmptyText, .toolResult, .assistant, .user],
        ]
        var state: UInt64 = 1
        for _ in 0..<100 {
            lists.append(
                (0..<5).map { _ in
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    return kinds[Int(state >> 33) % kinds.count]
                })
        }
        return lists.flatMap { [ChatMixture($0, hasTools: false), ChatMixture($0, hasTools: true)] }
    }()
}
