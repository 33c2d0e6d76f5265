// The files of a Hugging Face folder that describe its tokenizer and chat template.

import Foundation

/// The tokenizer's files, as they are. What is absent is `nil`.
public struct HuggingFaceTokenizerFiles: Sendable {
    /// The folder.
    public let path: String
    /// `tokenizer.json`.
    public let tokenizerJSON: [UInt8]?
    /// `tokenizer_config.json`.
    public let config: [UInt8]?
    /// `special_tokens_map.json`.
    public let specialTokensMap: [UInt8]?
    /// `added_tokens.json`.
    public let addedTokens: [UInt8]?
    /// `generation_config.json`.
    public let generationConfig: [UInt8]?
    /// `config.json`, whose `model_type` and token ids matter where other files are silent.
    public let modelConfig: [UInt8]?
    /// `chat_template.jinja`.
    public let chatTemplate: [UInt8]?
    /// The files of `chat_templates`, or of `additional_chat_templates`, by their names without `.jinja`.
    public let namedChatTemplates: [String: [UInt8]]
    /// The vocabulary, where there is no `tokenizer.json`.
    public let vocabulary: Vocabulary?

    /// A vocabulary of another kind than `tokenizer.json`.
    public enum Vocabulary: Sendable {
        /// `tokenizer.model` of SentencePiece.
        case sentencePiece([UInt8])
        /// `tekken.json` of Mistral.
        case tekken([UInt8])
        /// A `.tiktoken` file, or a `tokenizer.model` or `tiktoken.model` with that content.
        case tiktoken([UInt8])
    }

    /// The longest file that is read, in bytes.
    private static let longestFile = 1 << 28

    /// Reads the files of `folder`.
    ///
    /// - Throws: `ModelFileError` if a file cannot be read.
    public init(folder: String) throws(ModelFileError) {
        path = folder
        tokenizerJSON = try Self.read(folder, "tokenizer.json")
        config = try Self.read(folder, "tokenizer_config.json")
        specialTokensMap = try Self.read(folder, "special_tokens_map.json")
        addedTokens = try Self.read(folder, "added_tokens.json")
        generationConfig = try Self.read(folder, "generation_config.json")
        modelConfig = try Self.read(folder, "config.json")
        chatTemplate = try Self.read(folder, "chat_template.jinja")
        var templates: [String: [UInt8]] = [:]
        for inner in ["chat_templates", "additional_chat_templates"] {
            for name in Self.names(folder + "/" + inner) where name.hasSuffix(".jinja") {
                templates[String(name.dropLast(6))] = try Self.read(folder + "/" + inner, name)
            }
        }
        namedChatTemplates = templates
        vocabulary = tokenizerJSON == nil ? try Self.vocabulary(folder) : nil
    }

    private static func vocabulary(_ folder: String) throws(ModelFileError) -> Vocabulary? {
        if let tekken = try read(folder, "tekken.json") { return .tekken(tekken) }
        let names = names(folder)
        for name in ["tokenizer.model", "tiktoken.model"] + names.filter({ $0.hasSuffix(".tiktoken") }) {
            guard names.contains(name), let bytes = try read(folder, name) else { continue }
            // A file of tiktoken is text: BASE64 RANK in each line; a model of SentencePiece is a protocol buffer.
            let isText = !bytes.prefix(256).contains { $0 < 0x20 && $0 != 0x0A && $0 != 0x0D }
            return isText ? .tiktoken(bytes) : .sentencePiece(bytes)
        }
        return nil
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
