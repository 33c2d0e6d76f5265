// Renders chats with a model's template. A chat of which the template loses a text is rejected.

import JSONText
package import Jinja
package import ModelFiles
package import OpenAIFormats
package import Runtime
package import Tokenizers

/// A model's chat template, or why the model has no usable one. The latter matters only if a job is a chat.
package enum ChatTemplateState: Sendable {
    case usable(ChatTemplate)
    case unusable(NoChatTemplate)

    /// The error for a chat if the model has no usable template.
    package struct NoChatTemplate: Error, CustomStringConvertible {
        package let description: String
        /// Whether the model has none at all.
        let isMissing: Bool
    }

    /// The template at `templatePath`, or the model's own.
    package init(_ files: TokenizerFiles, templatePath: String? = nil, _ tokenizer: Tokenizer) {
        do {
            self = .usable(
                try templatePath.map { try ChatTemplate(path: $0, tokenizer: tokenizer) }
                    ?? ChatTemplate(files, tokenizer: tokenizer))
        } catch {
            var isMissing = false
            if case TokenizerError.missingChatTemplate = error { isMissing = true }
            self = .unusable(NoChatTemplate(description: "\(error)", isMissing: isMissing))
        }
    }

    /// How answers are written, as the template shows it; nil if there is none.
    func answerFormats(withTools: Bool) -> AnswerFormats? {
        if case .usable(let template) = self { template.answerFormats(withTools: withTools) } else { nil }
    }

    /// Renders a conversation. Templates that print the date get the time of the enqueue, so that a retry has the same
    /// prompt.
    ///
    /// Messages are rendered in the standard form. If the template fails on that or leaves something out, all other
    /// equivalent forms are tried.
    ///
    /// - Throws: `NoChatTemplate`; for the standard form, `UnusedTexts` or `TokenizerError.conversation`.
    package func render(_ chat: RequestBody.Chat, enqueued: Milliseconds) throws -> Rendering {
        switch self {
        case .unusable(let reason): throw reason
        case .usable(let template):
            do {
                return try template.render(chat, .standard, enqueued: enqueued)
            } catch {
                // A template without support for parts would print them as JSON.
                let takesParts = template.knowsContentParts(withTools: chat.tools != nil)
                for form in MessageForm.all(callsTools: chat.callsTools).dropFirst()
                where takesParts || !form.hasContentParts {
                    if let rendering = try? template.render(chat, form, enqueued: enqueued) { return rendering }
                }
                throw error
            }
        }
    }
}

extension ChatTemplate {
    fileprivate func render(
        _ chat: RequestBody.Chat, _ form: MessageForm, enqueued: Milliseconds
    ) throws -> Rendering {
        // OpenAI's newer name of the system role, which few templates know.
        let knowsDeveloper = knowsRole("developer", withTools: chat.tools != nil)
        let marked = MarkedChat(chat, form, roles: knowsDeveloper ? [:] : ["developer": "system"])
        var arguments: [(String, JinjaValue)] = []
        if case .object(let members)? = chat.templateArguments {
            arguments = members.map { ($0.key, JinjaValue($0.value)) }
        }
        let unread = arguments.filter { !knowsVariable($0.0, withTools: chat.tools != nil) }
        guard unread.isEmpty else {
            throw UnusedTexts(texts: unread.map { UnusedText(text: .variable(name: $0.0), isCut: false) })
        }
        let rendering = try render(
            messages: marked.messages, tools: marked.tools, documents: marked.documents, arguments: arguments,
            addsGenerationPrompt: chat.addsGenerationPrompt,
            now: WallClockTime(secondsSinceEpoch: Int(enqueued.rawValue / 1000)))
        let unused = marked.unused(in: rendering)
        guard unused.isEmpty else { throw UnusedTexts(texts: unused) }
        guard let end = marked.endMark, let cut = rendering.cut(before: end) else { return rendering }
        return cut
    }
}

extension RequestBody.Chat {
    /// Whether a message calls a tool.
    fileprivate var callsTools: Bool {
        guard case .array(let messages) = messages else { return false }
        return messages.contains { $0["tool_calls"] != nil }
    }
}
