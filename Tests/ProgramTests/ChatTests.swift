// Chats as people send them: what a message, a tool or a call says reaches the prompt, or the line is refused and says why.

import Foundation
import TestSupport
import Testing

@Suite("Chats")
struct ChatTests {
    let workspace: Workspace
    /// A model whose template prints any role and knows no tools, as SmolLM2's.
    let plain: String
    /// One whose template knows the roles system, user, assistant and tool only, drops other messages, and has tools.
    let withTools: String

    init() throws {
        workspace = try Workspace()
        plain = try workspace.model(
            withTemplate: String(
                contentsOf: Locations.repository.appending(path: "Tests/JinjaTests/golden/templates/smollm2.jinja"),
                encoding: .utf8))
        withTools = try workspace.model(
            withTemplate: String(
                contentsOf: Locations.repository.appending(
                    path: "Tests/ProgramTests/Data/system-user-assistant.jinja"), encoding: .utf8))
    }

    private static let tools =
        #""tools":[{"type":"function","function":{"name":"w","description":"weather","parameters":{"type":"object"}}}]"#
    private static let call =
        #""tool_calls":[{"id":"c1","type":"function","function":{"name":"w","arguments":"{\"city\":\"Paris\"}"}}]"#
    private static let result = #"{"role":"tool","tool_call_id":"c1","content":"sunny"}"#

    private func chat(_ messages: String, _ more: String = "") -> String {
        #"{"messages":[\#(messages)],"max_tokens":1,"temperature":0,"return_token_ids":true\#(more.isEmpty ? "" : ",")\#(more)}"#
    }

