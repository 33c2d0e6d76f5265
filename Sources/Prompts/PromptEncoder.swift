// Converts a prompt to tokens, both for the check of an enqueued file and for the run of a stored job.

import Jinja
public import ModelFiles
package import OpenAIFormats
package import Runtime
import Synchronization
public import Tokenizers

/// Converts prompts to tokens of a model.
public struct PromptEncoder: Sendable {
    /// The model's tokenizer.
    public let tokenizer: Tokenizer
    private let template: ChatTemplateState
    private let options: ModelOptions
    private let requestTemplates = RequestTemplates()
    let structuredOutput: StructuredOutput

    package init(tokenizer: Tokenizer, template: ChatTemplateState, options: ModelOptions = ModelOptions()) {
        self.options = options
        self.tokenizer = tokenizer
        self.template = template
        structuredOutput = StructuredOutput(tokenizer)
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
        let tokenizer = try Tokenizer(files, preTokenizer: options.preTokenizer)
        self.init(
            tokenizer: tokenizer, template: ChatTemplateState(files, templatePath: options.templatePath, tokenizer),
            options: options)
    }

    /// What is wrong with the form that a request wants for its text.
    package func structureProblems(of body: RequestBody) -> [StructureProblem] {
        body.structure.map { structuredOutput.problems(of: $0) } ?? []
    }

    /// Why chats cannot be converted, though there is a chat template; `nil` if they can.
    package var chatRefusal: String? {
        if case .unusable(let reason) = template, !reason.isMissing { reason.description } else { nil }
    }

    /// The text of the chat template; `nil` if there is none that can be used.
    package var chatTemplateText: String? {
        if case .usable(let template) = template { template.text } else { nil }
    }

    /// The size of the chat template in bytes; `nil` if there is none that can be used.
    package var chatTemplateBytes: Int? {
        if case .usable(let template) = template { template.byteCount } else { nil }
    }

    /// The tokens of a prompt, including those that the model needs before and after it.
    ///
    /// - Throws: `TokenizerError`, `UnusedTexts` or `ChatTemplateState.NoChatTemplate`.
    package func tokens(
        of prompt: RequestBody.Prompt, _ handling: PromptHandling, maxModelLen: Int, enqueued: Milliseconds
    ) throws -> [Int32] {
        let tokens =
            switch prompt {
            case .tokens(let tokens): tokens
            case .text(let text): try encode(text, handling)
            case .chat(let chat): try encode(render(chat, enqueued: enqueued).segments, handling)
            }
        guard let truncation = handling.truncation else { return tokens }
        return cut(tokens, truncation, most: maxModelLen - handling.room)
    }

    /// The same, or nil if the prompt is certainly shorter than `maxModelLen` tokens. A token has at least one byte, so
    /// most prompts need no tokenising to know that they fit.
    package func tokensUnlessShort(
        of prompt: RequestBody.Prompt, _ handling: PromptHandling, maxModelLen: Int, enqueued: Milliseconds
    ) throws -> [Int32]? {
        switch prompt {
        case .text(let text) where tokenizer.mostTokens(ofBytes: text.utf8.count) < maxModelLen: return nil
        case .chat(let chat):
            let rendering = try render(chat, enqueued: enqueued)
            let bytes = rendering.utf8Count
            if bytes > 0, tokenizer.mostTokens(ofBytes: bytes) < maxModelLen { return nil }
            let tokens = try encode(rendering.segments, handling)
            return handling.truncation.map { cut(tokens, $0, most: maxModelLen - handling.room) } ?? tokens
        case .text, .tokens: return try tokens(of: prompt, handling, maxModelLen: maxModelLen, enqueued: enqueued)
        }
    }

    /// The sequences of tokens that spell `words`, at the beginning of a text and after a space, as vLLM finds them.
    ///
    /// - Throws: `TooManyBadWords`, `TokenizerError`.
    package func badWords(_ words: [String]) throws -> [[Int32]] {
        var sequences: [[Int32]] = []
        for word in words {
            let bare = String(word.drop(while: \.isWhitespace))
            let alone = try tokenizer.encode(bare, specials: .text)
            let spaced = try tokenizer.encode(" " + bare, specials: .text)
            if !alone.isEmpty { sequences.append(alone) }
            if spaced.count == alone.count, spaced.first != alone.first { sequences.append(spaced) }
        }
        guard sequences.count <= TooManyBadWords.most else { throw TooManyBadWords(count: sequences.count) }
        return sequences
    }

    /// The tokens of the texts that a request scores, as the model would write them behind the prompts.
    ///
    /// - Throws: `UnfitRequest`, `TokenizerError`.
    package func scoredTokens(
        _ scoring: RequestBody.Scoring, of body: RequestBody, behind prompts: [[Int32]], maxModelLen: Int
    ) throws -> [[Int32]] {
        let field = scoring.classifies ? "classify.labels" : "score"
        if case .chat(let chat) = body.prompts[0],
            try answerRules(chat, of: body, prompt: prompts[0]).beginsInReasoning
        {
            throw UnfitRequest(
                description: "the texts would be scored as reasoning, which the prompt has begun: turn it off in "
                    + "chat_template_kwargs, or let the last message end it",
                param: scoring.classifies ? "classify" : "score")
        }
        let longest = prompts.map(\.count).max() ?? 0
        return try scoring.texts.enumerated().map { index, text in
            let tokens = try tokens(behindText: text)
            guard !tokens.isEmpty else {
                throw UnfitRequest(
                    description: "the text has no tokens: give another one", param: "\(field)[\(index)]")
            }
            guard longest + tokens.count <= maxModelLen else {
                throw UnfitRequest(
                    description: "its \(tokens.count) tokens do not fit behind the prompt's \(longest) into the "
                        + "\(maxModelLen) of the model's context: shorten it, or the prompt",
                    param: "\(field)[\(index)]")
            }
            return tokens
        }
    }

