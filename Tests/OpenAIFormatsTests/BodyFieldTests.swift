// Every rule of the body's fields, both ways: what is accepted, and what is refused with which message.

import OpenAIFormats
import Testing

@testable import Sampling

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
        #""tools":null"#, #""min_p":1"#, #""typical_p":0.5"#, #""presence_penalty":-2"#, #""frequency_penalty":2"#,
        #""repetition_penalty":1e-6"#, #""logit_bias":{"0":-100,"7":100.0}"#, #""allowed_token_ids":[1,2]"#,
        #""bad_words":["a"," b"]"#, #""n":128"#, #""n":2,"temperature":0.1"#, #""prompt_logprobs":20"#,
        #""return_tokens_as_token_ids":true"#, #""include_stop_str_in_output":true"#, #""skip_special_tokens":false"#,
        #""spaces_between_special_tokens":false"#, #""add_special_tokens":false"#, #""truncate_prompt_tokens":-1"#,
        #""truncate_prompt_tokens":5,"truncation_side":"right""#, #""stream":true"#,
        #""stream":true,"stream_options":{"include_usage":true}"#, #""seed":-1"#,
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
        (
            #""max_tokens":0"#,
            "max_tokens: 0 asks for nothing; use 1 or more, or ask for the prompt with echo or prompt_logprobs"
        ),
        (#""max_tokens":-1"#, "max_tokens: -1 is below 0; use 1 or more, up to 2147483647"),
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
        (#""n":0"#, "n: 0 is below 1; use 1 to 128"),
        (#""n":129"#, "n: 129 is above 128; use 1 to 128"),
        (#""n":3,"best_of":2"#, "best_of: 2 is below n 3; use n or more, or remove it"),
        (
            #""n":2,"temperature":0"#,
            "n: asks for several texts, and without randomness they are all the same; use 1, or a temperature above 0"
        ),
        (
            #""best_of":2,"top_k":1"#,
            "best_of: asks for several texts, and without randomness they are all the same; "
                + "use 1, or a temperature above 0 and another top_k"
        ),
        (#""stream":1"#, "stream: 1 is an integer, not true or false; give true or false"),
        (#""stream_options":1"#, "stream_options: 1 is an integer, not an object; give an object"),
        (
            #""logprobs":true"#,
            "logprobs: true is a boolean, not a number of tokens, 0 to 20; give a number of tokens, 0 to 20"
        ),
        (#""logprobs":21"#, "logprobs: 21 is above 20; use 0 to 20"),
        (#""logprobs":-1"#, "logprobs: -1 is below 0; use 0 to 20"),
        (#""prompt_logprobs":-1"#, "prompt_logprobs: -1 is below 0; use 0 to 20"),
        (#""logprob_token_ids":[1]"#, "logprob_token_ids: needs logprobs; set logprobs to 0 or more"),
        (
            #""logprobs":1,"logprob_token_ids":[-1]"#,
            "logprob_token_ids[0]: -1 is not a token id; use integers from 0 to 2147483647"
        ),
        (
            #""top_logprobs":3"#,
            "top_logprobs: belongs to /v1/chat/completions, not to /v1/completions; remove it, or change the endpoint"
        ),
        (#""presence_penalty":2.5"#, "presence_penalty: 2.5 is above 2; use -2 to 2 (0 is none)"),
        (#""frequency_penalty":-3"#, "frequency_penalty: -3 is below -2; use -2 to 2 (0 is none)"),
        (#""repetition_penalty":0"#, "repetition_penalty: 0 is not above 0; use a number above 0 (1 is none)"),
        (
            #""repetition_penalty":2000000"#,
            "repetition_penalty: 2000000 is above 1000000; use a number above 0 (1 is none)"
        ),
        (#""min_p":-0.1"#, "min_p: -0.1 is below 0; use 0 (every token) to 1"),
        (#""min_p":1.1"#, "min_p: 1.1 is above 1; use 0 (every token) to 1"),
        (#""typical_p":0"#, "typical_p: 0 is not above 0; use a number above 0, up to 1 (1 keeps every token)"),
        (#""logit_bias":{"50256":-101}"#, "logit_bias.50256: -101 is below -100; use -100 to 100"),
        (#""logit_bias":{"50256":"1"}"#, #"logit_bias.50256: "1" is a string, not a number; give a number"#),
        (#""logit_bias":{"50256":null}"#, "logit_bias.50256: null is null, not a number; give a number"),
        (#""logit_bias":{"a":1}"#, "logit_bias.a: is not a token id; use ids from 0 to 2147483647"),
        (#""logit_bias":{"-1":1}"#, "logit_bias.-1: is not a token id; use ids from 0 to 2147483647"),
        (#""logit_bias":{"1":1,"1":2}"#, "logit_bias.1: is given twice; keep one"),
        (
            #""logit_bias":[1]"#,
            #"logit_bias: […] is an array, not an object such as {"123": -5}; give an object such as {"123": -5}"#
        ),
        (#""allowed_token_ids":[]"#, "allowed_token_ids: [] allows no token; name at least one, or remove it"),
        (#""bad_words":["a",""]"#, #"bad_words[1]: "" is no word; remove it"#),
        (#""bad_words":["  "]"#, #"bad_words[0]: "  " is no word; remove it"#),
        (#""bad_words":"a""#, #"bad_words: "a" is a string, not an array of strings; give an array of strings"#),
        (#""bad_words":[null]"#, "bad_words[0]: null is null, not a string; give a string"),
        (
            #""truncate_prompt_tokens":0"#,
            "truncate_prompt_tokens: 0 keeps nothing; use -1 (as many as fit), or the number of tokens to keep"
        ),
        (
            #""repetition_detection":{"min_count":1,"max_pattern_size":4}"#,
            "repetition_detection.min_count: 1 is below 2; use 2 to 1000"
        ),
        (
            #""repetition_detection":{"min_count":2}"#,
            "repetition_detection.max_pattern_size: is missing; give max_pattern_size and min_count"
        ),
        (
            #""repetition_detection":{"min_count":2,"max_pattern_size":4,"min_pattern_size":5}"#,
            "repetition_detection.min_pattern_size: 5 is above max_pattern_size 4; use 1 to 4"
        ),
        (#""truncation_side":"middle""#, #"truncation_side: "middle" is no side; use "left" or "right""#),
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
                + "did you mean repetition_penalty?"
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
             "stop":["x","y"],"stop_token_ids":[5,6],"ignore_eos":true,"return_token_ids":true,"min_p":0.125,
             "typical_p":0.75,"presence_penalty":1,"frequency_penalty":-1,"repetition_penalty":1.5,
             "logit_bias":{"7":-2.5},"allowed_token_ids":[7,8],"bad_words":["w"],"n":2,"best_of":3,"logprobs":4,
             "logprob_token_ids":[9],"prompt_logprobs":5,"return_tokens_as_token_ids":true,"echo":true,
             "include_stop_str_in_output":true,"skip_special_tokens":false,"add_special_tokens":false,
             "truncate_prompt_tokens":6,"truncation_side":"right","stream":true,
             "repetition_detection":{"max_pattern_size":8,"min_pattern_size":0,"min_count":3}}
            """#
        let request = try RequestBody.parse(Array(body.utf8), endpoint: .completions)
        #expect(request.prompts[0] == .text("p"))
        #expect(request.model == "m")
        #expect((request.maxTokens, request.minTokens) == (9, 2))
        #expect((request.temperature, request.topP, request.topK) == (0.5, 0.25, 3))
        #expect(request.seed == -4)
        #expect(request.stop == ["x", "y"])
        #expect(request.stopTokenIDs == [5, 6])
        #expect(request.ignoresEOS && request.returnsTokenIDs)
        #expect((request.minP, request.typicalP) == (0.125, 0.75))
        #expect((request.shaping.presencePenalty, request.shaping.frequencyPenalty) == (1, -1))
        #expect(request.shaping.repetitionPenalty == 1.5 && request.shaping.logitBias == [7: -2.5])
        #expect(request.shaping.allowedTokenIDs == [7, 8] && request.shaping.badWords == ["w"])
        #expect((request.choices, request.bestOf) == (2, 3))
        #expect(request.logprobs?.top == 4 && request.logprobs?.tokens == [9] && request.promptLogprobs == 5)
        #expect(request.namesTokensByID && request.echoes && request.includesStop && !request.skipsSpecialTokens)
        #expect(request.addsSpecialTokens == false && request.asksForStream)
        #expect(request.repetition?.lengths == 1...8 && request.repetition?.count == 3)
        #expect(request.truncation?.most == 6 && request.truncation?.cutsEnd == true)
    }

    @Test func readsSeveralPrompts() throws {
        let texts = try RequestBody.parse(Array(#"{"prompt":["a","b"]}"#.utf8), endpoint: .completions)
        #expect(texts.prompts == [.text("a"), .text("b")])
        let tokens = try RequestBody.parse(Array(#"{"prompt":[[1,2],[3]]}"#.utf8), endpoint: .completions)
        #expect(tokens.prompts == [.tokens([1, 2]), .tokens([3])])
        let many = try RequestBody.parse(
            Array(#"{"prompt":[\#(Array(repeating: #""a""#, count: 2048).joined(separator: ","))]}"#.utf8),
            endpoint: .completions)
        #expect(many.prompts.count == 2048)
    }

    @Test func requestsHaveABound() {
        func list(_ element: String, _ count: Int) -> String {
            Array(repeating: element, count: count).joined(separator: ",")
        }
        func problem(_ body: String, _ endpoint: Endpoint) -> String? {
            do throws(InvalidRequest) { _ = try RequestBody.parse(Array(body.utf8), endpoint: endpoint) } catch {
                return "\(error)"
            }
            return nil
        }
        let prompts = list(#""a""#, 2048)
        #expect(problem(#"{"prompt":[\#(prompts)],"n":4}"#, .completions) == nil)
        #expect(problem(#"{"prompt":[\#(prompts)],"n":5}"#, .completions)?.contains("n: asks for 10240 texts") == true)
        #expect(problem(#"{"prompt":[\#(prompts)],"best_of":5}"#, .completions)?.contains("best_of: asks") == true)
        let (message, part) = (#"{"role":"user","content":"a"}"#, #"{"type":"text","text":"a"}"#)
        for (count, fits) in [(10_000, true), (10_001, false)] {
            let messages = problem(#"{"messages":[\#(list(message, count))]}"#, .chatCompletions)
            let parts = problem(
                #"{"messages":[{"role":"user","content":[\#(list(part, count))]}]}"#, .chatCompletions)
            #expect((messages == nil) == fits && (parts == nil) == fits)
            if fits { continue }
            #expect(messages?.contains("messages: has 10001 messages") == true, "\(messages ?? "")")
            #expect(parts?.contains("messages[0].content: has 10001 parts") == true, "\(parts ?? "")")
        }
    }

    /// A chat has its own form of logprobs.
    @Test(
        arguments: [
            (#""logprobs":true"#, 0, ""), (#""logprobs":true,"top_logprobs":3"#, 3, ""),
            (#""logprobs":false"#, nil, ""),
            (#""logprobs":true,"top_logprobs":21"#, nil, "body.top_logprobs: 21 is above 20; use 0 to 20"),
            (#""top_logprobs":3"#, nil, "body.top_logprobs: 3 needs logprobs; set logprobs to true as well"),
            (#""logprobs":5"#, nil, "body.logprobs: 5 is a number; give true, and the number as top_logprobs"),
            (
                #""echo":true"#, nil,
                "body.echo: belongs to /v1/completions, not to /v1/chat/completions; remove it, or change the endpoint"
            ), (#""max_tokens":0"#, nil, "body.max_tokens: 0 is below 1; use 1 or more, up to 2147483647"),
        ] as [(String, Int?, String)])
    func readsLogprobsOfChats(fields: String, top: Int?, message: String) {
        let body = #"{"messages":[{"role":"user","content":"x"}],\#(fields)}"#
        do {
            let request = try RequestBody.parse(Array(body.utf8), endpoint: .chatCompletions)
            #expect(request.logprobs?.top == top && message.isEmpty)
        } catch {
            #expect("\(error)" == message)
        }
    }

    @Test func leavesOutWhatIsNotGiven() throws {
        let request = try RequestBody.parse(Array(#"{"prompt":[1,2],"seed":null}"#.utf8), endpoint: .completions)
        #expect(request.prompts[0] == .tokens([1, 2]))
        #expect(request.model == nil && request.maxTokens == nil && request.minTokens == nil && request.seed == nil)
        #expect(request.temperature == nil && request.topP == nil && request.topK == nil)
        #expect(request.stop == [] && request.stopTokenIDs == [])
        #expect(!request.ignoresEOS && !request.returnsTokenIDs)
    }

    @Test func throwsEveryProblemOfABody() {
        let error = #expect(throws: InvalidRequest.self) {
            try RequestBody.parse(Array(#"{"suffix":"a","top_p":0}"#.utf8), endpoint: .chatCompletions)
        }
        #expect(error?.problems.map(\.code) == [.unsupportedField, .invalidValue, .missingField])
        let syntax = #expect(throws: InvalidRequest.self) {
            try RequestBody.parse(Array("{".utf8), endpoint: .completions)
        }
        #expect(syntax?.problems.first?.place == .column(2))
    }
}
