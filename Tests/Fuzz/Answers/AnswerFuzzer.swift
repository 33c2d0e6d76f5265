// Fuzzes the reading of calls of tools and of reasoning in generated texts.

import Fuzzing
import ModelFiles
import Prompts

@main
enum AnswerFuzzer: Fuzzer {
    private static let rules: [AnswerRules] =
        ToolCallFormat.allCases.map { format in
            var rules = AnswerRules()
            rules.calls = .own(format)
            rules.reasoning = .think
            return rules
        }

    static func seeds() -> [String: [UInt8]] {
        [
            "hermes": #"<think>\na</think><tool_call>{"name":"f","arguments":{"a":[1,"b"]}}</tool_call>"#,
            "llama": #"<|python_tag|>{"name":"f","parameters":{}}; {"name":"g","parameters":{"x":null}}"#,
            "mistral": #"[TOOL_CALLS][{"name":"f","arguments":{}}]"#, "args": "[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]g{}",
            "python": #"[f(a=1, b='x\\n', c=[True, None], d={"k": -2.5e3}), g.h()]"#,
            "marks": "<|tool_call_start|>[f()]<|tool_call_end|>",
        ].mapValues { Array($0.utf8) }
    }

    static func test(_ input: UnsafeRawBufferPointer) {
        let text = String(decoding: input, as: UTF8.self)
        for rules in rules {
            let answer = rules.read(text, isComplete: nil)
            precondition(answer.unread == nil || answer.toolCalls.isEmpty)
        }
    }
}
