// What a person wants to know of a tokenizer before it is loaded.

private import JSONText

extension TokenizerFiles {
    /// The kind of the tokenizer in a few words.
    public var kind: String {
        switch self {
        case .gguf(let metadata):
            guard let model = metadata.string("tokenizer.ggml.model") else { return "none" }
            let kind = Self.kinds[model].map { "\($0) (\(model))" } ?? model
            return kind + (metadata.string("tokenizer.ggml.pre").map { ", pre-tokeniser \($0)" } ?? "")
        case .huggingFace(let files):
            switch files.vocabulary {
            case .tokenizerJSON(let json): return "tokenizer.json" + (Self.modelType(json).map { " (\($0))" } ?? "")
            case .tekken: return "tekken.json"
            case .tiktoken(_, let name), .sentencePiece(let name): return name
            }
        }
    }

    /// The source of the model's own chat template for conversations without tools, if it has one.
    public var chatTemplate: [UInt8]? {
        switch self {
        case .gguf(let metadata):
            for key in ["tokenizer.chat_template", "tokenizer.chat_template.default"] {
                if case .string(let bytes)? = metadata[key] { return bytes }
            }
            return nil
        case .huggingFace(let files):
            return files.chatTemplate ?? files.namedChatTemplates["default"] ?? files.config.flatMap(Self.template(in:))
        }
    }

    /// What the kinds of GGUF's tokenizers are called elsewhere.
    private static let kinds = [
        "gpt2": "byte-level BPE", "llama": "SentencePiece BPE", "bert": "WordPiece", "t5": "Unigram",
        "gemma4": "BPE of escaped spaces",
    ]

    /// `model.type` of a `tokenizer.json`.
    private static func modelType(_ json: [UInt8]) -> String? {
        let found = try? JSONParser().withDocument(of: json) { root in
            root.member("model")?.member("type").flatMap { $0.kind == .string ? $0.string : nil }
        }
        return found ?? nil
    }

    /// `chat_template` of a `tokenizer_config.json`: a template, or named ones.
    private static func template(in config: [UInt8]) -> [UInt8]? {
        guard let config = try? JSONValue(parsing: config) else { return nil }
        switch config["chat_template"] {
        case .string(let text)?: return Array(text.utf8)
        case .array(let named)?:
            for template in named where template["name"] == "default" {
                if case .string(let text)? = template["template"] { return Array(text.utf8) }
            }
            return nil
        default: return nil
        }
    }
}

extension JSONNode {
    /// The value of a member; `nil` if this is no object, or has none of that name.
    fileprivate func member(_ name: StaticString) -> JSONNode? {
        guard kind == .object else { return nil }
        for (key, value) in members where key.isString(name) { return value }
        return nil
    }
}
