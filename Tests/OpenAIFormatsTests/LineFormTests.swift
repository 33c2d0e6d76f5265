// The two forms of a line, prompts, messages and tools: what is accepted and what is refused.

import JSONText
import OpenAIFormats
import Testing

@Suite struct LineFormTests {
    private static let completion = #""method":"POST","url":"/v1/completions","body":{"prompt":"x"}"#

    static let refused: [(String, [String])] = [
        (#"42"#, [#"42 is not a JSON object; write an object such as {"prompt": …}"#]),
        (#"{}"#, ["the line asks for nothing; give prompt or messages, or custom_id, method, url and body"]),
        (#"{"promt":"x"}"#, ["the line asks for nothing; did you mean prompt?"]),
        (#"{"inputs":"x","parameters":{}}"#, ["the line asks for nothing; did you mean prompt?"]),
        (#"{"conversations":[]}"#, ["the line asks for nothing; did you mean messages?"]),
        (#"{"prompt":"x","messages":[]}"#, ["messages: stands beside prompt; give only one of the two"]),
        (#"{\#(completion)}"#, ["custom_id: is missing; a batch request has custom_id, method, url and body"]),
        (#"{"custom_id":"",\#(completion)}"#, [#"custom_id: "" is empty; give an id that is unique in the file"#]),
        (#"{"custom_id":5,\#(completion)}"#, ["custom_id: 5 is an integer, not a string; give a string"]),
        (#"{"custom_id":"a","custom_id":"b",\#(completion)}"#, ["custom_id: is given twice; keep one"]),
        (#"{"custom_id":"a","prompt":"x","custom_id":"b"}"#, ["custom_id: is given twice; keep one"]),
        (
            #"{"custom_id":"a","metod":1,\#(completion)}"#,
            ["metod: is not a field of a batch request; did you mean method?"]
        ),
        (
            #"{"custom_id":"a","temperature":1,\#(completion)}"#,
            ["temperature: is not a field of a batch request; move it into body"]
        ),
        (
            #"{"custom_id":"a","method":"GET","url":"/v1/completions","body":{"prompt":"x"}}"#,
            [#"method: "GET" is not the method of a batch request; use "POST""#]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/completion","body":{"prompt":"x"}}"#,
            [#"url: "/v1/completion" is not an endpoint that ttbatch has; did you mean /v1/completions?"#]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"https://x.y/embeddings","body":{"prompt":"x"}}"#,
            [
                #"url: "https://x.y/embeddings" is not an endpoint that ttbatch has; use /v1/completions or /v1/chat/completions"#
            ]
        ),
        // Consequences of a wrong URL are not reported in addition.
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x","dimensions":3}}"#,
            [#"url: "/v1/embeddings" is not an endpoint that ttbatch has; use /v1/completions or /v1/chat/completions"#]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/images/generations","body":{"prompt":"x","size":"1024x1024"}}"#,
            [
                #"url: "/v1/images/generations" is not an endpoint that ttbatch has; use /v1/completions or /v1/chat/completions"#
            ]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/completion","body":{"messages":[{"role":"user","content":"x"}]}}"#,
            [#"url: "/v1/completion" is not an endpoint that ttbatch has; did you mean /v1/completions?"#]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/completion","body":{}}"#,
            [#"url: "/v1/completion" is not an endpoint that ttbatch has; did you mean /v1/completions?"#]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"https://api.openai.com/v1/chat/completions","body":{"messages":[{"role":"user","content":"x"}],"temperature":-1}}"#,
            [
                #"url: "https://api.openai.com/v1/chat/completions" is not an endpoint that ttbatch has; did you mean /v1/chat/completions?"#,
                "body.temperature: -1 is below 0; use 0 (greedy) to 2",
            ]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":7,"body":{"input":"x"}}"#,
            ["url: 7 is an integer, not a string; give a string"]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/completions","body":"x"}"#,
            [#"body: the text is a string, not an object; give an object"#]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/completions","body":{}}"#,
            ["body.prompt: is missing; every /v1/completions request needs it"]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"prompt":"x"}}"#,
            ["body.prompt: belongs to /v1/completions, not to /v1/chat/completions; change the endpoint"]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"tools":[{}],"messages":[],"tool_choice":"none","top_k":-2}}"#,
            [
                "body.top_k: -2 is below -1; use -1 or 0 (every token), or 1 and more",
                "body.messages: belongs to /v1/chat/completions, not to /v1/completions; change the endpoint",
            ]
        ),
        (
            #"{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"tools":[{}],"messages":[],"prompt":"x"}}"#,
            [
                "body.tools: belongs to /v1/chat/completions, not to /v1/completions; remove it, or change the endpoint",
                "body.messages: belongs to /v1/chat/completions, not to /v1/completions; remove it, or change the endpoint",
            ]
        ),
        (
            #"{"prompt":"x","tools":[{}]}"#,
            ["tools: belongs to /v1/chat/completions, not to /v1/completions; remove it, or change the endpoint"]
        ),
        (#"{"prompt":""}"#, [#"prompt: "" is empty; give a text or token ids to continue"#]),
        (#"{"prompt":[]}"#, ["prompt: [] is empty; give a text or token ids to continue"]),
        (#"{"prompt":null}"#, ["prompt: is missing; every /v1/completions request needs it"]),
        (
            #"{"prompt":["a",[1]]}"#,
            ["prompt[1]: […] is an array, not a string like the others; give a string like the others"]
        ),
        (#"{"prompt":["a",""]}"#, [#"prompt[1]: "" is empty; give a text or token ids to continue"#]),
        (#"{"prompt":[[1],[]]}"#, ["prompt[1]: [] is empty; give a text or token ids to continue"]),
        (
            #"{"prompt":[[1],["a"]]}"#,
            ["prompt[1][0]: the text is not a token id; use integers from 0 to 2147483647"]
        ),
        (#"{"prompt":[1,2147483648]}"#, ["prompt[1]: 2147483648 is not a token id; use integers from 0 to 2147483647"]),
        (#"{"prompt":[1,2.0]}"#, ["prompt[1]: 2.0 is not a token id; use integers from 0 to 2147483647"]),
        (
            #"{"prompt":{"a":1}}"#,
            ["prompt: {…} is an object, not a string or an array of token ids; give a string or an array of token ids"]
        ),
    ]

    /// Values are quoted with their invisible characters as escapes.
    @Test func invisibleCharactersOfValuesAreShown() throws {
        let line =
            "{\"custom_id\":\"a\",\"method\":\"POST\u{FEFF}\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\"}}"
        #expect(
            try errors(of: line) == [
                #"method: "POST\ufeff" is not the method of a batch request; use "POST""#
            ])
    }

    @Test(arguments: refused) func refuses(_ line: String, _ messages: [String]) throws {
        #expect(try errors(of: line) == messages)
    }

    private static let user = #"{"role":"user","content":"hi"}"#
    private static let tool = #"{"type":"function","function":{"name":"f","parameters":{"b":1,"a":1.0}}}"#
    private static let call = #"{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}"#

    static let acceptedChats = [
        #"{"messages":[\#(user)]}"#,
        #"{"messages":[{"role":"system","content":""},{"role":"developer","content":"d"},\#(user)]}"#,
        #"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
        #"{"messages":[\#(user),{"role":"assistant","content":null,"tool_calls":[\#(call)]},{"role":"tool","content":"4","tool_call_id":"c"}]}"#,
        #"{"messages":[\#(user),{"role":"assistant","tool_calls":[\#(call)]}]}"#,
        #"{"messages":[{"role":"user","content":"x","name":"bob"}],"tools":[\#(tool)],"tool_choice":"auto"}"#,
        #"{"messages":[\#(user)],"chat_template_kwargs":{"enable_thinking":false}}"#,
        #"{"messages":[{"role":"assistant","content":"x","refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":null}]}"#,
        #"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"messages":[\#(user)],"tools":[]}}"#,
    ]

    @Test(arguments: acceptedChats) func accepts(_ line: String) throws {
        #expect(try errors(of: line) == [])
    }

    static let refusedChats: [(String, String)] = [
        (#"{"messages":[]}"#, "messages: [] is empty; give at least one message"),
        (#"{"messages":"x"}"#, #"messages: the text is a string, not an array of messages; give an array of messages"#),
        (
            #"{"messages":[7]}"#,
            "messages[0]: 7 is an integer, not a message object with role and content; give a message object with role and content"
        ),
        (
            #"{"messages":[{"content":"x"}]}"#,
            "messages[0].role: is missing; use one of system, developer, user, assistant, tool"
        ),
        (
            #"{"messages":[{"role":null,"content":"x"}]}"#,
            "messages[0].role: is missing; use one of system, developer, user, assistant, tool"
        ),
        (
            #"{"messages":[{"role":5,"content":"x"}]}"#,
            "messages[0].role: 5 is an integer, not a string; give a string"
        ),
        (
            #"{"messages":[{"role":"function","content":"x"}]}"#,
            #"messages[0].role: "function" is not a role; use tool"#
        ),
        (#"{"messages":[{"role":"user"}]}"#, "messages[0].content: is missing; give the message's text"),
        (#"{"messages":[{"role":"user","content":null}]}"#, "messages[0].content: is null; give the message's text"),
        (#"{"messages":[{"role":"assistant"}]}"#, "messages[0].content: is missing; give the message's text"),
        (#"{"messages":[{"role":"user","content":[]}]}"#, "messages[0].content: [] is empty; give a text"),
        (
            #"{"messages":[{"role":"user","content":5}]}"#,
            "messages[0].content: 5 is an integer, not a string or an array of text parts; give a string or an array of text parts"
        ),
        (
            #"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
            #"messages[0].content[0].type: parts of type "image_url" are not supported; use parts of type "text" only"#
        ),
        (
            #"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            "messages[0].content[0].text: is missing or no string; give the part's text"
        ),
        (
            #"{"messages":[{"role":"user","content":[{"type":"text","text":"a","type":"text"}]}]}"#,
            #"messages[0].content[0]: the key "type" is given twice; keep one"#
        ),
        (#"{"messages":[{"role":"user","content":"x","role":"user"}]}"#, "messages[0].role: is given twice; keep one"),
        (
            #"{"messages":[{"role":"user","contnt":"x","content":"x"}]}"#,
            "messages[0].contnt: is not a field of a message; did you mean content?"
        ),
        (
            #"{"messages":[{"role":"user","content":"x","audio":{"id":"a"}}]}"#,
            "messages[0].audio: {…} is not supported yet; remove the field"
        ),
        (
            #"{"messages":[{"role":"user","content":"x","tool_calls":[\#(call)]}]}"#,
            "messages[0].tool_calls: only an assistant calls tools; remove it"
        ),
        (
            #"{"messages":[{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"7"}}]}]}"#,
            #"messages[0].tool_calls[0].function.arguments: are no JSON object in a string; write them as "{\"name\": …}""#
        ),
        (
            #"{"messages":[\#(user)],"tools":[{"type":"web_search"}]}"#,
            #"tools[0].type: "web_search" is not supported; use "function""#
        ),
        (
            #"{"messages":[\#(user)],"tools":[{"type":"function","function":{}}]}"#,
            "tools[0].function.name: is missing or no string; name the function"
        ),
        (
            #"{"messages":[\#(user)],"tools":[{"type":"function","function":{"name":"f","x":{"a":1,"a":2}}}]}"#,
            #"tools: the key "a" is given twice; keep one"#
        ),
        (
            #"{"messages":[\#(user)],"tool_choice":"required"}"#,
            "tool_choice: wants a call, and there are no tools; give tools"
        ),
        (
            #"{"messages":[\#(user)],"tools":[\#(tool)],"tool_choice":"any"}"#,
            #"tool_choice: "any" is no choice of tools; use "auto", "none", "required" or {"type": "function", "function": {"name": …}}"#
        ),
        (
            #"{"messages":[\#(user)],"tools":[\#(tool)],"tool_choice":{"type":"function","function":{"name":"gett"}}}"#,
            #"tool_choice.function.name: "gett" is none of the tools; name one of them"#
        ),
        (
            #"{"messages":[\#(user)],"tools":[\#(tool)],"tool_choice":"required","response_format":{"type":"json_object"}}"#,
            "tools: stands beside response_format; give only one form for the text"
        ),
        (
            #"{"messages":[\#(user)],"chat_template_kwargs":[]}"#,
            "chat_template_kwargs: [] is an array, not an object; give an object"
        ),
        (
            #"{"messages":[\#(user)],"chat_template_kwargs":{"x":18446744073709551615}}"#,
            "chat_template_kwargs: 18446744073709551615 does not fit a 64-bit integer; use a smaller number"
        ),
    ]

    @Test(arguments: refusedChats) func refusesChat(_ line: String, _ message: String) throws {
        #expect(try errors(of: line) == [message])
    }

    @Test func keepsOrderAndNumbersForTheTemplate() throws {
        let line =
            #"{"messages":[{"content":"x","role":"user","name":null}],"tools":[\#(Self.tool)],"chat_template_kwargs":{"z":1,"a":1.5}}"#
        let prompt = try #require(try ReadLine(line).request?.prompts[0])
        guard case .chat(let chat) = prompt else {
            Issue.record("not a chat")
            return
        }
        #expect(chat.messages == [["content": "x", "role": "user"]])
        #expect(chat.tools == [["type": "function", "function": ["name": "f", "parameters": ["b": 1, "a": 1.0]]]])
        #expect(chat.templateArguments == ["z": 1, "a": 1.5])
    }

    @Test func shapesMessagesForTemplates() throws {
        let line = #"""
            {"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
            "function":{"name":"f","arguments":"{\"b\": 1, \"a\": [2.0]}"}}]},
            {"role":"assistant","tool_calls":[{"id":"d","type":"function","function":{"name":"g","arguments":""}}]}]}
            """#.replacing("\n", with: "")
        let prompt = try #require(try ReadLine(line).request?.prompts[0])
        guard case .chat(let chat) = prompt else {
            Issue.record("not a chat")
            return
        }
        let calls = [("c", "f", ["b": 1, "a": [2.0]] as JSONValue), ("d", "g", [:])].map { id, name, arguments in
            ["id": .string(id), "type": "function", "function": ["name": .string(name), "arguments": arguments]]
                as JSONValue
        }
        #expect(
            chat.templateMessages() == [
                ["role": "user", "content": "a\nb"],
                ["role": "assistant", "content": "", "tool_calls": [calls[0]]],
                ["role": "assistant", "tool_calls": [calls[1]], "content": ""],
            ])
        let forms = MessageForm.all(callsTools: true)
        let others = forms.map { chat.templateMessages($0)[1] }
        #expect(forms.count == 12 && Set(others).count == 6 && others[0] == chat.templateMessages()[1])
        #expect(others[1]["content"] == .some(.null) && others[2]["content"] == nil)
        #expect(
            others[3]["tool_calls"] == [
                ["id": "c", "type": "function", "function": ["name": "f", "arguments": #"{"b": 1, "a": [2.0]}"#]]
            ])
        // What calls nothing has two forms: its text, and the parts that were given.
        let plain = MessageForm.all(callsTools: false).map { chat.templateMessages($0)[0]["content"] }
        #expect(plain.count == 2 && plain[0] == "a\nb")
        #expect(plain[1] == [["type": "text", "text": "a"], ["type": "text", "text": "b"]])
        #expect(Set(forms.map { chat.templateMessages($0)[0] }).count == 2)
    }

    @Test func nullMeansAbsentInTheShortForm() throws {
        #expect(try errors(of: #"{"prompt":"x","messages":null,"custom_id":null,"tools":[]}"#) == [])
        #expect(try errors(of: #"{"prompt":null,"messages":[\#(Self.user)]}"#) == [])
    }

    @Test func hidesToolsFromTheTemplateWhenNoneIsChosen() throws {
        let line = #"{"messages":[\#(Self.user)],"tools":[\#(Self.tool)],"tool_choice":"none"}"#
        let prompt = try #require(try ReadLine(line).request?.prompts[0])
        guard case .chat(let chat) = prompt else {
            Issue.record("not a chat")
            return
        }
        #expect(chat.tools == nil)
    }

    @Test func storesTheBodyCanonically() throws {
        let text = #" { "custom_id" : "a" , "prompt" : "\u00e9\n\/" , "seed" : 1 , "temperature" : 1.50 } "#
        let short = try ReadLine(text)
        #expect(short.errors.isEmpty && short.body == #"{"prompt":"é\n/","seed":1,"temperature":1.5}"#)
        #expect((short.customID, short.endpoint) == ("a", .completions))
        let batch =
            #"{"body": {"messages": [\#(Self.user)], "model": "m"}, "custom_id": "b", "url": "/v1/chat/completions", "method": "POST"}"#
        let line = try ReadLine(batch)
        #expect(line.errors.isEmpty && line.body == #"{"messages":[\#(Self.user)],"model":"m"}"#)
        #expect((line.customID, line.endpoint, line.request?.model) == ("b", .chatCompletions, "m"))
    }

    @Test func limitsTheLengthOfAnID() throws {
        let longest = String(repeating: "é", count: 512)
        #expect(try errors(of: #"{"custom_id":"\#(longest)","prompt":"x"}"#) == [])
        let message = try #require(errors(of: #"{"custom_id":"\#(longest)é","prompt":"x"}"#).first)
        #expect(message.hasSuffix("has 513 characters; use at most 512"))
    }
}
