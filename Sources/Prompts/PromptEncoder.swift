// From a prompt to tokens. The check of a file that is enqueued and the run of a stored job both come through here.

import Jinja
public import ModelFiles
public import OpenAIFormats
public import Runtime
public import Tokenizers

/// Makes prompts into tokens of a model.
public struct PromptEncoder: Sendable {
    /// The model's tokenizer.
    public let tokenizer: Tokenizer
    private let template: ChatTemplateState

    package init(tokenizer: Tokenizer, template: ChatTemplateState) {
        self.tokenizer = tokenizer
        self.template = template
    }

    /// The tokenizer and chat template of a model file.
    ///
    /// - Throws: `TokenizerError`.
    public init(_ metadata: GGUFMetadata) throws(TokenizerError) {
        tokenizer = try Tokenizer(metadata)
        template = ChatTemplateState(metadata, tokenizer)
    }

    /// The prompt's tokens, with what the model wants before and after it.
    ///
    /// - Throws: `TokenizerError`, `UnusedTexts` or `ChatTemplateState.NoChatTemplate`: why there are none.
    public func tokens(of prompt: RequestBody.Prompt, enqueued: Milliseconds) throws -> [Int32] {
        switch prompt {
        case .tokens(let tokens): tokens
        case .text(let text): try tokenizer.encode(prompt: text)
        case .chat(let chat): try tokenizer.encode(template.render(chat, enqueued: enqueued).segments)
        }
    }

    /// The same, or nil for a prompt that is certainly shorter than `length` tokens: no token is shorter than a byte, so most
    /// prompts need not be tokenised to know that they fit.
    public func tokens(
        of prompt: RequestBody.Prompt, unlessShorterThan length: Int, enqueued: Milliseconds
    ) throws -> [Int32]? {
        switch prompt {
        case .tokens(let tokens): return tokens
        case .text(let text):
            if tokenizer.mostTokens(ofBytes: text.utf8.count) < length { return nil }
            return try tokenizer.encode(prompt: text)
        case .chat(let chat):
            let rendering = try template.render(chat, enqueued: enqueued)
            let bytes = rendering.utf8Count
            if bytes > 0, tokenizer.mostTokens(ofBytes: bytes) < length { return nil }
            return try tokenizer.encode(rendering.segments)
        }
    }
}
