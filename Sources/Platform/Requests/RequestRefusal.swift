// Why a request cannot be run, found before it is queued.

/// Why the engine refuses a request.
public enum RequestRefusal: Error, Equatable, CustomStringConvertible {
    /// The prompt has no tokens.
    case emptyPrompt
    /// The prompt leaves no room for a generated token within the model's length.
    case promptTooLong(tokens: Int, maxModelLen: Int, canRaise: Bool)
    /// The prompt leaves no room for a generated token in the whole KV cache, which is smaller than the model's length.
    case promptExceedsKVCache(tokens: Int, cacheTokens: Int)
    /// `prompt[index]` is not a token of the model.
    case promptTokenOutsideVocabulary(token: Int32, index: Int, vocabularySize: Int)
    /// The platform cannot apply one of the request's parameters.
    case parameter(RequestError)

    /// The machine-readable error code, the same as in OpenAI's API if there is one.
    public var code: String {
        switch self {
        case .emptyPrompt: "empty_prompt"
        case .promptTooLong, .promptExceedsKVCache: "context_length_exceeded"
        case .promptTokenOutsideVocabulary: "token_out_of_range"
        case .parameter: "invalid_value"
        }
    }

    /// The request's field that is wrong; nil for the field that the prompt comes from.
    public var field: String? {
        switch self {
        case .emptyPrompt, .promptTooLong, .promptExceedsKVCache, .promptTokenOutsideVocabulary: nil
        case .parameter(let error): error.field
        }
    }

    /// What is wrong and the remedy, in one line.
    public var description: String {
        switch self {
        case .emptyPrompt:
            "the prompt has no tokens; give it at least one"
        case .promptTooLong(let tokens, let maxModelLen, let canRaise):
            "the prompt has \(tokens) tokens, but prompt and answer together may have \(maxModelLen): "
                + "shorten the prompt to at most \(maxModelLen - 1)" + (canRaise ? ", or raise max_model_len" : "")
        case .promptExceedsKVCache(let tokens, let cacheTokens):
            "the prompt has \(tokens) tokens, but the whole KV cache holds \(cacheTokens): "
                + "shorten the prompt to at most \(cacheTokens - 1), or give the KV cache more blocks"
        case .promptTokenOutsideVocabulary(let token, let index, let size):
            "token \(token) at index \(index) of the prompt is not one of the model's \(size) tokens: "
                + "use ids from 0 to \(size - 1)"
        case .parameter(let error):
            error.description
        }
    }
}

/// The limits of a model's prompts that are the same on every device.
public struct PromptBounds: Sendable {
    /// Longest sequence, prompt and generated tokens together.
    public var maxModelLen: Int
    /// Whether `max_model_len` could be set higher.
    public var canRaiseMaxModelLen: Bool
    /// Tokens of the model's vocabulary.
    public var vocabularySize: Int

    /// Bounds of prompts for a model that runs sequences of up to `maxModelLen` tokens.
    public init(maxModelLen: Int, canRaiseMaxModelLen: Bool, vocabularySize: Int) {
        self.maxModelLen = maxModelLen
        self.canRaiseMaxModelLen = canRaiseMaxModelLen
        self.vocabularySize = vocabularySize
    }

    /// Throws if a prompt cannot be run.
    ///
    /// - Parameter wantsTokens: whether tokens are to follow.
    public func admit(_ prompt: [Int32], wantsTokens: Bool = true) throws(RequestRefusal) {
        if prompt.isEmpty { throw .emptyPrompt }
        if prompt.count + (wantsTokens ? 1 : 0) > maxModelLen {
            throw .promptTooLong(tokens: prompt.count, maxModelLen: maxModelLen, canRaise: canRaiseMaxModelLen)
        }
        let vocabulary = 0..<Int32(vocabularySize)
        if let index = prompt.firstIndex(where: { !vocabulary.contains($0) }) {
            throw .promptTokenOutsideVocabulary(token: prompt[index], index: index, vocabularySize: vocabularySize)
        }
    }
}
