// `continue_final_message`, `add_generation_prompt` and the template's own variables: vLLM's rules, and the messages.

import OpenAIFormats
import Testing

@Suite struct PrefillFieldTests {
    private static let user = #"{"role":"user","content":"x"}"#

    private func line(_ fields: String, last: String = user) -> String { #"{"messages":[\#(last)],\#(fields)}"# }

    private func chat(_ fields: String) throws -> RequestBody.Chat {
        let prompt = try #require(try ReadLine(line(fields)).request?.prompts[0])
        guard case .chat(let chat) = prompt else { fatalError("a chat was read as something else") }
        return chat
    }

    @Test(arguments: [
        (#""user":null"#, true, false), (#""add_generation_prompt":null,"continue_final_message":null"#, true, false),
        (#""add_generation_prompt":true,"continue_final_message":false"#, true, false),
        (#""add_generation_prompt":false"#, false, false),
        (#""continue_final_message":true,"add_generation_prompt":false"#, false, true),
    ])
    func aTurnIsBegunUnlessItIsContinued(fields: String, begins: Bool, continues: Bool) throws {
        let chat = try chat(fields)
        #expect(chat.addsGenerationPrompt == begins && chat.continuesFinalMessage == continues)
    }

    @Test func completionsTakeOnlyTheNeutralValues() throws {
        #expect(try errors(of: #"{"prompt":"x","add_generation_prompt":true,"continue_final_message":false}"#) == [])
        for field in [#""add_generation_prompt":false"#, #""continue_final_message":true"#] {
            #expect(
                try errors(of: #"{"prompt":"x",\#(field)}"#).first?.contains("belongs to /v1/chat/completions") == true)
        }
    }

    @Test(arguments: [
        (
            #""continue_final_message":true"#, user,
            "contradicts add_generation_prompt, which is true by default; set add_generation_prompt to false as well"
        ),
        (
            #""continue_final_message":true,"add_generation_prompt":true"#, user,
            "contradicts add_generation_prompt, which is true; set add_generation_prompt to false as well"
        ),
        (
            #""continue_final_message":true,"add_generation_prompt":false"#,
            #"{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":null}}]}"#,
            "messages[0] has no content to continue; give it a text, or remove continue_final_message"
        ),
        (#""continue_final_message":1"#, user, "1 is an integer, not true or false; give true or false"),
    ])
    func whatCannotBeContinuedIsTold(fields: String, last: String, message: String) throws {
        let told = try errors(of: line(fields, last: last))
        #expect(told.count == 1 && told[0] == "continue_final_message: " + message, "\(told)")
    }

    @Test(arguments: ["messages", "tools", "continue_final_message"])
    func theTemplatesVariablesStandInForNoField(name: String) throws {
        let told = try errors(of: line(#""chat_template_kwargs":{"a":1,"\#(name)":[]}"#))
        #expect(
            told == [
                "chat_template_kwargs.\(name): is a field of the request itself; move it out of chat_template_kwargs"
            ])
    }
}
