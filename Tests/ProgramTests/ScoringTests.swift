// Texts that a request gives: how probable they are, and which of them is the answer.

import Foundation
import TestSupport
import Testing

@Suite("Scores")
struct ScoringTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func scores(_ result: ResultLine?) throws -> [[[String: Any]]] {
        try #require(result?.timings?["scores"] as? [[[String: Any]]])
    }

    private static let labels = [" mat", " roof of the house", ".", "zebra", " the"]

    /// A text's logprob is the sum of those that `echo` tells of its tokens behind the prompt.
    @Test(arguments: [Locations.tinyModel, Locations.realModel])
    func scoresAreThoseOfTheWholeText(model: String?) throws {
        guard let model else { return }
        let prompt = "The cat sat on the"
        let scored = try workspace.results([("a", ["prompt": prompt, "score": Self.labels])], model: model)["a"]
        let scores = try #require(try scores(scored).first)
        #expect(scores.compactMap { $0["text"] as? String } == Self.labels)
        let length = try #require(scored?.usage?["prompt_tokens"] as? Int)
        var compared = 0
        for (index, label) in Self.labels.enumerated() {
            let score = scores[index]
            let count = try #require(score["tokens"] as? Int)
            let echoed = try #require(
                try workspace.results(
                    [
                        (
                            "a",
                            [
                                "prompt": prompt + label, "echo": true, "logprobs": 1, "max_tokens": 0,
                                "return_token_ids": true,
                            ]
                        )
                    ], model: model)["a"])
            // Most labels are the same tokens in a text; others are not compared.
            guard echoed.promptTokenIDs?.count == length + count else { continue }
            compared += 1
            let logprobs = try #require(echoed.choice?["logprobs"] as? [String: Any])
            let own = try #require(logprobs["token_logprobs"] as? [Any]).suffix(count).compactMap { $0 as? Double }
            let logprob = try #require(score["logprob"] as? Double)
            #expect(abs(own.reduce(0, +) - logprob) < 1e-5 * Double(count), "\(label)")
            let top = try #require(logprobs["top_logprobs"] as? [Any]).suffix(count).compactMap {
                $0 as? [String: Double]
            }
            let isGreedy = zip(own, top).allSatisfy { own, top in top.values.max() == own }
            #expect(score["greedy"] as? Bool == isGreedy)
        }
        #expect(compared >= 3)
    }

    @Test func labelsHaveProbabilitiesThatMakeOne() throws {
        let body: [String: Any] = [
            "messages": [["role": "user", "content": "the king"]], "classify": ["labels": Self.labels],
        ]
        let result = try workspace.results([("a", body)])["a"]
        let scores = try #require(try scores(result).first)
        let probabilities = scores.compactMap { $0["probability"] as? Double }
        #expect(probabilities.count == 5 && abs(probabilities.reduce(0, +) - 1) < 1e-12)
        let logprobs = scores.compactMap { $0["logprob"] as? Double }
        for (probability, logprob) in zip(probabilities, logprobs) {
            #expect(abs(log(probability / probabilities[0]) - (logprob - logprobs[0])) < 1e-9)
        }
        let best = try #require(logprobs.indices.max { logprobs[$0] < logprobs[$1] })
        #expect(result?.text == Self.labels[best] && result?.finishReason == "stop")
        #expect(result?.usage?["completion_tokens"] as? Int == scores.reduce(0) { $0 + ($1["tokens"] as? Int ?? 0) })
    }

    /// Scores are the same in company, for several prompts, and with so little memory that rows are preempted.
    @Test func scoresAreTheSameInAnyCompany() throws {
        let prompts = ["the king", "the queen of the hill and the king of the hill", "a"]
        func body(_ prompt: Any) -> [String: Any] { ["prompt": prompt, "classify": ["labels": Self.labels]] }
        let alone = try prompts.map { NSArray(array: try scores(workspace.results([("a", body($0))])["a"])) }
        let others: [(String, [String: Any])] = (0..<6).map {
            ("o\($0)", ["prompt": "the king and the queen", "max_tokens": 30, "seed": $0])
        }
        for settings in [
            ["engine.max_num_seqs=1"], ["engine.max_num_seqs=3"], ["engine.max_num_seqs=32"],
            [
                "engine.max_num_seqs=8", "engine.num_blocks_override=9", "engine.block_size=16",
                "engine.max_model_len=100",
            ],
        ] {
            let requests = prompts.enumerated().map { ("p\($0)", body($1)) } + others + [("all", body(prompts))]
            let together = try workspace.results(requests, settings.flatMap { ["--set", $0] })
            for index in prompts.indices {
                #expect(NSArray(array: try scores(together["p\(index)"])) == alone[index], "\(settings)")
            }
            let all = NSArray(array: try scores(together["all"]))
            #expect(all == NSArray(array: alone.reduce([]) { $0 + Array($1) }))
        }
    }

    @Test(arguments: [
        (#""classify":{"labels":["a"]}"#, #"classify.labels: has one label; give two or more"#),
        (#""classify":["a","b"]"#, "classify: […] is an array, not an object"),
        (#""classify":{"labels":["a","a"]}"#, #"classify.labels[1]: "a" is given twice; keep one"#),
        (#""score":[]"#, "score: is empty; give 1 to 128 texts"),
        (#""score":["a",""]"#, #"score[1]: "" is empty; give a text"#),
        (#""score":["a"],"classify":{"labels":["a","b"]}"#, "give one of the two"),
        (
            #""score":["a"],"max_tokens":3"#,
            "max_tokens: 3 has no effect beside score, which generates no text; remove it"
        ),
        (#""score":["a"],"temperature":0"#, "temperature: 0 has no effect beside score"),
    ])
    func whatMakesNoSenseIsRefused(fields: String, message: String) throws {
        let file = try workspace.write("s.jsonl", lines: [#"{"prompt":"a",\#(fields)}"#])
        let outcome = try workspace.run("enqueue", file)
        #expect(outcome.status == 3 && outcome.errors.contains(message), "\(outcome.errors)")
    }

    /// A text that does not fit behind the prompt is found when the file is enqueued.
    @Test func aTextThatDoesNotFitIsRefused() throws {
        let text = String(repeating: "a b ", count: 60)
        let file = try workspace.write("s.jsonl", lines: [#"{"prompt":"a","score":["b","\#(text)"]}"#])
        let outcome = try workspace.run("enqueue", file, "--set", "engine.max_model_len=64")
        #expect(outcome.status == 3 && outcome.errors.contains("s.jsonl:1: score[1]"), "\(outcome.errors)")
    }

    /// A value has the probability of the tokens that were generated for it, whatever stands before them.
    @Test func confidencesAreThoseOfTheGeneratedTokens() throws {
        let form: [String: Any] = [
            "prompt": "[11,22,", "guided_regex": "7[0-9]", "json_confidence": true, "logprobs": 0, "max_tokens": 4,
            "temperature": 0,
        ]
        let results = try workspace.results([("plain", form), ("echoed", form.merging(["echo": true]) { $1 })])
        for (id, result) in results {
            let confidence = try #require((result.timings?["confidence"] as? [[String: Double]])?.first)
            let logprobs = try #require(result.choice?["logprobs"] as? [String: Any])
            let count = try #require(result.usage?["completion_tokens"] as? Int)
            let own = try #require(logprobs["token_logprobs"] as? [Any]).suffix(count).compactMap { $0 as? Double }
            // The token that ends the text, if there is one, is part of no value.
            let texts = try #require(logprobs["tokens"] as? [String]).suffix(count)
            let sum = zip(texts, own).reduce(0) { $0 + ($1.0.allSatisfy(\.isNumber) ? $1.1 : 0) }
            #expect(Set(confidence.keys) == ["$"])
            #expect(abs(log(confidence["$"] ?? 0) - sum) < 1e-5, "\(id): \(confidence), \(own)")
        }
        #expect(results["echoed"]?.text?.hasPrefix("[11,22,7") == true)
    }

    /// Arguments of a call have confidences, though they are no longer part of the text.
    @Test func argumentsOfCallsHaveConfidences() throws {
        let parameters: [String: Any] = ["properties": ["x": ["enum": [1, 2]]], "required": ["x"]]
        let body: [String: Any] = [
            "messages": [["role": "user", "content": "a"]], "json_confidence": true, "max_tokens": 40,
            "chat_template": "{{ tools }}{{ messages[0].content }}",
            "tools": [["type": "function", "function": ["name": "f", "parameters": parameters]]],
        ]
        let named: [String: Any] = ["type": "function", "function": ["name": "f"]]
        let results = try workspace.results([("named", body.merging(["tool_choice": named]) { $1 })])
        let confidence = try #require((results["named"]?.timings?["confidence"] as? [[String: Double]])?.first)
        #expect(Set(confidence.keys) == ["$.x"] && (0...1).contains(confidence["$.x"] ?? -1))
    }

    @Test func whatChangesNothingIsAllowedBesideScores() throws {
        let long = String(repeating: "the king ", count: 100)
        let fields: [String: Any] = ["score": ["a b", " c"], "n": 1, "seed": 77, "truncate_prompt_tokens": -1]
        let result = try workspace.results([("a", fields.merging(["prompt": long]) { $1 })])["a"]
        #expect(result?.timings?["seed"] as? Int == 77)
        #expect(try scores(result).first?.count == 2)
        let chat: [String: Any] = [
            "messages": [["role": "user", "content": "a"]], "score": ["b"], "include_reasoning": true,
        ]
        #expect(try scores(workspace.results([("a", chat)])["a"]).count == 1)
    }

    /// Behind an open mark the texts would be reasoning.
    @Test func textsAreNotScoredAsReasoning() throws {
        let template = #""chat_template":"{{ messages[0].content }}<think>{# </think> #}""#
        let file = try workspace.write(
            "s.jsonl", lines: [#"{"messages":[{"role":"user","content":"a"}],\#(template),"score":["b"]}"#])
        let outcome = try workspace.run("enqueue", file)
        #expect(outcome.status == 3 && outcome.errors.contains("s.jsonl:1: score: the texts would be scored as"))
    }
}
