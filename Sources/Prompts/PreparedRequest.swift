// A request that is ready for an engine: its tokens, and how to handle the generated ones.

import ModelFiles
public import OpenAIFormats
public import Sampling

/// A request after the chat template and the tokenizer.
///
/// It has one sequence for each text that is to be generated: for each prompt, one after the other, as many as
/// `candidates`.
public struct PreparedRequest: Sendable {
    /// The prompts, each with all its tokens, including template text and special tokens; at least one.
    public let prompts: [[Int32]]
    /// How tokens are chosen and when the engine stops; the seed is that of the first sequence of a prompt.
    public let sampling: SamplingParams
    /// Texts to generate for each prompt.
    public let candidates: Int
    /// Texts to return for each prompt: the most probable ones if they are fewer than `candidates`.
    public let choices: Int
    /// The tokens of the texts that are scored, one for each candidate; nil if texts are generated.
    public let forced: [[Int32]]?
    /// What the result contains.
    public let output: OutputRules
    /// The field of the request that contains the prompt.
    public let promptField: String

    /// The number of sequences.
    public var sequenceCount: Int { prompts.count * candidates }
    /// Most tokens that all sequences together generate.
    public var maxTokens: Int {
        forced.map { prompts.count * $0.reduce(0) { $0 + $1.count } } ?? sequenceCount * sampling.maxTokens
    }

    /// Makes a request from tokens.
    public init(
        prompts: [[Int32]], sampling: SamplingParams, candidates: Int = 1, choices: Int = 1,
        forced: [[Int32]]? = nil, output: OutputRules = OutputRules(), promptField: String = "prompt"
    ) {
        self.prompts = prompts
        self.sampling = sampling
        self.candidates = candidates
        self.choices = choices
        self.forced = forced
        self.output = output
        self.promptField = promptField
    }

    /// The seed of the first sequence of each prompt, as a request would give it.
    public var seed: Int64 { Int64(bitPattern: sampling.token.seed) }

    /// The parameters of the sequences of each prompt. The first one tells the logprobs of the prompt for all of them.
    public var samplingOfCandidates: [SamplingParams] {
        (0..<candidates).map { candidate in
            var sampling = sampling
            sampling.token.seed &+= UInt64(candidate)
            if candidate > 0 { sampling.promptLogprobs = nil }
            if let forced {
                sampling.forced = forced[candidate]
                sampling.maxTokens = forced[candidate].count
            }
            return sampling
        }
    }
}

/// What the result of a request contains, and how its text ends.
public struct OutputRules: Sendable {
    /// Strings that end a text.
    public var stopStrings: [String] = []
    /// Whether what ended the text is part of it.
    public var includesStop = false
    /// Whether control tokens are left out of the text.
    public var skipsSpecialTokens = true
    /// Whether the result contains the token ids.
    public var returnsTokenIDs = false
    /// The number of most probable tokens at each generated token; nil for no logprobs.
    public var topLogprobs: Int?
    /// The number of most probable tokens at each token of the prompt; nil for no logprobs.
    public var topPromptLogprobs: Int?
    /// Whether logprobs name tokens by their ids.
    public var namesTokensByID = false
    /// How the answer to a chat is read; nil for a text that is no answer.
    package var answer: AnswerRules?
    /// Whether the probability of each value of a JSON text is wanted.
    public var wantsConfidence = false
    /// The texts that are scored; nil if texts are generated.
    public var scoring: RequestBody.Scoring?
    /// The texts of the prompts, with which the results begin; nil if they do not.
    public var echoes: [String]?

    /// The usual rules: the text without control tokens, and nothing beside it.
    public init() {}
}

/// A request that no engine of the model can run.
public struct UnfitRequest: Error, Equatable, CustomStringConvertible {
    /// Why, and what to do about it.
    public let description: String
    /// The field of the body at fault; nil if it is not a field.
    public let param: String?
}

extension OutputRules {
    /// Whether an answer is nothing but its text, so that parts of it can be told as it grows.
    package var isPlain: Bool {
        guard scoring == nil, echoes == nil, topLogprobs == nil, topPromptLogprobs == nil, !returnsTokenIDs else {
            return false
        }
        guard let answer else { return true }
        return answer.calls == .none && answer.reasoning == .text
    }
}