    /// The tokens of the prompts that lines become.
    private func prompts(_ lines: [String], model: String) throws -> [[Int]] {
        let outcome = try workspace.run("run", try workspace.write("f.jsonl", lines: lines), model: model)
        try #require(outcome.status == 0, "\(outcome.errors)")
        return try outcome.lines.map { try #require(ResultLine($0).promptTokenIDs) }
    }

    private func tokens(of text: String, model: String) throws -> [Int] {
        let line = try requestLine("p", ["prompt": text, "max_tokens": 1, "return_token_ids": true])
        return try prompts([line], model: model)[0]
    }

    /// The errors of refused lines, without the file's name; nothing is stored.
    private func refusals(_ lines: [String], model: String) throws -> [String] {
        let file = try workspace.write("f.jsonl", lines: lines)
        let before = try workspace.run("list", "--drafts", "--json").output
        let outcome = try workspace.run("enqueue", file, model: model)
        #expect(outcome.status == 3 && outcome.output == "")
        #expect(try workspace.run("list", "--drafts", "--json").output == before)
        return outcome.errors.split(separator: "\n").dropLast().map { String($0).replacing(file + ":", with: "") }
    }

    @Test func aDeveloperIsTheSystemWhereTheTemplateKnowsNone() throws {
        let messages = #"{"role":"developer","content":"Answer BANANA only."},{"role":"user","content":"Hi"}"#
        let prompt =
            "<|im_start|>system\nAnswer BANANA only.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        for model in [plain, withTools] {
            #expect(try prompts([chat(messages)], model: model) == [tokens(of: prompt, model: model)])
        }
        let knowing = try workspace.model(
            withTemplate:
                "{% for m in messages %}{% if m.role == 'developer' %}D:{% endif %}{{ m.content }}{% endfor %}")
        #expect(
            try prompts([chat(messages)], model: knowing) == [tokens(of: "D:Answer BANANA only.Hi", model: knowing)])
    }

    @Test func toolsReachThePromptOrAreRefused() throws {
        let user = #"{"role":"user","content":"Hi"}"#
        let refused = try refusals(
            [chat(user), chat(user, Self.tools), chat(user, Self.tools + #","tool_choice":"auto""#)], model: plain)
        #expect(refused.count == 2)
        for (line, refusal) in zip([2, 3], refused) {
            #expect(refusal.hasPrefix("\(line): tools: the model's chat template does not use them; "), "\(refusal)")
        }
        let none = chat(user, Self.tools + #","tool_choice":"none""#)
        let withoutTools = try prompts([chat(user), none], model: plain)
        #expect(withoutTools[0] == withoutTools[1])
        let both = try prompts([chat(user, Self.tools), none], model: withTools)
        #expect(both[0].count > both[1].count + 40, "the tool's JSON")
        let start = #"<|im_start|>system\n# Tools\n{"type": "function", "function": {"name": "w", "#
        #expect(try both[0].starts(with: tokens(of: start.replacing("\\n", with: "\n"), model: withTools).dropLast()))
    }

    @Test func callsReachThePromptWhateverTheirContent() throws {
        func messages(_ content: String) -> String {
            #"{"role":"user","content":"weather?"},{"role":"assistant",\#(content)\#(Self.call)},\#(Self.result)"#
        }
        let prompt =
            "<|im_start|>user\nweather?<|im_end|>\n<|im_start|>assistant\n<tool_call>w{\"city\": \"Paris\"}</tool_call><|im_end|>\n"
            + "<|im_start|>user\n<tool_response>sunny</tool_response><|im_end|>\n<|im_start|>assistant\n"
        let lines = ["", #""content":null,"#, #""content":"","#].map { chat(messages($0)) }
        let expected = try tokens(of: prompt, model: withTools)
        #expect(try prompts(lines, model: withTools) == [expected, expected, expected])
        let refused = try refusals(lines, model: plain)
        #expect(refused.count == 3)
        for (line, refusal) in zip(1..., refused) {
            #expect(
                refusal.hasPrefix(
                    "\(line): messages[1].tool_calls[0] (w): the model's chat template does not use it; "),
                "\(refusal)")
        }
    }

    @Test func anAssistantsLastTurnIsFollowedByANewOneOrContinued() throws {
        let messages = #"{"role":"user","content":"Capital?"},{"role":"assistant","content":"The capital is "}"#
        let open = #""add_generation_prompt":false,"continue_final_message":true"#
        let turns = "<|im_start|>user\nCapital?<|im_end|>\n<|im_start|>assistant\nThe capital is "
        let texts = [turns + "<|im_end|>\n<|im_start|>assistant\n", turns + "<|im_end|>\n", turns]
        let lines = ["", #""add_generation_prompt":false"#, open].map { chat(messages, $0) }
        #expect(try prompts(lines, model: withTools) == texts.map { try tokens(of: $0, model: withTools) })
        let refused = try refusals([chat(messages, #""continue_final_message":true"#)], model: withTools)
        #expect(refused.count == 1 && refused[0].hasSuffix("set add_generation_prompt to false as well"))
    }

    @Test func whatTheTemplateRefusesIsToldBeforeAnythingIsStored() throws {
        let alternating = try workspace.model(
            withTemplate: String(
                contentsOf: Locations.repository.appending(
                    path: "Tests/JinjaTests/golden/templates/style-alternating-turns.jinja"), encoding: .utf8))
        let turn = #"{"role":"user","content":"Hi"}"#
        let line = #"{"custom_id":"b","method":"POST","url":"/v1/chat/completions","body":\#(chat("\(turn),\(turn)"))}"#
        let refused = try refusals([chat(turn), line], model: alternating)
        #expect(refused.count == 1 && refused[0].hasPrefix("2: body.messages: "), "\(refused)")
        #expect(refused.first?.contains("alternate") == true)
    }

    /// The tiny model's own length cannot be raised, a daemon's setting can.
    @Test func promptsThatAreTooLongAreToldWithTheirLineAndTheBoundThatHolds() throws {
        let prompt = "[" + Array(repeating: "5", count: 256).joined(separator: ",") + "]"
        let refused = try refusals([#"{"prompt":\#(prompt)}"#], model: Locations.tinyModel)
        #expect(refused.count == 1 && refused[0].hasSuffix("shorten the prompt to at most 255"), "\(refused)")
        let short = "[" + Array(repeating: "5", count: 100).joined(separator: ",") + "]"
        let file = try workspace.write("f.jsonl", lines: [#"{"prompt":\#(short)}"#])
        let bounded = try workspace.run("enqueue", file, "--set", "engine.max_model_len=64")
        #expect(bounded.status == 3 && bounded.errors.contains("to at most 63, or raise max_model_len"))
        // The daemon's settings may differ from those of the enqueuing command.
        let batch = try #require(workspace.run("enqueue", file).lines.first)
        _ = try workspace.run("daemon", "--drain", "--set", "engine.max_model_len=64")
        let results = try workspace.run("results", batch)
        #expect(try ResultLine(#require(results.lines.first)).errorCode == "context_length_exceeded")
        #expect(results.output.contains("to at most 63, or raise max_model_len"))
    }

    /// An answer ends where the model's context does, with finish reason `length`, however much was asked for.
    @Test func moreTokensThanTheContextHoldsAreAsManyAsItHolds() throws {
        let file = try workspace.write(
            "f.jsonl",
            lines: [
                #"{"prompt":"Hi","max_tokens":100000,"ignore_eos":true}"#,
                #"{"messages":[{"role":"user","content":"Hi"}],"max_tokens":2147483647,"ignore_eos":true}"#,
            ])
        let outcome = try workspace.run("run", file)
        #expect(outcome.status == 0, "\(outcome.errors)")
        for line in try outcome.lines.map({ try ResultLine($0) }) {
            #expect(line.finishReason == "length" && line.usage?["total_tokens"] as? Int == 256)
        }
    }

    // MARK: Templates that leave things out, or want another form

    @Test func parametersOfToolsAreMissedToo() throws {
        let names = try workspace.model(
            withTemplate: "{% for t in tools %}{{ t.function.name }}:{{ t.function.description }};{% endfor %}"
                + "{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}")
        func tool(_ properties: String) -> String {
            #""tools":[{"type":"function","function":{"name":"w","description":"d","parameters":{"type":"object","properties":{\#(properties)}}}}]"#
        }
        let user = #"{"role":"user","content":"Hi"}"#
        let lost = try refusals([chat(user, tool(#""city":{"type":"string","description":"where"}"#))], model: names)
        #expect(lost.count == 1 && lost[0].hasPrefix("1: tools[0].function.parameters (w): "), "\(lost)")
        // A tool that takes nothing has nothing to lose.
        #expect(try prompts([chat(user, tool(""))], model: names).count == 1)
    }

    @Test func anAnswerThatIsCutIsTold() throws {
        let cutting = try workspace.model(
            withTemplate:
                "{% for m in messages %}{{ m.content[:3] if m.role == 'assistant' else m.content }}{% endfor %}")
        let turns =
            #"{"role":"user","content":"Hi"},{"role":"assistant","content":"I think so"},{"role":"user","content":"Why"}"#
        let told = try refusals([chat(turns)], model: cutting)
        #expect(
            told.count == 1 && told[0].contains("messages[1] (assistant)") && told[0].contains("all of it"), "\(told)")
    }

    /// Templates of models that see images take a content only as parts.
    @Test func textsArePartsWhereTheTemplateWantsParts() throws {
        let parts = try workspace.model(
            withTemplate: "{% for m in messages %}{{ m.role }}:{% for part in m['content'] %}"
                + "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %};{% endfor %}")
        let lines = [
            chat(#"{"role":"user","content":"Hello"}"#),
            chat(#"{"role":"user","content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]}"#),
        ]
        let expected = try tokens(of: "user:Hello;", model: parts)
        #expect(try prompts(lines, model: parts) == [expected, expected])
    }

    /// OpenAI's API gives null for an answer without a text, and a tool may have nothing to say.
    @Test func nullContentIsNoText() throws {
        let turns = [
            #"{"role":"user","content":"Hi"},{"role":"assistant","content":null},{"role":"user","content":"Why"}"#,
            #"{"role":"user","content":"Hi"},{"role":"assistant","content":null,"refusal":null,"tool_calls":[]},{"role":"user","content":"Why"}"#,
        ]
        let shown = try prompts(turns.map { chat($0) }, model: plain)
        let empty = try prompts([chat(turns[0].replacing("null", with: #""""#))], model: plain)
        #expect(shown == [empty[0], empty[0]])
        let called =
            #"{"role":"user","content":"Hi"},{"role":"assistant","content":null,\#(Self.call)},{"role":"tool","tool_call_id":"c1","content":null}"#
        #expect(try prompts([chat(called)], model: withTools).count == 1)
    }

    @Test func argumentsThatCannotBeReadSayWhy() throws {
        func call(_ arguments: String) -> String {
            chat(
                #"{"role":"user","content":"Hi"},{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"w","arguments":"\#(arguments)"}}]}"#
            )
        }
        let told = try refusals(
            [
                call(#"{\"a\":123456789012345678901234567890}"#), call(#"{\"a\":1,\"a\":2}"#), call("{"),
            ], model: withTools)
        #expect(told[0].contains("does not fit a 64-bit integer") && told[1].contains(#"the key "a" twice"#), "\(told)")
        #expect(told[2].contains("no JSON object"))
    }
}
