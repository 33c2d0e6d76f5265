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
}

extension JSONNode {
    /// The value of a member; `nil` if this is no object, or has none of that name.
    fileprivate func member(_ name: StaticString) -> JSONNode? {
        guard kind == .object else { return nil }
        for (key, value) in members where key.isString(name) { return value }
        return nil
    }
}
