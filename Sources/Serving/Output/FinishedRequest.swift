// The results of a request, as values for whoever stores or sends them.

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
        /// The maximum length was reached.
        case length
    }

    /// The text.
    package let text: String
    /// Why it ended.
    package let end: End
    /// The prompt's token ids, if they are wanted.
    package let promptTokenIDs: [Int32]?
    /// The generated token ids, if they are wanted.
    package let tokenIDs: [Int32]?
    /// The logprobs of its tokens, with `echo` after those of the prompt; nil if they are not wanted.
    package let logprobs: [PositionText]?
    /// The logprobs of the prompt's tokens from the second one on; nil if they are not wanted.
    package let promptLogprobs: [PositionText]?
}

/// The logprobs of one position of a text.
package struct PositionText: Sendable, Equatable {
    /// The token that the text has there.
    package let own: TokenText
    /// The most probable tokens, the most probable first.
    package let top: [TokenText]
    /// Tokens that were asked for by their ids.
    package let requested: [TokenText]
    /// The number of tokens that are at least as probable as the own one.
    package let rank: Int32?
}

/// A token with its logprob.
package struct TokenText: Sendable, Equatable {
    /// Its id.
    package let id: Int32
    /// Its bytes, which need not be whole characters, or its name if tokens are named by their ids.
    package let bytes: [UInt8]
    /// Its logprob; nil for the first token of a prompt.
    package let logprob: Float?
}
