// What a chat's text says: reasoning, an answer, calls of tools.

package import ModelFiles
package import OpenAIFormats
package import Sampling
import Tokenizers

/// The parts of a generated text.
package struct Answer: Sendable, Equatable {
    /// What is for the reader.
    package var text: String
    /// What the model wrote for itself before that; nil if it did not reason.
    package var reasoning: String?
    /// The tools that it calls.
    package var toolCalls: [ToolCall]
    /// Why a part of the text that looks like a call is none, or could not be read; nil if there is no such part.
    package var unread: String?

    /// A text with what it says beside.
    package init(text: String, reasoning: String? = nil, toolCalls: [ToolCall] = [], unread: String? = nil) {
        self.text = text
        self.reasoning = reasoning
        self.toolCalls = toolCalls
        self.unread = unread
    }

    /// The calls as JSON; nil if there are none.
    package var toolCallsJSON: String? { toolCalls.isEmpty ? nil : toolCalls.json }
}

/// How the text of a chat is read.
public struct AnswerRules: Sendable, Equatable {
    /// Which calls of tools are expected.
    package enum Calls: Sendable, Equatable {
        /// None: what looks like a call is text.
        case none
        /// Those that the model wants to make, as it writes them.
        case own(ToolCallFormat)
        /// Those that the model wants to make; how it writes them is not known.
        case unknown
        /// The whole text is an array of calls; its grammar sees to that.
        case required
        /// The whole text is the arguments of this function; its grammar sees to that.
        case named(String)
    }

    package var calls = Calls.none
    package var reasoning = ReasoningFormat.text
    /// Whether the prompt ends behind the mark that begins reasoning.
    package var beginsInReasoning = false
    /// The tokens around reasoning that may precede a text with a grammar; nil if there is none, or the marks are more than
    /// one token each.
    package var reasoningMarks: ReasoningMarks?
    /// Whether reasoning is part of the answer.
    package var includesReasoning = true
    /// Whether an answer may have more than one call.
    package var allowsParallelCalls = true
    /// The control tokens whose text the reading needs.
    package var shownTokens: Set<Int32> = []

    /// Rules by which everything is text.
    package init() {}

    /// Reads a text.
    ///
    /// - Parameter isComplete: whether it is all that its grammar wants; nil if it has none.
    package func read(_ text: String, isComplete: Bool?) -> Answer {
        var answer = behindReasoning(text, isComplete: isComplete)
        if !includesReasoning { answer.reasoning = nil }
        switch calls {
        case .required, .named:
            if isComplete == false {
                answer.unread = "the calls are cut off"
            } else {
                ToolCallReader.readForced(calls, &answer)
            }
        // A text with a grammar is what its request wants, to the letter.
        case _ where isComplete != nil: break
        case .none: break
        case .unknown:
            answer.unread =
                "how the model writes calls of tools is not known: set tool_calls for it in the configuration"
        case .own(let format):
            ToolCallReader.read(format, &answer)
            if !allowsParallelCalls, answer.toolCalls.count > 1 {
                answer.unread =
                    "parallel_tool_calls is false: \(answer.toolCalls.count - 1) further calls were left out"
                answer.toolCalls.removeSubrange(1...)
            }
        }
        return answer
    }

    /// Whether calls are why an answer has ended. A call that its request wants is not, as in OpenAI's API.
    package func endsByCalls(_ answer: Answer) -> Bool {
        if case .named = calls { return false }
        return !answer.toolCalls.isEmpty
    }

    /// A text without its reasoning, and that; calls are not read.
    package func behindReasoning(_ text: String, isComplete: Bool?) -> Answer {
        isComplete == nil || mayReason(before: text) ? withoutReasoning(text) : Answer(text: text)
    }

    /// Whether a text with a grammar has reasoning before what the grammar allows.
    private func mayReason(before text: String) -> Bool {
        guard let reasoningMarks, let marks = reasoning.marks else { return false }
        return reasoningMarks.start == nil || text.hasPrefix(marks.start)
    }

    private func withoutReasoning(_ text: String) -> Answer {
        guard let marks = reasoning.marks else { return Answer(text: text) }
        var thought = text[...]
        let start = text.utf8.firstRange(of: marks.start.utf8)
        let end = text.utf8.firstRange(of: marks.end.utf8)
        if let start, text[..<start.lowerBound].allSatisfy(\.isWhitespace) {
            thought = text[start.upperBound...]
        } else if end == nil, !beginsInReasoning {
            return Answer(text: text)
        } else if let start, let end, start.lowerBound < end.lowerBound, !beginsInReasoning {
            // Marks within the answer are its own.
            return Answer(text: text)
        }
        guard let end = thought.utf8.firstRange(of: marks.end.utf8) else {
            return Answer(text: "", reasoning: thought.trimmingLines)
        }
        return Answer(
            text: String(text[end.upperBound...].drop(while: \.isNewline)),
            reasoning: thought[..<end.lowerBound].trimmingLines)
    }
}

extension Substring {
    /// The text without empty lines before and behind it; nil if there is nothing else.
    fileprivate var trimmingLines: String? {
        let start = drop(while: \.isNewline)
        let end = start.lastIndex { !$0.isNewline }
        return end.map { String(start[...$0]) }
    }
}

extension AnswerRules.Calls {
    /// The calls of a chat's answer.
    ///
    /// - Parameter format: how the model writes them; nil if that is not known.
    init(_ choice: RequestBody.ToolChoice, _ chat: RequestBody.Chat, _ format: ToolCallFormat?) {
        switch choice {
        case .auto: self = chat.tools == nil ? .none : format.map { .own($0) } ?? .unknown
        case .required: self = .required
        case .named(let name): self = .named(name)
        }
    }
}

extension AnswerRules {
    /// The rules for the answer to a chat whose tokens are `prompt`.
    ///
    /// - Parameter continuesAnswer: whether the prompt ends within an answer.
    init(
        calls: Calls, reasoning: ReasoningFormat, prompt: [Int32], continuesAnswer: Bool = false, _ tokenizer: Tokenizer
    ) {
        self.calls = calls
        self.reasoning = reasoning
        var marks = reasoning.marks.map { [$0.start, $0.end] } ?? []
        if case .own(let format) = calls { marks += format.marks }
        func token(_ mark: String) -> Int32? {
            let tokens = try? tokenizer.encode(mark, specials: .parsed)
            return tokens?.count == 1 ? tokens?[0] : nil
        }
        for case let token? in marks.map(token) where tokenizer.isControl(token) { shownTokens.insert(token) }
        guard let (start, end) = reasoning.marks else { return }
        // Marks that are tokens are looked for as such: a user's text may spell them.
        let (first, last) = (token(start), token(end))
        let tail = prompt.suffix(16).reversed().drop { id in
            tokenizer.bytes(of: CollectionOfOne(id), skipSpecial: false).allSatisfy { $0 <= UInt8(ascii: " ") }
        }
        if let first {
            beginsInReasoning = tail.first == first
        } else {
            let text = String(decoding: tokenizer.bytes(of: tail.reversed(), skipSpecial: false), as: UTF8.self)
            beginsInReasoning = text.lastIndex { !$0.isWhitespace }.map { text[...$0].hasSuffix(start) } ?? false
        }
        guard let last, tail.first != last else { return }
        if beginsInReasoning {
            reasoningMarks = ReasoningMarks(start: nil, end: last)
        } else if let first, !continuesAnswer {
            reasoningMarks = ReasoningMarks(start: first, end: last)
        }
    }
}
