// A request of every kind, each with a seed: what the tests mix that compare rows alone and in company.

import Foundation
import TestSupport
import Testing

/// A request that differs from the others in what it asks for.
struct RequestKind {
    let name: String
    /// The body of a completion.
    let body: [String: Any]
    /// Whether it asks for the logprobs of its prompt, which not all devices tell.
    var scoresPrompt = false

    /// A text is generated, with a seed at temperature 1 unless `fields` say otherwise.
    private init(_ name: String, _ fields: [String: Any], index: Int, scoresPrompt: Bool) {
        var body: [String: Any] = ["prompt": Self.prompt(index)]
        // Texts that the request gives are not sampled.
        if fields["score"] == nil, fields["classify"] == nil {
            body.merge(["max_tokens": 24, "temperature": 1, "seed": index]) { $1 }
        }
        self.name = name
        self.body = body.merging(fields) { $1 }
        self.scoresPrompt = scoresPrompt
    }

    /// Prompts of several lengths that begin alike.
    private static func prompt(_ index: Int) -> String {
        "the king and the queen \(String(repeating: "of the hill ", count: index % 5))"
    }

    static var all: [RequestKind] {
        let scoring: Set = ["echo", "score"]
        return kinds.enumerated().map { index, kind in
            RequestKind(kind.0, kind.1, index: index, scoresPrompt: scoring.contains(kind.0))
        }
    }

    private static var kinds: [(String, [String: Any])] {
        let labels = [" mat", " roof of the house", ".", "zebra", " the"]
        return [
            ("plain", [:]), ("greedy", ["temperature": 0]), ("filters", ["top_k": 9, "top_p": 0.8, "min_p": 0.01]),
            // What devices can draw themselves.
            ("nucleus", ["top_k": 20, "top_p": 0.9]), ("best token", ["top_k": 1]),
            ("typical", ["typical_p": 0.7]), ("hot", ["temperature": 2, "top_p": 0.97]),
            ("penalties", ["presence_penalty": 1.5, "frequency_penalty": 0.5, "repetition_penalty": 1.3]),
            ("rewards", ["presence_penalty": -1, "frequency_penalty": -0.5, "repetition_penalty": 0.9]),
            ("bias", ["logit_bias": ["70": 4.5, "71": -100], "temperature": 0]),
            ("allowed", ["allowed_token_ids": Array(60...90)]), ("bad", ["bad_words": ["a", "th", "e"]]),
            ("logprobs", ["logprobs": 5]),
            ("ids", ["logprobs": 1, "logprob_token_ids": [5, 70], "return_tokens_as_token_ids": true]),
            ("echo", ["logprobs": 2, "echo": true]), ("score", ["prompt_logprobs": 3, "max_tokens": 0]),
            ("choices", ["n": 3]), ("best", ["n": 2, "best_of": 5, "logprobs": 0]),
            ("json", ["response_format": ["type": "json_object"], "temperature": 1]),
            ("choice", ["structured_outputs": ["choice": ["one", "two", "three"]]]),
            ("regex", ["structured_outputs": ["regex": "[a-f]{3,9}"], "frequency_penalty": 2, "logprobs": 1]),
            ("min", ["min_tokens": 9, "stop_token_ids": Array(60...80)]),
            ("stop", ["stop": ["a", "e"], "include_stop_str_in_output": true]),
            ("special", ["skip_special_tokens": false, "ignore_eos": true]),
            ("repeats", ["repetition_detection": ["max_pattern_size": 3, "min_count": 2], "temperature": 0]),
            ("cut", ["truncate_prompt_tokens": 4, "return_token_ids": true]),
            ("texts", ["score": labels]), ("labels", ["classify": ["labels": labels]]),
        ]
    }

    /// Rows without a seed. Their texts are compared with nothing: they are company for the others.
    static var unseeded: [RequestKind] {
        (0..<4).map { index in
            RequestKind("unseeded \(index)", ["top_k": 20, "seed": -1], index: index, scoresPrompt: false)
        }
    }

    var line: String { get throws { try requestLine(name, body) } }
}

extension ResultLine {
    /// All that a request was told of its texts.
    var answer: [String: Any] {
        get throws {
            let more = timings?.filter { ["structured", "scores", "unread"].contains($0.key) }
            return ["choices": try #require(body?["choices"], "\(json)"), "more": more ?? [:]]
        }
    }
}

/// Whether two JSON values are the same; numbers may differ by `tolerance`, in relation to the larger one where that is above 1.
func isSame(_ left: Any?, _ right: Any?, tolerance: Double) -> Bool {
    switch (left, right) {
    case (let left as [String: Any], let right as [String: Any]):
        return left.count == right.count && left.allSatisfy { isSame($0.value, right[$0.key], tolerance: tolerance) }
    case (let left as [Any], let right as [Any]):
        return left.count == right.count && zip(left, right).allSatisfy { isSame($0, $1, tolerance: tolerance) }
    case (let left as NSNumber, let right as NSNumber):
        let (left, right) = (left.doubleValue, right.doubleValue)
        return left == right || abs(left - right) <= tolerance * max(1, abs(left), abs(right))
    case (let left as NSObject, let right as NSObject): return left == right
    default: return false
    }
}
