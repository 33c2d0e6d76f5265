// Every rule of the body's fields, both ways: what is accepted, and what is refused with which message.

import OpenAIFormats
import Testing

@Suite struct BodyFieldTests {
    static let accepted = [
        #""model":"m""#, #""model":null"#, #""max_tokens":1"#, #""max_tokens":2147483647"#,
        #""max_completion_tokens":7"#,
        #""max_tokens":7,"max_completion_tokens":7"#, #""min_tokens":0"#, #""min_tokens":5,"max_tokens":5"#,
        #""temperature":0"#, #""temperature":2"#, #""temperature":0.7"#, #""top_p":1"#, #""top_p":1e-9"#,
        #""top_k":-1"#,
        #""top_k":0"#, #""top_k":40"#, #""seed":-9223372036854775808"#, #""seed":9223372036854775807"#,
        #""stop":"END""#,
        #""stop":[]"#, #""stop":["a","b"]"#, #""stop":null"#, #""stop_token_ids":[0,2147483647]"#,
        #""ignore_eos":true"#,
        #""return_token_ids":true"#, #""n":1"#, #""best_of":1"#, #""stream":false"#, #""stream_options":null"#,
        #""presence_penalty":0"#, #""frequency_penalty":0.0"#, #""logprobs":false"#, #""logprobs":null"#,
        #""top_logprobs":0"#, #""echo":false"#, #""logit_bias":{}"#, #""logit_bias":null"#, #""user":"u-1""#,
        #""metadata":{"a":"b"}"#, #""store":false"#, #""suffix":null"#, #""response_format":{"type":"text"}"#,
        #""repetition_penalty":1"#, #""repetition_penalty":1.0"#, #""min_p":0"#, #""service_tier":"auto""#,
        #""service_tier":"default""#, #""guided_json":null"#, #""bad_words":[]"#, #""skip_special_tokens":true"#,
        #""tools":null"#,
    ]

