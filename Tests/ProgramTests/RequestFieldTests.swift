// Requests with every field: what the program answers, alone and in any company.

import Foundation
import TestSupport
import Testing

@Suite("Request fields")
struct RequestFieldTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// One prompt for eight texts, which are those of eight requests with seeds that follow each other.
    @Test(arguments: [Locations.tinyModel, Locations.realModel])
    func eightChoicesAreEightRequests(model: String?) throws {
        guard let model else { return }
        let fields: [String: Any] = ["prompt": "Once upon a time, in a far land", "max_tokens": 20, "temperature": 1]
        let file = try workspace.write(
            "n.jsonl",
            lines: [try requestLine("all", fields.merging(["n": 8, "seed": 40, "return_token_ids": true]) { $1 })])
        let outcome = try workspace.run("run", file, model: model)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let all = try #require(try ResultLine.byID(outcome.lines)["all"])
        let texts = try #require(all.body?["choices"] as? [[String: Any]])
        #expect(texts.map { $0["index"] as? Int } == Array(0..<8))
        let metrics = try jsonObject(try workspace.run("status", "--metrics", "--json").output)
        #expect(metrics["prompt_tokens"] as? Int == all.promptTokenIDs?.count)
        let singles = try workspace.results(
            (0..<8).map { ("\($0)", fields.merging(["seed": 40 + $0, "return_token_ids": true]) { $1 }) }, model: model)
        for (index, text) in texts.enumerated() {
            #expect(text["token_ids"] as? [Int] == singles["\(index)"]?.tokenIDs)
        }
        #expect(Set(texts.compactMap { $0["text"] as? String }).count > 1)
    }

    /// As evaluation harnesses score: token lists, and the one token behind them.
    @Test(.enabled(if: Locations.realModel != nil))
    func evaluationHarnessesFindTheGreedyTokens() throws {
        let prompts = [[504, 5102, 282, 4649, 314, 7042], [28, 198, 504, 2300], [1, 2, 3, 4, 5, 6, 7, 8]]
        let result = try #require(
            try workspace.results(
                [("a", ["prompt": prompts, "echo": true, "logprobs": 1, "max_tokens": 1, "temperature": 0])],
                model: Locations.realModel)["a"])
        let choices = try #require(result.body?["choices"] as? [[String: Any]])
        #expect(choices.count == 3)
        for (prompt, choice) in zip(prompts, choices) {
            let logprobs = try #require(choice["logprobs"] as? [String: Any])
            let own = try #require(logprobs["token_logprobs"] as? [Any])
            let top = try #require(logprobs["top_logprobs"] as? [Any])
            let tokens = try #require(logprobs["tokens"] as? [String])
            #expect(own.count == prompt.count + 1 && top.count == own.count && tokens.count == own.count)
            #expect(own[0] is NSNull && top[0] is NSNull)
            // The generated token is the most probable one: the same number stands in both places.
            let last = try #require(top[prompt.count] as? [String: Double])
            #expect(last.count == 1 && last[tokens[prompt.count]] == own[prompt.count] as? Double)
            for place in 1..<prompt.count {
                let best = try #require((top[place] as? [String: Double])?.values.max())
                #expect(try #require(own[place] as? Double) <= best)
            }
        }
    }

    /// `echo` with logprobs and no new token is the perplexity that `bench` measures.
    @Test(.enabled(if: Locations.realModel != nil))
    func echoGivesThePerplexityOfBench() throws {
        let all = try String(
            contentsOf: Locations.repository.appending(path: "etc/bench/perplexity.txt"), encoding: .utf8)
        let text = String(all.prefix(1200))
        let file = try workspace.write("text.txt", text)
        let bench = try jsonObject(
            try workspace.run("bench", "--perplexity", file, "--json", model: Locations.realModel).output)
        let modes = try #require(bench["perplexity"] as? [[String: Any]])
        for mode in modes {
            let name = try #require(mode["optimizations"] as? String)
            let result = try #require(
                try workspace.results(
                    [("a", ["prompt": text, "echo": true, "logprobs": 0, "max_tokens": 0])], model: Locations.realModel,
                    ["--set", "tt.optimizations=\(name)"])["a"])
            let logprobs = try #require(result.choice?["logprobs"] as? [String: Any])
            let values = try #require(logprobs["token_logprobs"] as? [Any]).dropFirst().compactMap { $0 as? Double }
            #expect(mode["tokens"] as? Int == values.count)
            let perplexity = exp(-values.reduce(0, +) / Double(values.count))
            let expected = try #require(mode["perplexity"] as? Double)
            #expect(abs(perplexity / expected - 1) < 1e-5, "\(name): \(perplexity), not \(expected)")
            #expect(result.text == text)
        }
    }

    /// Calls that must be made are made, with arguments that their schemas accept, whatever the model would say.
    @Test(.enabled(if: Locations.realModel != nil))
    func toolsThatMustBeCalledAreCalled() throws {
        let weather: [String: Any] = [
            "type": "object",
            "properties": ["city": ["$ref": "#/$defs/city"], "days": ["type": "integer", "minimum": 1, "maximum": 9]],
            "required": ["city", "days"], "additionalProperties": false,
            "$defs": ["city": ["enum": ["Oslo", "Bergen"]]],
        ]
        let tools: [[String: Any]] = [
            ["type": "function", "function": ["name": "time", "description": "The time."]],
            ["type": "function", "function": ["name": "weather", "parameters": weather]],
        ]
        let template = """
            {% for tool in tools %}{{ tool | tojson }}{% endfor %}{% for message in messages %}<|im_start|>{{ message.role }}
            {{ message.content }}<|im_end|>
            {% endfor %}<|im_start|>assistant
            """
        let body: [String: Any] = [
            "messages": [["role": "user", "content": "Sing a song. No tools!"]], "tools": tools,
            "chat_template": template,
            "max_tokens": 80, "temperature": 1,
        ]
        let named: [String: Any] = ["type": "function", "function": ["name": "weather"]]
        var requests: [(String, [String: Any])] = []
        for seed in 0..<8 {
            requests.append(("required-\(seed)", body.merging(["tool_choice": "required", "seed": seed]) { $1 }))
            requests.append(
                (
                    "single-\(seed)",
                    body.merging(["tool_choice": "required", "parallel_tool_calls": false, "seed": seed]) { $1 }
                ))
            requests.append(("named-\(seed)", body.merging(["tool_choice": named, "seed": seed, "n": 2]) { $1 }))
        }
        requests.append(("cut", body.merging(["tool_choice": "required", "max_tokens": 3]) { $1 }))
        let results = try workspace.results(requests, model: Locations.realModel)
        let schema = SchemaValidator(root: weather)
        var answers = 0
        for (name, result) in results where name != "cut" {
            for choice in try #require(result.body?["choices"] as? [[String: Any]]) {
                let message = try #require(choice["message"] as? [String: Any])
                guard let calls = message["tool_calls"] as? [[String: Any]] else {
                    // A list of calls without end.
                    #expect(choice["finish_reason"] as? String == "length" && message["content"] is String)
                    continue
                }
                answers += 1
                #expect(message["content"] is NSNull && !calls.isEmpty)
                #expect(!name.hasPrefix("single") || calls.count == 1)
                #expect(choice["finish_reason"] as? String == (name.hasPrefix("named") ? "stop" : "tool_calls"))
                for call in calls {
                    let function = try #require(call["function"] as? [String: Any])
                    let arguments = try jsonObject(try #require(function["arguments"] as? String))
                    if function["name"] as? String == "time" {
                        #expect(arguments.isEmpty)
                    } else {
                        #expect(function["name"] as? String == "weather")
                        #expect(schema.complaint(arguments) == nil, "\(arguments)")
                    }
                    #expect((call["id"] as? String)?.count == 9)
                }
            }
        }
        #expect(answers > 24, "\(answers)")
        let cut = try #require(results["cut"])
        #expect(cut.finishReason == "length" && cut.timings?["unread"] as? [String] == ["the calls are cut off"])
        #expect(cut.text?.isEmpty == false)
    }

    /// Calls that would stay text are said when the file is enqueued, and in each result.
    @Test func callsThatCannotBeReadAreSaid() throws {
        let tools = #""tools":[{"type":"function","function":{"name":"f"}}]"#
        let template = #""chat_template":"{{ tools }}{{ messages[0].content }}""#
        let chat = #"{"messages":[{"role":"user","content":"a"}],"max_tokens":2,\#(tools),\#(template)"#
        let file = try workspace.write(
            "t.jsonl", lines: [chat + "}", chat + #","tool_choice":"none"}"#, #"{"prompt":"a","max_tokens":2}"#])
        let outcome = try workspace.run("run", file)
        #expect(outcome.status == 0)
        #expect(
            outcome.errors.contains("t.jsonl: warning: 1 lines offer tools, and how the model writes calls"),
            "\(outcome.errors)")
        #expect(outcome.lines.filter { $0.contains("\"unread\":[\"how the model writes calls") }.count == 1)
    }

    /// What in a tool's parameters cannot be enforced is refused by its path.
    @Test func parametersThatCannotBeEnforcedAreRefused() throws {
        let tool = #"{"type":"function","function":{"name":"f","parameters":{"properties":{"x":{"not":{}}}}}}"#
        let fields = #""messages":[{"role":"user","content":"a"}],"tools":[\#(tool)]"#
        let named = #"{"type":"function","function":{"name":"f"}}"#
        for choice in [#""required""#, named] {
            let file = try workspace.write("t.jsonl", lines: [#"{\#(fields),"tool_choice":\#(choice)}"#])
            let outcome = try workspace.run("enqueue", file)
            #expect(outcome.status == 3)
            #expect(
                outcome.errors.contains("t.jsonl:1: tools[0].function.parameters.properties.x.not"), "\(outcome.errors)"
            )
        }
    }

    /// A tool's parameters have the limit of every schema.
    @Test func parametersThatAreTooLongAreRefused() throws {
        let text = String(repeating: "a", count: 1 << 20)
        let tool = #"{"type":"function","function":{"name":"f","parameters":{"description":"\#(text)"}}}"#
        let fields = #""messages":[{"role":"user","content":"a"}],"tools":[\#(tool)],"tool_choice":"required""#
        let file = try workspace.write("t.jsonl", lines: ["{\(fields)}"])
        let outcome = try workspace.run("enqueue", file)
        #expect(outcome.status == 3)
        #expect(outcome.errors.contains("tools[0].function.parameters: has 10486"), "\(outcome.errors.prefix(400))")
    }

    /// A stream is accepted, because clients ask for it by habit, and told.
    @Test func streamsAreAnsweredAtOnce() throws {
        let file = try workspace.write("s.jsonl", lines: [#"{"prompt":"a","stream":true,"max_tokens":1}"#])
        let outcome = try workspace.run("run", file)
        #expect(outcome.status == 0 && outcome.lines.count == 1)
        #expect(outcome.errors.contains("1 lines ask for stream, which has no effect in a batch"))
    }

    /// Without llguidance's file, structured requests are refused with the remedy, and others run.
    @Test func withoutTheLibraryOnlyStructuredRequestsAreRefused() throws {
        let environment = ["TTBATCH_LLGUIDANCE": workspace.path("none.so")]
        let file = try workspace.write("j.jsonl", lines: [#"{"prompt":"a","guided_regex":"a+"}"#])
        let refused = try workspace.run("enqueue", file, environment: environment)
        #expect(refused.status == 3 && refused.errors.contains("etc/fetch-llguidance"), "\(refused.errors)")
        let plain = try workspace.write("p.jsonl", lines: [#"{"prompt":"a","max_tokens":1}"#])
        #expect(try workspace.run("run", plain, environment: environment).status == 0)
    }

    /// The logits of a prompt are not kept until all are there: 1,800 of 49,152 would be 350 MB.
    @Test(.enabled(if: Locations.realModel != nil))
    func logprobsOfALongPromptNeedLittleMemory() throws {
        let prompt = (0..<1800).map { 100 + $0 % 4000 }
        func peak(_ fields: [String: Any]) throws -> Int {
            let body = fields.merging(["prompt": prompt]) { $1 }
            let file = try workspace.write("\(UUID().uuidString).jsonl", lines: [requestLine("a", body)])
            let program = try workspace.start(
                ["run", file, "--db", workspace.path("\(UUID().uuidString).db")], model: Locations.realModel)
            var peak = 0
            while program.isRunning {
                peak = max(peak, program.peakMemory ?? 0)
                usleep(2000)
            }
            let outcome = try program.waitForEnd()
            #expect(outcome.status == 0, "\(outcome.errors)")
            return peak
        }
        let without = try peak(["max_tokens": 1])
        let with = try peak(["max_tokens": 1, "prompt_logprobs": 1, "echo": true, "logprobs": 1])
        #expect(with - without < 100_000_000, "\(with) bytes, and \(without) without")
    }
}
