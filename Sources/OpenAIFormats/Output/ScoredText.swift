// A text that a request wants to have scored, with its probability behind the prompt.

import JSONText

/// How probable a given text is behind a prompt.
public struct ScoredText: Sendable, Hashable {
    /// The text.
    public var text: String
    /// The natural logarithm of its probability: the sum of its tokens' logprobs.
    public var logprob: Double
    /// The number of its tokens.
    public var tokens: Int
    /// Whether each of them is the model's most probable one.
    public var isGreedy: Bool
    /// Its probability if the answer is one of the request's texts; nil if they are no labels.
    public var probability: Double?

    /// A text with its score.
    public init(text: String, logprob: Double, tokens: Int, isGreedy: Bool, probability: Double? = nil) {
        self.text = text
        self.logprob = logprob
        self.tokens = tokens
        self.isGreedy = isGreedy
        self.probability = probability
    }
}

extension [ScoredText] {
    /// The scores as JSON, for results and for the job store.
    package var json: String {
        let values = map { score in
            var members: [JSONValue.Member] = [
                .init("text", .string(score.text)),
                // What is excluded is as improbable as OpenAI's API can say.
                .init("logprob", .double(score.logprob.isFinite ? score.logprob : -9999)),
                .init("tokens", .int(Int64(score.tokens))), .init("greedy", .bool(score.isGreedy)),
            ]
            if let probability = score.probability { members.append(.init("probability", .double(probability))) }
            return JSONValue.object(members)
        }
        return JSONValue.array(values).text
    }
}
