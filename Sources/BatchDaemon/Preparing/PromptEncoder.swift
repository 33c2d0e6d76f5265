// From a prompt to tokens. The check of a file that is handed in and the run of a stored job both come through here.

import Jinja
import JobStore
import ModelFiles
import PromptFiles
import Tokenizer

/// Makes prompts into tokens of a model.
struct PromptEncoder: Sendable {
    let tokenizer: Tokenizer
    let template: ChatTemplateState

    init(tokenizer: Tokenizer, template: ChatTemplateState) {
        self.tokenizer = tokenizer
        self.template = template
    }

    /// The tokenizer and chat template of a model file.
    ///
    /// - Throws: `TokenizerError`.
    init(_ metadata: GGUFMetadata) throws(TokenizerError) {
        tokenizer = try Tokenizer(metadata)
        template = ChatTemplateState(metadata, tokenizer)
    }

    /// The prompt's tokens, with what the model wants before and after it.
    ///
    /// - Throws: `TokenizerError`, `UnusedTexts` or `ChatTemplateState.NoChatTemplate`: why there are none.
    func tokens(of prompt: RequestBody.Prompt, enqueued: Milliseconds) throws -> [Int32] {
        switch prompt {
        case .tokens(let tokens): tokens
        case .text(let text): try tokenizer.encode(prompt: text)
        case .chat(let chat): try tokenizer.encode(template.render(chat, enqueued: enqueued).segments)
        }
    }
}