    /// Work that grows with the square of the fields, or that goes on when nothing more is reported, would not end
    /// here.
    @Test func veryManyUnknownFieldsAreToldLikeAFew() throws {
        let fields = (0..<50_000).map { #""max_tokenz_\#($0)":1"# }.joined(separator: ",")
        #expect(try errors(of: #"{"prompt":"x",\#(fields)}"#).count == 20)
        #expect(try errors(of: #"{"messages":[{"role":"user","content":"x",\#(fields)}]}"#).count == 20)
    }

    @Test(arguments: accepted) func accepts(_ fields: String) throws {
        #expect(try errors(of: #"{"prompt":"x",\#(fields)}"#) == [])
        #expect(try errors(of: #"{"messages":[{"role":"user","content":"x"}],\#(fields)}"#) == [])
    }

    static let refused: [(String, String)] = [
        (#""model":7"#, #"model: 7 is an integer, not a string; give a string"#),
        (#""model":"""#, #"model: "" is empty; name a model, or remove the field"#),
        (#""max_tokens":0"#, "max_tokens: 0 is below 1; use 1 or more, up to 2147483647"),
        (#""max_tokens":2147483648"#, "max_tokens: 2147483648 is above 2147483647; use 1 or more, up to 2147483647"),
        (#""max_tokens":16.0"#, "max_tokens: 16.0 is not written as an integer; write 16"),
        (#""max_tokens":1.5"#, "max_tokens: 1.5 is not written as an integer; use 1 or more, up to 2147483647"),
        (#""max_tokens":"16""#, #"max_tokens: "16" is a string, not an integer; give an integer"#),
        (
            #""max_tokens":7,"max_completion_tokens":8"#,
            "max_completion_tokens: 8 contradicts max_tokens 7; give only one of the two"
        ),
        (#""min_tokens":-1"#, "min_tokens: -1 is below 0; use 0 or more, up to 2147483647"),
        (#""min_tokens":6,"max_tokens":5"#, "min_tokens: 6 is above max_tokens 5; use 0 to 5"),
        (#""temperature":-1"#, "temperature: -1 is below 0; use 0 (greedy) to 2"),
        (#""temperature":2.1"#, "temperature: 2.1 is above 2; use 0 (greedy) to 2"),
        (#""temperature":true"#, "temperature: true is a boolean, not a number; give a number"),
        (#""top_p":0"#, "top_p: 0 is not above 0; use a number above 0, up to 1 (1 keeps every token)"),
        (#""top_p":1.01"#, "top_p: 1.01 is above 1; use a number above 0, up to 1 (1 keeps every token)"),
        (#""top_k":-2"#, "top_k: -2 is below -1; use -1 or 0 (every token), or 1 and more"),
        (
            #""seed":9223372036854775808"#,
            "seed: 9223372036854775808 is above 9223372036854775807; use a 64-bit integer"
        ),
        (#""seed":1.0"#, "seed: 1.0 is not written as an integer; write 1"),
        (#""stop":"""#, #"stop: "" is empty; remove it: every text contains it"#),
        (#""stop":["a",""]"#, #"stop[1]: "" is empty; remove it: every text contains it"#),
        (#""stop":["a",1]"#, "stop[1]: 1 is an integer, not a string; give a string"),
        (
            #""stop":7"#,
            "stop: 7 is an integer, not a string or an array of strings; give a string or an array of strings"
        ),
        (
            #""stop":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"]"#,
            "stop: 17 stop strings are too many; give at most 16"
        ),
        (#""stop_token_ids":[1,-1]"#, "stop_token_ids[1]: -1 is not a token id; use integers from 0 to 2147483647"),
        (
            #""stop_token_ids":5"#,
            "stop_token_ids: 5 is an integer, not an array of token ids; give an array of token ids"
        ),
        (#""ignore_eos":1"#, "ignore_eos: 1 is an integer, not true or false; give true or false"),
        (
            #""return_token_ids":"yes""#,
            #"return_token_ids: "yes" is a string, not true or false; give true or false"#
        ),
        (#""n":2"#, "n: 2 is not supported yet; remove the field"),
        (#""stream":true"#, "stream: true is not supported yet; remove the field"),
        (#""logprobs":true"#, "logprobs: true is not supported yet; remove the field"),
        (#""logprobs":0"#, "logprobs: 0 is not supported yet; remove the field"),
        (#""presence_penalty":0.5"#, "presence_penalty: 0.5 is not supported yet; remove the field"),
        (#""logit_bias":{"50256":-100}"#, "logit_bias: {…} is not supported yet; remove the field"),
        (
            #""response_format":{"type":"json_object"}"#,
            "response_format: {…} is not supported yet; remove the field"
        ),
        (
            #""response_format":{"type":"text","x":1}"#,
            "response_format: {…} is not supported yet; remove the field"
        ),
        (#""guided_regex":"a+""#, #"guided_regex: "a+" is not supported yet; remove the field"#),
        (#""user":5"#, "user: 5 is an integer, not a string; give a string"),
        (#""metadata":"x""#, #"metadata: "x" is a string, not an object; give an object"#),
        (
            #""temprature":1"#,
            "temprature: is not a field of OpenAI's or vLLM's requests; did you mean temperature?"
        ),
        (#""maxTokens":1"#, "maxTokens: is not a field of OpenAI's or vLLM's requests; did you mean max_tokens?"),
        // Ollama's, llama.cpp's, text-generation-inference's and others' names.
        (#""num_predict":1"#, "num_predict: is not a field of OpenAI's or vLLM's requests; did you mean max_tokens?"),
        (#""n_predict":1"#, "n_predict: is not a field of OpenAI's or vLLM's requests; did you mean max_tokens?"),
        (
            #""maxOutputTokens":1"#,
            "maxOutputTokens: is not a field of OpenAI's or vLLM's requests; did you mean max_tokens?"
        ),
        (
            #""max_new_tokens":1"#,
            "max_new_tokens: is not a field of OpenAI's or vLLM's requests; did you mean max_tokens?"
        ),
        (#""stopSequences":[]"#, "stopSequences: is not a field of OpenAI's or vLLM's requests; did you mean stop?"),
        (
            #""repeat_penalty":1.1"#,
            "repeat_penalty: is not a field of OpenAI's or vLLM's requests; "
                + "it is called repetition_penalty here, and not supported yet: remove it"
        ),
        (
            #""options":{"num_predict":1}"#,
            "options: is not a field of OpenAI's or vLLM's requests; put its fields beside the other ones"
        ),
        (
            #""num_ctx":4096"#,
            "num_ctx: is not a field of OpenAI's or vLLM's requests; "
                + "the daemon sets it for all requests: engine.max_model_len"
        ),
        (
            #""system":"x""#,
            "system: is not a field of OpenAI's or vLLM's requests; "
                + #"make it the first message, {"role": "system", "content": …}"#
        ),
        // Invisible characters are shown.
        (
            "\"max_\u{200B}tokens\":1",
            #"max_\u200btokens: is not a field of OpenAI's or vLLM's requests; did you mean max_tokens?"#
        ),
        (#""zzzzzz":null"#, "zzzzzz: is not a field of OpenAI's or vLLM's requests; remove it"),
        (#""seed":1,"seed":1"#, "seed: is given twice; keep one"),
        (#""n":1,"n":1"#, "n: is given twice; keep one"),
    ]

    @Test(arguments: refused) func refuses(_ fields: String, _ message: String) throws {
        #expect(try errors(of: #"{"prompt":"x",\#(fields)}"#) == [message])
        let batchRequest =
            #"{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"x",\#(fields)}}"#
        #expect(try errors(of: batchRequest) == ["body.\(message)"])
    }

    @Test func reportsEveryProblemOfALine() throws {
        let line = #"{"prompt":"","temperature":-1,"top_p":2,"nn":1}"#
        #expect(try errors(of: line).count == 4)
    }

    @Test func readsEveryField() throws {
        let body = #"""
            {"model":"m","prompt":"p","max_tokens":9,"min_tokens":2,"temperature":0.5,"top_p":0.25,"top_k":3,"seed":-4,
             "stop":["x","y"],"stop_token_ids":[5,6],"ignore_eos":true,"return_token_ids":true}
            """#
        let request = try RequestBody.parse(Array(body.utf8), endpoint: .completions)
        #expect(request.prompt == .text("p"))
        #expect(request.model == "m")
        #expect((request.maxTokens, request.minTokens) == (9, 2))
        #expect((request.temperature, request.topP, request.topK) == (0.5, 0.25, 3))
        #expect(request.seed == -4)
        #expect(request.stop == ["x", "y"])
        #expect(request.stopTokenIDs == [5, 6])
        #expect(request.ignoresEOS && request.returnsTokenIDs)
    }

    @Test func leavesOutWhatIsNotGiven() throws {
        let request = try RequestBody.parse(Array(#"{"prompt":[1,2],"seed":null}"#.utf8), endpoint: .completions)
        #expect(request.prompt == .tokens([1, 2]))
        #expect(request.model == nil && request.maxTokens == nil && request.minTokens == nil && request.seed == nil)
        #expect(request.temperature == nil && request.topP == nil && request.topK == nil)
        #expect(request.stop == [] && request.stopTokenIDs == [])
        #expect(!request.ignoresEOS && !request.returnsTokenIDs)
    }

    @Test func throwsEveryProblemOfABody() {
        let error = #expect(throws: InvalidRequest.self) {
            try RequestBody.parse(Array(#"{"n":2,"top_p":0}"#.utf8), endpoint: .chatCompletions)
        }
        #expect(error?.problems.map(\.code) == [.unsupportedField, .invalidValue, .missingField])
        let syntax = #expect(throws: InvalidRequest.self) {
            try RequestBody.parse(Array("{".utf8), endpoint: .completions)
        }
        #expect(syntax?.problems.first?.place == .column(2))
    }
}
