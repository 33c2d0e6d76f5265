// What a chat's text says: reasoning and calls in the formats of real models, and texts that only look like them.

import Foundation
import ModelFiles
import OpenAIFormats
import TestSupport
import Testing

@testable import Prompts
@testable import Sampling

@Suite struct AnswerTests {
    private static func rules(_ calls: AnswerRules.Calls, _ reasoning: ReasoningFormat = .text) -> AnswerRules {
        var rules = AnswerRules()
        rules.calls = calls
        rules.reasoning = reasoning
        return rules
    }

    private static func call(_ name: String, _ arguments: String) -> ToolCall {
        ToolCall(name: name, arguments: arguments)
    }

    private static let time = call("time", "{}")
    private static let oslo = call("weather", #"{"city":"Oslo","days":[1,2.5,null]}"#)

    @Test(
        arguments: [
            ("qwen2.5", ToolCallFormat.hermes, nil), ("qwen3", .hermes, .think), ("hermes-4-14b", .hermes, .think),
            ("mistral-7b-v0.3", .mistral, nil), ("mistral-small-3.2", .mistral, nil), ("glm-4.6", nil, .think),
            ("qwen3-coder", nil, nil), ("deepseek-r1-distill-qwen", nil, .think), ("smollm2", nil, nil),
            ("phi-4", nil, nil),
        ] as [(String, ToolCallFormat?, ReasoningFormat?)])
    func templatesShowTheFormats(name: String, calls: ToolCallFormat?, reasoning: ReasoningFormat?) throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let path = tests.appending(path: "JinjaTests/golden/templates/\(name).jinja")
        let template = try String(contentsOf: path, encoding: .utf8)
        let formats = AnswerFormats(template: template)
        #expect(formats.toolCalls == calls && formats.reasoning == reasoning)
    }

