// What a Hugging Face folder brings for the tokenizer and the chat template, as raw bytes.

/// The files of a model folder that say how text becomes tokens. A folder has only some of them.
public struct HuggingFaceTokenizerFiles: Sendable {
    /// The file with the tokens.
    public enum Vocabulary: Sendable {
        /// `tokenizer.json`, which says everything.
        case tokenizerJSON([UInt8])
        /// Mistral's `tekken.json`.
        case tekken([UInt8])
        /// OpenAI's format: tokens in base64 by rank. Pattern and special tokens are those of the family.
        case tiktoken([UInt8], name: String)
    }

    /// The folder, for errors.
    public var path: String
    /// The file with the tokens.
    public var vocabulary: Vocabulary
    /// `tokenizer_config.json`.
    public var config: [UInt8]?
    /// `special_tokens_map.json`.
    public var specialTokensMap: [UInt8]?
    /// `generation_config.json`.
    public var generationConfig: [UInt8]?
    /// `chat_template.jinja`.
    public var chatTemplate: [UInt8]?
    /// The files of `chat_templates`, by their names without the extension.
    public var namedChatTemplates: [String: [UInt8]]

    /// Makes the description of a folder; what it does not have is nil or empty.
    public init(
        path: String, vocabulary: Vocabulary, config: [UInt8]? = nil, specialTokensMap: [UInt8]? = nil,
        generationConfig: [UInt8]? = nil, chatTemplate: [UInt8]? = nil, namedChatTemplates: [String: [UInt8]] = [:]
    ) {
        self.path = path
        self.vocabulary = vocabulary
        self.config = config
        self.specialTokensMap = specialTokensMap
        self.generationConfig = generationConfig
        self.chatTemplate = chatTemplate
        self.namedChatTemplates = namedChatTemplates
    }

    /// The path of one of the files.
    func path(of file: String) -> String { path.isEmpty || path.hasSuffix("/") ? path + file : path + "/" + file }
}
