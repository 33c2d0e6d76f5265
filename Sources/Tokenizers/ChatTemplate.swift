// A model's own chat template: messages to the prompt that the model was trained on.

public import Jinja
public import ModelFiles

/// The chat template of a model, a Jinja program from its file, run as Hugging Face transformers runs it.
public struct ChatTemplate: Sendable {
    private let standard: Template?
    /// The template for conversations with tools, where the model has one of its own.
    private let toolUse: Template?
    private let path: String
    /// Variables that every conversation has, before its own.
    private let variables: [String: JinjaValue]

    /// Reads and parses the templates of a model file.
    ///
    /// - Throws: `TokenizerError.missingChatTemplate` or `.invalidChatTemplate`.
    public init(_ metadata: GGUFMetadata, tokenizer: Tokenizer) throws(TokenizerError) {
        func template(_ key: String) throws(TokenizerError) -> Template? {
            guard let source = metadata.string(key) else { return nil }
            do throws(JinjaError) { return try Template(source) } catch {
                throw .invalidChatTemplate(path: metadata.path, error)
            }
        }
        let unnamed = try template("tokenizer.chat_template")
        let named = try template("tokenizer.chat_template.default")
        standard = unnamed ?? named
        toolUse = try template("tokenizer.chat_template.tool_use")
        path = metadata.path
        variables = tokenizer.namedSpecialTokens.merging(["documents": .null, "tools": .null]) { $1 }
        if standard == nil, toolUse == nil { throw .missingChatTemplate(path: path) }
    }

    /// Whether the template treats messages of a role in a way of its own.
    public func knowsRole(_ role: String, withTools: Bool) -> Bool {
        template(withTools: withTools)?.hasLiteral(role) ?? false
    }

    /// Whether the template may look into arrays of content parts: it names the type of a text.
    public func knowsContentParts(withTools: Bool) -> Bool {
        template(withTools: withTools)?.hasLiteral("text") ?? false
    }

    private func template(withTools: Bool) -> Template? { withTools ? toolUse ?? standard : standard }

    /// Renders a conversation.
    ///
    /// - Parameters:
    ///   - messages: the conversation, an array of objects with `role`, `content` and what else the template reads.
    ///   - tools: the tools that the model may call, or `nil`.
    ///   - arguments: further variables of the request, which win over those set here; their text counts as a user's.
    ///   - addsGenerationPrompt: whether the prompt ends where the model's answer begins.
    ///   - now: the time that `strftime_now` shows.
    /// - Throws: `TokenizerError.conversation` where the template refuses the messages or fails on them.
    public func render(
        messages: JinjaValue, tools: JinjaValue? = nil, arguments: [(String, JinjaValue)] = [],
        addsGenerationPrompt: Bool = true, now: WallClockTime
    ) throws(TokenizerError) -> Rendering {
        guard let template = template(withTools: tools != nil) else { throw .missingChatTemplate(path: path) }
        var variables = variables
        variables["add_generation_prompt"] = .bool(addsGenerationPrompt)
        var environment = RenderEnvironment(now: { now })
        for (name, value) in arguments {
            variables[name] = value
            environment.dataVariables.insert(name)
        }
        variables["messages"] = messages
        if let tools { variables["tools"] = tools }
        do throws(JinjaError) {
            return try template.rendering(variables, environment: environment)
        } catch {
            throw .conversation(error)
        }
    }
}

extension Tokenizer {
    /// Special tokens under the names that templates know them by; absent where the model has none.
    fileprivate var namedSpecialTokens: [String: JinjaValue] {
        let ids = [
            "bos_token": markers.bos, "eos_token": markers.eos, "unk_token": markers.unknown,
            "pad_token": markers.padding,
        ]
        return ids.compactMapValues { id in
            id.map { .string(String(decoding: bytes(of: CollectionOfOne($0), skipSpecial: false), as: UTF8.self)) }
        }
    }
}
