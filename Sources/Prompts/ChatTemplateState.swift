// Renders chats with a model's template: nothing of a chat is lost on the way, or the chat is refused.

package import Jinja
package import ModelFiles
package import OpenAIFormats
package import Runtime
package import Tokenizers

/// A model's chat template, or why it has none that can be used; that matters only once a chat asks for it.
package enum ChatTemplateState: Sendable {
    case usable(ChatTemplate)
    case unusable(NoChatTemplate)

    /// A chat was asked of a model that cannot have one.
    package struct NoChatTemplate: Error, CustomStringConvertible {
        package let description: String
    }

    package init(_ metadata: GGUFMetadata, _ tokenizer: Tokenizer) {
        do {
            self = .usable(try ChatTemplate(metadata, tokenizer: tokenizer))
        } catch {
            self = .unusable(NoChatTemplate(description: "\(error)"))
        }
    }

    /// Renders a conversation. Templates that print the date get the time of enqueuing, so that a retry is the same prompt.
    ///
    /// Messages are shown in the standard form, and where the template fails on that, or leaves something out, in every other
    /// one that says the same.
    ///
    /// - Throws: `NoChatTemplate`; of the standard form `UnusedTexts`, or `TokenizerError.conversation`.
    package func render(_ chat: RequestBody.Chat, enqueued: Milliseconds) throws -> Rendering {
        switch self {
        case .unusable(let reason): throw reason
        case .usable(let template):
            do {
                return try template.render(chat, .standard, enqueued: enqueued)
            } catch {
                // A template that knows nothing of parts would print them as they are, braces and all.
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
        let rendering = try render(
            messages: marked.messages, tools: marked.tools, arguments: arguments,
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
