// Converts a prompt to tokens, both for the check of an enqueued file and for the run of a stored job.

import Jinja
public import ModelFiles
public import OpenAIFormats
public import Runtime
public import Tokenizers

/// Converts prompts to tokens of a model.
public struct PromptEncoder: Sendable {
    /// The model's tokenizer.
    public let tokenizer: Tokenizer
    private let template: ChatTemplateState

    package init(tokenizer: Tokenizer, template: ChatTemplateState) {
        self.tokenizer = tokenizer
        self.template = template
    }

    /// Makes an encoder with the tokenizer and chat template of a model.
    ///
    /// - Throws: `ModelFileError`, `TokenizerError`.
    public init(_ model: ModelBundle) throws {
        try self.init(model.tokenizerFiles(), model.options)
    }

    /// Makes an encoder of a model's files, with its settings.
    ///
    /// - Throws: `TokenizerError`.
    package init(_ files: TokenizerFiles, _ options: ModelOptions) throws(TokenizerError) {
        tokenizer = try Tokenizer(files, preTokenizer: options.preTokenizer)
        template = ChatTemplateState(files, templatePath: options.templatePath, tokenizer)
    }

    /// Why chats cannot be converted, though there is a chat template; `nil` if they can.
    package var chatRefusal: String? {
        if case .unusable(let reason) = template, !reason.isMissing { reason.description } else { nil }
    }

    /// The size of the chat template in bytes; `nil` if there is none that can be used.
    package var chatTemplateBytes: Int? {
        if case .usable(let template) = template { template.byteCount } else { nil }
    }

    /// The tokens of a prompt, including those that the model needs before and after it.
    ///
    /// - Throws: `TokenizerError`, `UnusedTexts` or `ChatTemplateState.NoChatTemplate`.
    public func tokens(of prompt: RequestBody.Prompt, enqueued: Milliseconds) throws -> [Int32] {
        switch prompt {
        case .tokens(let tokens): tokens
        case .text(let text): try tokenizer.encode(prompt: text)
        case .chat(let chat): try tokenizer.encode(template.render(chat, enqueued: enqueued).segments)
        }
    }

    /// The same, or nil if the prompt is certainly shorter than `length` tokens. A token has at least one byte, so most
    /// prompts need no tokenising to know that they fit.
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