    /// The tokens of a text that stands behind another one. Many tokenizers write a space before a text's first word.
    private func tokens(behindText text: String) throws -> [Int32] {
        for before in ["\n", "a"] {
            let alone = try tokenizer.encode(before, specials: .text)
            let both = try tokenizer.encode(before + text, specials: .text)
            if !alone.isEmpty, both.starts(with: alone) { return Array(both.dropFirst(alone.count)) }
        }
        return try tokenizer.encode(text, specials: .text)
    }

    /// The most tokens that a text has which a request scores.
    private func mostScoredTokens(of body: RequestBody) throws -> Int {
        try body.scoring?.texts.map { try tokens(behindText: $0).count }.max() ?? 1
    }

    /// What happens to a request's prompts beside their texts.
    package func handling(of body: RequestBody) throws -> PromptHandling {
        var handling = PromptHandling(addsSpecialTokens: body.addsSpecialTokens, truncation: body.truncation)
        if handling.truncation != nil { handling.room = try mostScoredTokens(of: body) }
        return handling
    }

    /// How the answer to a chat is read whose tokens are `prompt`.
    ///
    /// - Throws: `TokenizerError.invalidChatTemplate`.
    func answerRules(_ chat: RequestBody.Chat, of body: RequestBody, prompt: [Int32]) throws -> AnswerRules {
        let shown = try template(of: chat).answerFormats(withTools: chat.tools != nil)
        var rules = AnswerRules(
            calls: AnswerRules.Calls(body.toolChoice, chat, options.toolCalls ?? shown?.toolCalls),
            reasoning: options.reasoning ?? shown?.reasoning ?? .text, prompt: prompt,
            continuesAnswer: chat.continuesFinalMessage, tokenizer)
        rules.allowsParallelCalls = body.allowsParallelCalls
        rules.includesReasoning = body.includesReasoning
        return rules
    }

    /// Whether a chat offers tools to a model of which is not known how it writes calls.
    package func cannotReadCalls(of body: RequestBody) -> Bool {
        guard case .chat(let chat) = body.prompts[0], chat.tools != nil, body.toolChoice == .auto,
            options.toolCalls == nil
        else { return false }
        return (try? template(of: chat).answerFormats(withTools: true)?.toolCalls) == nil
    }

    /// The template that a chat brings, or the model's.
    private func template(of chat: RequestBody.Chat) throws -> ChatTemplateState {
        try chat.template.map { try requestTemplates.template($0, tokenizer) } ?? template
    }

    private func render(_ chat: RequestBody.Chat, enqueued: Milliseconds) throws -> Rendering {
        try template(of: chat).render(chat, enqueued: enqueued)
    }

    private func encode(_ text: String, _ handling: PromptHandling) throws -> [Int32] {
        if handling.addsSpecialTokens ?? true { return try tokenizer.encode(prompt: text) }
        return try tokenizer.encode(text, specials: .parsed)
    }

    private func encode(_ segments: [Segment], _ handling: PromptHandling) throws -> [Int32] {
        let tokens = try tokenizer.encode(segments)
        return handling.addsSpecialTokens ?? false ? tokenizer.framed(tokens) : tokens
    }

    /// Cuts off what is too much, but not the tokens that begin and end every prompt.
    private func cut(_ tokens: [Int32], _ truncation: RequestBody.Truncation, most fitting: Int) -> [Int32] {
        let most = truncation.most ?? max(1, fitting)
        guard tokens.count > most else { return tokens }
        let (prefix, suffix) = tokenizer.frame(of: tokens)
        guard prefix.count + suffix.count < most else { return Array(tokens.suffix(most)) }
        let content = tokens.dropFirst(prefix.count).dropLast(suffix.count)
        let kept = most - prefix.count - suffix.count
        return prefix + (truncation.cutsEnd ? content.prefix(kept) : content.suffix(kept)) + suffix
    }
}

/// The templates that requests bring, parsed. All lines of a file mostly bring the same one.
private final class RequestTemplates: Sendable {
    private let parsed = Mutex<[String: ChatTemplate]>([:])
    private static let most = 16

    /// - Throws: `TokenizerError.invalidChatTemplate`.
    func template(_ text: String, _ tokenizer: Tokenizer) throws -> ChatTemplateState {
        if let known = parsed.withLock({ $0[text] }) { return .usable(known) }
        let template = try ChatTemplate(text: text, tokenizer: tokenizer)
        parsed.withLock { parsed in
            if parsed.count >= Self.most { parsed.removeAll() }
            parsed[text] = template
        }
        return .usable(template)
    }
}

/// What happens to a prompt beside its text.
package struct PromptHandling: Sendable {
    /// `RequestBody.addsSpecialTokens`.
    package var addsSpecialTokens: Bool?
    /// `RequestBody.truncation`.
    package var truncation: RequestBody.Truncation?
    /// The tokens that a prompt leaves free if as much of it is kept as fits.
    package var room = 1
}

/// Bad words that are too many sequences of tokens.
package struct TooManyBadWords: Error, CustomStringConvertible {
    let count: Int
    static let most = 128

    package var description: String {
        "they are \(count) sequences of tokens, since a word counts with and without a space before it: "
            + "give words for at most \(Self.most)"
    }
}
