// The results of a request, as values for whoever stores or sends them.

package import Prompts
package import Sampling

/// The texts of a request, and how many tokens they took.
package struct FinishedRequest: Sendable, Equatable {
    /// The texts that are returned, in the order of their indices.
    package let choices: [FinishedChoice]
    /// Tokens of all prompts.
    package let promptTokens: Int
    /// Those of them that were cached.
    package let cachedTokens: Int
    /// Generated tokens, also of texts that are not returned.
    package let completionTokens: Int
}

/// A generated text, why it ended, and what was asked for beside it.
package struct FinishedChoice: Sendable, Equatable {
    /// Why a text ended.
    package enum End: Sendable, Equatable {
        /// The model's end-of-generation token.
        case endOfGeneration
        /// One of the request's stop tokens.
        case stopToken(Int32)
        /// One of the request's stop strings.
        case stopString(String)
        /// The text repeats itself.
        case repetition
        /// It calls tools.
        case toolCalls
        /// The maximum length was reached.
        case length
    }

    /// The text, read.
    package let answer: Answer
    /// The probabilities of the values of a JSON text, as a JSON object; nil if they are not wanted or there are none.
    package var confidence: String?
    /// The scores of the request's texts, as JSON; nil if the text was generated.
    package var scores: String?
    /// Why it ended.
    package let end: End
    /// Whether the text is all that its grammar wants; nil if it has none.
    package let isComplete: Bool?
    /// The prompt's token ids, if they are wanted.
    package let promptTokenIDs: [Int32]?
    /// The generated token ids, if they are wanted.
    package let tokenIDs: [Int32]?
    /// The logprobs of its tokens, with `echo` after those of the prompt; nil if they are not wanted.
    package let logprobs: [ScoredPosition]?
    /// The logprobs of the prompt's tokens from the second one on; nil if they are not wanted.
    package let promptLogprobs: [ScoredPosition]?
}

extension FinishedChoice.End {
    /// OpenAI's word for it.
    package var finishReason: String {
        switch self {
        case .length: "length"
        case .toolCalls: "tool_calls"
        case .endOfGeneration, .stopString, .stopToken, .repetition: "stop"
        }
    }

    /// The stop string of the request that ended the text; nil if it ended otherwise.
    package var stopString: String? {
        switch self {
        case .stopString(let string): string
        // As in vLLM, whose `finish_reason` for it is no word of OpenAI's.
        case .repetition: "repetition_detected"
        case .endOfGeneration, .stopToken, .toolCalls, .length: nil
        }
    }

    /// The stop token of the request that ended the text; nil if it ended otherwise.
    package var stopToken: Int32? { if case .stopToken(let token) = self { token } else { nil } }
}
