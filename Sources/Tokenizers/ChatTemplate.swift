// A model's own chat template: it renders messages as the prompt format of the model's training.

public import Jinja
public import ModelFiles

/// The chat template of a model: a Jinja program from its file, rendered as Hugging Face transformers does.
public struct ChatTemplate: Sendable {
    private let standard: Template?
    /// The template for conversations with tools, if the model has a separate one.
    private let toolUse: Template?
    private let path: String
    private let formats: (standard: AnswerFormats, toolUse: AnswerFormats)
    /// The template for conversations without tools, or the only one.
    public let text: String
    /// Its size.
    public var byteCount: Int { text.utf8.count }
    /// Variables that are defined for every conversation.
    private let variables: [String: JinjaValue]
    private var limits = RenderLimits()

    /// Reads and parses the templates of a model file.
    ///
    /// - Throws: `TokenizerError.missingChatTemplate` or `.invalidChatTemplate`.
    public init(_ metadata: GGUFMetadata, tokenizer: Tokenizer) throws(TokenizerError) {
        let key = "tokenizer.chat_template"
        try self.init(
            standard: metadata.string(key) ?? metadata.string(key + ".default"),
            toolUse: metadata.string(key + ".tool_use"), path: metadata.path, tokenizer)
    }

    /// Reads and parses the templates of a model folder: `chat_template.jinja` and `chat_templates/NAME.jinja`, otherwise
    /// `chat_template` of tokenizer_config.json, which is a template or a list of named ones.
    ///
    /// - Throws: `TokenizerError.missingChatTemplate` or `.invalidChatTemplate`.
    public init(huggingFace files: HuggingFaceTokenizerFiles, tokenizer: Tokenizer) throws(TokenizerError) {
        var named = files.namedChatTemplates
        if let template = files.chatTemplate { named["default"] = template }
        if named.isEmpty { named = try files.configuredChatTemplates() }
        func source(_ name: String) -> String? { named[name].map { String(decoding: $0, as: UTF8.self) } }
        try self.init(standard: source("default"), toolUse: source("tool_use"), path: files.path, tokenizer)
    }

    /// Reads and parses the templates of a model.
    ///
    /// - Throws: `TokenizerError.missingChatTemplate` or `.invalidChatTemplate`.
    public init(_ files: TokenizerFiles, tokenizer: Tokenizer) throws(TokenizerError) {
        switch files {
        case .gguf(let metadata): try self.init(metadata, tokenizer: tokenizer)
        case .huggingFace(let files): try self.init(huggingFace: files, tokenizer: tokenizer)
        }
    }

    /// Reads and parses the template in a file.
    ///
    /// - Throws: `TokenizerError.file` or `.invalidChatTemplate`.
    public init(path: String, tokenizer: Tokenizer) throws(TokenizerError) {
        let text: String
        do throws(ModelFileError) { text = try MappedFile.text(path: path) } catch { throw .file(error) }
        try self.init(standard: text, toolUse: nil, path: path, tokenizer)
    }

    /// Parses a template that a request brings.
    ///
    /// - Throws: `TokenizerError.invalidChatTemplate`.
    public init(text: String, tokenizer: Tokenizer) throws(TokenizerError) {
        try self.init(standard: text, toolUse: nil, path: "chat_template", tokenizer)
        // Nobody has looked at it, and a file can have many.
        limits.work = 5_000_000
        limits.textBytes = 16 << 20
    }

    private init(
        standard: String?, toolUse: String?, path: String, _ tokenizer: Tokenizer
    ) throws(TokenizerError) {
        func template(_ source: String?) throws(TokenizerError) -> Template? {
            guard let source else { return nil }
            do throws(JinjaError) { return try Template(source) } catch {
                throw .invalidChatTemplate(path: path, error)
            }
        }
        self.standard = try template(standard)
        self.toolUse = try template(toolUse)
        self.path = path
        text = standard ?? toolUse ?? ""
        formats = (
            AnswerFormats(template: text), AnswerFormats(template: toolUse ?? text)
        )
        variables = tokenizer.namedSpecialTokens.merging(["documents": .null, "tools": .null]) { $1 }
        if self.standard == nil, self.toolUse == nil { throw .missingChatTemplate(path: path) }
    }

    /// Whether the template handles messages of a role specially.
    public func knowsRole(_ role: String, withTools: Bool) -> Bool {
        template(withTools: withTools)?.hasLiteral(role) ?? false
    }

    /// Whether the template may read arrays of content parts: it contains the name of the type `text`.
    public func knowsContentParts(withTools: Bool) -> Bool {
        template(withTools: withTools)?.hasLiteral("text") ?? false
    }

    /// Whether the template reads a variable of this name.
    public func knowsVariable(_ name: String, withTools: Bool) -> Bool {
        template(withTools: withTools)?.namesVariable(name) ?? false
    }

    /// How answers are written, as the template shows it.
    public func answerFormats(withTools: Bool) -> AnswerFormats { withTools ? formats.toolUse : formats.standard }

    private func template(withTools: Bool) -> Template? { withTools ? toolUse ?? standard : standard }

    /// Renders a conversation.
    ///
    /// - Parameters:
    ///   - messages: the conversation, an array of objects with `role`, `content` and other members that the template
    ///     reads.
    ///   - tools: the tools that the model may call, or `nil`.
    ///   - documents: texts that the answer may draw on, or `nil`.
    ///   - arguments: further variables of the request. They override those set here, and their text counts as a
    ///     user's.
    ///   - addsGenerationPrompt: whether the prompt ends at the start of the model's answer.
    ///   - now: the time for `strftime_now`.
    /// - Throws: `TokenizerError.conversation` if the template rejects the messages or fails on them.
    public func render(
        messages: JinjaValue, tools: JinjaValue? = nil, documents: JinjaValue? = nil,
        arguments: [(String, JinjaValue)] = [],
        addsGenerationPrompt: Bool = true, now: WallClockTime
    ) throws(TokenizerError) -> Rendering {
        guard let template = template(withTools: tools != nil) else { throw .missingChatTemplate(path: path) }
        var variables = variables
        variables["add_generation_prompt"] = .bool(addsGenerationPrompt)
        var environment = RenderEnvironment(now: { now })
        environment.limits = limits
        for (name, value) in arguments {
            variables[name] = value
            environment.dataVariables.insert(name)
        }
        variables["messages"] = messages
        if let tools { variables["tools"] = tools }
        if let documents { variables["documents"] = documents }
        do throws(JinjaError) {
            return try template.rendering(variables, environment: environment)
        } catch {
            throw .conversation(error)
        }
    }
}

extension Tokenizer {
    /// Special tokens by the names of their template variables; those that the model does not have are absent.
    fileprivate var namedSpecialTokens: [String: JinjaValue] {
        let ids = [
            "bos_token": markers.bos, "eos_token": markers.eos, "unk_token": markers.unknown,
            "pad_token": markers.padding,
        ]
        return ids.compactMapValues { id in
            id.map { .string(vocabulary.text(of: $0)) }
        }
    }
}