    @Test(
        arguments: [
            // Hermes: alone, several, text around them, and an end mark that a stop token has replaced.
            (.hermes, #"<tool_call>{"name": "time", "arguments": {}}</tool_call>"#, "", [time]),
            (
                .hermes,
                "Let me see.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\", \"days\": [1, 2.5, null]}}\n</tool_call>\n<tool_call>\n{\"name\": \"time\"}\n</tool_call>",
                "Let me see.", [oslo, time]
            ),
            (.hermes, #"<tool_call>{"name": "time", "parameters": {}}"#, "", [time]),
            (.hermes, #"a<tool_call>{"name":"time","arguments":"{}"}</tool_call>b"#, "ab", [time]),
            (
                .hermes, #"<tool_call>{"name":"say","arguments":{"x":"</b> {"}}</tool_call>"#, "",
                [call("say", #"{"x":"</b> {"}"#)]
            ),
            (.hermes, "no call", "no call", []), (.hermes, "", "", []),
            // Llama 3.
            (.llama3JSON, #"{"name": "time", "parameters": {}}"#, "", [time]),
            (.llama3JSON, #"<|python_tag|>{"name":"time","parameters":{}}"#, "", [time]),
            (
                .llama3JSON,
                #" {"name":"weather","arguments":{"city":"Oslo","days":[1,2.5,null]}}; {"name":"time","parameters":{}} "#,
                "", [oslo, time]
            ),
            (.llama3JSON, #"{"answer": 42}"#, #"{"answer": 42}"#, []), (.llama3JSON, "{not json", "{not json", []),
            (.llama3JSON, #"Use {"name": "time"}"#, #"Use {"name": "time"}"#, []),
            (
                .llama3JSON, "{\"name\":\"time\",\"parameters\":{}}\n{\"name\":\"time\",\"parameters\":{}}", "",
                [time, time]
            ),
            (
                .llama3JSON, #"Here {it} is: {"name":"time","parameters":{}} Do you want {"more": 1}?"#,
                #"Here {it} is:  Do you want {"more": 1}?"#, [time]
            ),
            // Mistral, earlier and later.
            (.mistral, #"[TOOL_CALLS][{"name": "time", "arguments": {}}]"#, "", [time]),
            (
                .mistral, #"Hm.[TOOL_CALLS] [{"name":"time","arguments":{}},{"name":"time","arguments":{}}]"#, "Hm.",
                [time, time]
            ),
            (
                .mistral, #"[TOOL_CALLS]weather[ARGS]{"city":"Oslo","days":[1,2.5,null]}[TOOL_CALLS]time[ARGS]{}"#, "",
                [oslo, time]
            ),
            (.mistral, #"[TOOL_CALLS]time[CALL_ID]abcdefghi[ARGS]{}"#, "", [time]),
            (.mistral, #"[TOOL_CALLS]time{}"#, "", [time]),
            (.mistral, #"a[TOOL_CALLS][{"arguments":{},"name":"time"}] b"#, "a b", [time]),
            (.mistral, #"[TOOL_CALLS]time{} b[TOOL_CALLS]time{}"#, "b", [time, time]),
            // Python.
            (.pythonic, "[time()]", "", [time]),
            (.pythonic, "[weather(city='Oslo', days=[1, 2.5, None]), time()]", "", [oslo, time]),
            (.pythonic, "Sure<|tool_call_start|>[time()]<|tool_call_end|>.", "Sure.", [time]),
            (
                .pythonic, "[a.b(x={'k': (True, -3), \"l\": {}}, y=\"\\u00e9\\'\\n\",)]", "",
                [call("a.b", #"{"x":{"k":[true,-3],"l":{}},"y":"é'\n"}"#)]
            ),
            (.pythonic, "<|tool_call_start|>[ ]<|tool_call_end|>None.", "None.", []),
            (.pythonic, "<|tool_call_start|> [time()]<|tool_call_end|><|tool_call_start|>[time()]", "", [time, time]),
            (
                .pythonic, "[f(x={'b', 'a'}, n=07, s='a\nb\0')]", "",
                [call("f", #"{"x":["b","a"],"n":7,"s":"a\nb\u0000"}"#)]
            ),
            (.pythonic, "[1, 2, 3]", "[1, 2, 3]", []), (.pythonic, "[a, b]", "[a, b]", []),
            (.pythonic, "f(x=1)", "f(x=1)", []),
            (.text, "<tool_call>{}</tool_call>", "<tool_call>{}</tool_call>", []),
        ] as [(ToolCallFormat, String, String, [ToolCall])])
    func callsAreFound(format: ToolCallFormat, text: String, rest: String, calls: [ToolCall]) {
        #expect(Self.rules(.own(format)).read(text, isComplete: nil) == Answer(text: rest, toolCalls: calls))
    }

    @Test(
        arguments: [
            (.hermes, #"<tool_call>{"name": "time", "arguments": {}"#, "no JSON"),
            (.hermes, "<tool_call></tool_call>", "no JSON"),
            (.hermes, "<tool_call>{'name': 'time'}</tool_call>", "no JSON"),
            (.hermes, "<tool_call>[1]</tool_call>", "no JSON object"),
            (
                .hermes, #"<tool_call>{"name":"a","arguments":{}}</tool_call><tool_call>{"name":""}</tool_call>"#,
                "no name"
            ),
            (.hermes, #"<tool_call>{"name":"a","arguments":"x"}</tool_call>"#, "no JSON"),
            (.hermes, #"<tool_call>{"name":"a","arguments":[1]}</tool_call>"#, #"of "a" are no JSON object"#),
            (.hermes, #"<tool_call>{"name":"a","name":"b"}</tool_call>"#, "twice"),
            (.llama3JSON, #"{"name":"a","parameters":{}}{"name":"b","parameters":{x}}"#, "name and parameters"),
            (.llama3JSON, #"{"name":7,"parameters":{}}"#, "no name"),
            (.llama3JSON, #"{"name":"a","parameters":{"#, "name and parameters"),
            (.llama3JSON, "<|python_tag|>print(1)", "no JSON"),
            (.mistral, "[TOOL_CALLS]", "no arguments"), (.mistral, "[TOOL_CALLS][]", "empty"),
            (.mistral, "[TOOL_CALLS] junk", "no arguments"), (.mistral, "[TOOL_CALLS]a[ARGS]{", "no JSON"),
            (.mistral, "[TOOL_CALLS][ARGS]{}", "no name"),
            (.mistral, "[TOOL_CALLS] {}", "no name"),
            (.pythonic, "[f(1)]", "an argument's name"), (.pythonic, "[f(x=g())]", "in place of"),
            (.pythonic, "[f(x=1", "its end"),
            (.pythonic, "[f(x=1, x=2)]", "twice"), (.pythonic, "[f(x={'a':1,'a':2})]", "twice"),
            (.pythonic, "[f(x=1)] x", "the end"),
            (.pythonic, "[f(x='a)]", "the end of a string"), (.pythonic, #"[f(x="\ud800")]"#, "hexadecimal"),
            (.pythonic, "[f(x=1e999)]", "a value"),
            (.pythonic, "[f(x=\(String(repeating: "[", count: 200)))]", "64 levels"),
        ] as [(ToolCallFormat, String, String)])
    func whatCannotBeReadStaysTextAndIsSaid(format: ToolCallFormat, text: String, reason: String) {
        let answer = Self.rules(.own(format)).read(text, isComplete: nil)
        #expect(answer.text == text && answer.toolCalls.isEmpty)
        #expect(answer.unread?.contains(reason) == true, "\(answer.unread ?? "nothing")")
    }

    @Test(
        arguments: [
            (.think, false, "<think>\nHm.\n</think>\n\nYes.", "Yes.", "Hm."), (.think, false, "Yes.", "Yes.", nil),
            // The prompt has the mark already.
            (.think, true, "Hm.\n\nMore.\n</think>\nYes.", "Yes.", "Hm.\n\nMore."), (.think, true, "Hm", "", "Hm"),
            (.think, false, "Hm.</think>Yes.", "Yes.", "Hm."),
            // Cut, and empty.
            (.think, false, "<think>\nHm", "", "Hm"), (.think, false, "<think>\n\n</think>\n\nYes.", "Yes.", nil),
            (.think, false, " \n<think>a</think>b", "b", "a"),
            // Marks within an answer are its own.
            (.think, false, "Write <think>x</think> first.", "Write <think>x</think> first.", nil),
            (.think, false, "<think>a</think>b</think>c", "b</think>c", "a"),
            (.mistral, false, "[THINK]a[/THINK]b", "b", "a"),
            (.seedOSS, false, "<seed:think>a</seed:think>b", "b", "a"),
            (.cohere, true, "a<|END_THINKING|>b", "b", "a"),
            (.text, true, "<think>a</think>b", "<think>a</think>b", nil),
            (.think, false, "<think>a</think>\u{301}b", "\u{301}b", "a"),
        ] as [(ReasoningFormat, Bool, String, String, String?)])
    func reasoningIsApart(format: ReasoningFormat, begins: Bool, text: String, rest: String, reasoning: String?) {
        var rules = Self.rules(.none, format)
        rules.beginsInReasoning = begins
        #expect(rules.read(text, isComplete: nil) == Answer(text: rest, reasoning: reasoning))
        // What a grammar made is none of it.
        #expect(rules.read(text, isComplete: true) == Answer(text: text))
    }

    @Test func callsAfterReasoning() {
        let text = #"<think>time? <tool_call></think><tool_call>{"name":"time"}</tool_call>"#
        #expect(
            Self.rules(.own(.hermes), .think).read(text, isComplete: nil)
                == Answer(text: "", reasoning: "time? <tool_call>", toolCalls: [Self.time]))
    }

    @Test func forcedCalls() {
        #expect(
            Self.rules(.named("weather")).read(Self.oslo.arguments, isComplete: true)
                == Answer(text: "", toolCalls: [Self.oslo]))
        let two = #"[{"name":"time","parameters":{}},{"name":"time","parameters":{}}]"#
        let required = Self.rules(.required)
        #expect(required.read(two, isComplete: true) == Answer(text: "", toolCalls: [Self.time, Self.time]))
        for rules in [required, Self.rules(.named("a"))] {
            #expect(rules.read("[{", isComplete: false) == Answer(text: "[{", unread: "the calls are cut off"))
        }
        #expect(required.endsByCalls(Answer(text: "", toolCalls: [Self.time])))
        #expect(!Self.rules(.named("time")).endsByCalls(Answer(text: "", toolCalls: [Self.time])))
        #expect(!required.endsByCalls(Answer(text: "x")))
    }

    /// The grammar begins behind the reasoning; without marks for it, all is the grammar's.
    @Test func reasoningBeforeAGrammar() {
        var rules = Self.rules(.none, .think)
        let text = "<think>{\n</think>\n\n[1]"
        #expect(rules.read(text, isComplete: true) == Answer(text: text))
        rules.reasoningMarks = ReasoningMarks(start: 60, end: 61)
        #expect(rules.read(text, isComplete: true) == Answer(text: "[1]", reasoning: "{"))
        #expect(rules.read("<think>{", isComplete: false) == Answer(text: "", reasoning: "{"))
        #expect(rules.read(#"["</think>"]"#, isComplete: true) == Answer(text: #"["</think>"]"#))
        rules.beginsInReasoning = true
        rules.reasoningMarks = ReasoningMarks(start: nil, end: 61)
        #expect(rules.read("a</think>[1]", isComplete: true) == Answer(text: "[1]", reasoning: "a"))
        #expect(rules.read("a", isComplete: false) == Answer(text: "", reasoning: "a"))
        rules.calls = .named("time")
        #expect(
            rules.read("a</think>{}", isComplete: true)
                == Answer(text: "", reasoning: "a", toolCalls: [Self.time]))
        rules.includesReasoning = false
        #expect(rules.read("a</think>{}", isComplete: true) == Answer(text: "", toolCalls: [Self.time]))
    }

    @Test func furtherCallsThatAreNotWantedAreLeftOutAndSaid() {
        var rules = Self.rules(.own(.hermes))
        let call = #"<tool_call>{"name":"time"}</tool_call>"#
        rules.allowsParallelCalls = false
        #expect(rules.read(call, isComplete: nil) == Answer(text: "", toolCalls: [Self.time]))
        #expect(
            rules.read(call + call + call, isComplete: nil)
                == Answer(
                    text: "", toolCalls: [Self.time],
                    unread: "parallel_tool_calls is false: 2 further calls were left out"))
    }

    @Test func anUnknownFormatIsSaid() {
        let answer = Self.rules(.unknown, .think).read("<think>a</think><call>f</call>", isComplete: nil)
        #expect(
            answer.text == "<call>f</call>" && answer.reasoning == "a" && answer.unread?.contains("tool_calls") == true)
    }

    /// Pieces of all formats in any order: nothing crashes, and no letter of what is no call gets lost.
    @Test func anyTextIsRead() {
        let pieces = [
            "<tool_call>", "</tool_call>", "<think>", "</think>", "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>", "{", "}",
            "[", "]",
            "(", ")", "\"", "'", "\\", ",", ":", "=", ";", "\"name\"", "\"arguments\"", "f", "1", " ", "\n", "é",
            "\u{301}",
            #"{"name":"f","arguments":{}}"#, "[f(x=1)]", "\\u", "d8", "True", "-", ".",
        ]
        var random = SplitMix64(seed: 26)
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in pieces.randomElement(using: &random)! }
                .joined()
            for format in ToolCallFormat.allCases {
                let answer = Self.rules(.own(format)).read(text, isComplete: nil)
                if answer.toolCalls.isEmpty { #expect(answer.text == text) } else { #expect(answer.unread == nil) }
                for call in answer.toolCalls {
                    let arguments = try? JSONSerialization.jsonObject(with: Data(call.arguments.utf8))
                    #expect(arguments is [String: Any], "\(text)")
                }
            }
            let thought = Self.rules(.none, .think).read(text, isComplete: nil)
            let letters = { (text: String) in text.unicodeScalars.filter { $0 == "f" || $0 == "é" }.count }
            #expect(letters(thought.text) + letters(thought.reasoning ?? "") == letters(text))
        }
    }
}
