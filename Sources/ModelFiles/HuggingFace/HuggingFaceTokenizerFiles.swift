// The files of a Hugging Face folder that describe its tokenizer and chat template.

import Foundation

/// The files of a model folder that say how text becomes tokens, as they are. A folder has only some of them.
public struct HuggingFaceTokenizerFiles: Sendable {
    /// The file with the tokens.
    public enum Vocabulary: Sendable {
        /// `tokenizer.json`, which says everything.
        case tokenizerJSON([UInt8])
        /// Mistral's `tekken.json`.
        case tekken([UInt8])
        /// OpenAI's format: tokens in base64 by rank. Pattern and special tokens are those of the family.
        case tiktoken([UInt8], name: String)
        /// A model of SentencePiece alone.
        case sentencePiece(name: String)
    }

    /// The folder, for errors.
    public var path: String
    /// The file with the tokens.
    public var vocabulary: Vocabulary
    /// `tokenizer_config.json`.
    public var config: [UInt8]?
    /// `special_tokens_map.json`.
    public var specialTokensMap: [UInt8]?
    /// The ids of the tokens that end a text; see `GenerationDefaults`.
    public var endTokens: [Int]
    /// `chat_template.jinja`.
    public var chatTemplate: [UInt8]?
    /// The files of `chat_templates`, or of `additional_chat_templates`, by their names without the extension.
    public var namedChatTemplates: [String: [UInt8]]

    /// Makes the description of a folder; what it does not have is nil or empty.
    public init(
        path: String, vocabulary: Vocabulary, config: [UInt8]? = nil, specialTokensMap: [UInt8]? = nil,
        endTokens: [Int] = [], chatTemplate: [UInt8]? = nil, namedChatTemplates: [String: [UInt8]] = [:]
    ) {
        self.path = path
        self.vocabulary = vocabulary
        self.config = config
        self.specialTokensMap = specialTokensMap
        self.endTokens = endTokens
        self.chatTemplate = chatTemplate
        self.namedChatTemplates = namedChatTemplates
    }

    /// The path of one of the files.
    public func path(of file: String) -> String {
        path.isEmpty || path.hasSuffix("/") ? path + file : path + "/" + file
    }
}

extension HuggingFaceTokenizerFiles {
    /// The longest file that is read, in bytes.
    private static let longestFile = 1 << 28

    /// Reads the files of `folder`, whose texts end with `endTokens`.
    ///
    /// - Throws: `ModelFileError` if a file cannot be read, or none has tokens.
    public init(folder: String, endTokens: [Int] = []) throws(ModelFileError) {
        var templates: [String: [UInt8]] = [:]
        for inner in ["chat_templates", "additional_chat_templates"] {
            for name in Self.names(folder + "/" + inner) where name.hasSuffix(".jinja") {
                templates[String(name.dropLast(6))] = try Self.read(folder + "/" + inner, name)
            }
        }
        self.init(
            path: folder, vocabulary: try Self.vocabulary(folder),
            config: try Self.read(folder, "tokenizer_config.json"),
            specialTokensMap: try Self.read(folder, "special_tokens_map.json"),
            endTokens: endTokens,
            chatTemplate: try Self.read(folder, "chat_template.jinja"), namedChatTemplates: templates)
    }

    private static func vocabulary(_ folder: String) throws(ModelFileError) -> Vocabulary {
        if let json = try read(folder, "tokenizer.json") { return .tokenizerJSON(json) }
        if let tekken = try read(folder, "tekken.json") { return .tekken(tekken) }
        let names = names(folder)
        for name in ["tokenizer.model", "tiktoken.model"] + names.filter({ $0.hasSuffix(".tiktoken") }) {
            guard names.contains(name), let bytes = try read(folder, name) else { continue }
            // A file of tiktoken is text: BASE64 RANK in each line; a model of SentencePiece is a protocol buffer.
            let isText = !bytes.prefix(256).contains { $0 < 0x20 && $0 != 0x0A && $0 != 0x0D }
            return isText ? .tiktoken(bytes, name: name) : .sentencePiece(name: name)
        }
        throw .missingFile(path: folder + "/tokenizer.json", neededBy: "the tokenizer")
    }

    private static func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    private static func read(_ folder: String, _ name: String) throws(ModelFileError) -> [UInt8]? {
        let path = folder + "/" + name
        guard MappedFile.exists(path) else { return nil }
        let file = try MappedFile(path: path)
        guard file.bytes.count <= longestFile else {
            throw .unsupported(path: path, what: "a file of \(file.bytes.count) bytes")
        }
        let bytes = Array(file.bytes)
        try file.checkUnchanged()
        return bytes
    }
}
