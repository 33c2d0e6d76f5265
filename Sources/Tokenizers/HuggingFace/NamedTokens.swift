// The tokens that tokenizer_config.json and special_tokens_map.json name.

import JSONText
import ModelFiles

/// The named tokens of a folder, by their contents.
struct NamedTokens {
    private var files: HuggingFaceTokenizerFiles
    private var bos: [UInt8]?
    private var eos: [UInt8]?
    private var unknown: [UInt8]?
    private var padding: [UInt8]?
    /// `add_bos_token` and `add_eos_token`; nil if the configuration has neither.
    private var adds: (bos: Bool, eos: Bool)?
    /// `tokenizer_class`.
    private(set) var tokenizerClass: String?

    init(_ files: HuggingFaceTokenizerFiles) throws(TokenizerError) {
        self.files = files
        // What tokenizer_config.json says wins.
        for (bytes, name) in [
            (files.specialTokensMap, "special_tokens_map.json"), (files.config, "tokenizer_config.json"),
        ] {
            guard let bytes else { continue }
            let isConfig = name == "tokenizer_config.json"
            var named = self
            try JSONPlace.withRoot(of: bytes, file: files.path(of: name)) { root throws(TokenizerError) in
                named.bos = try Self.content("bos_token", of: root) ?? named.bos
                named.eos = try Self.content("eos_token", of: root) ?? named.eos
                named.unknown = try Self.content("unk_token", of: root) ?? named.unknown
                named.padding = try Self.content("pad_token", of: root) ?? named.padding
                guard isConfig else { return }
                named.tokenizerClass = try root.string("tokenizer_class")
                if root["add_bos_token"] != nil || root["add_eos_token"] != nil {
                    named.adds = (
                        try root.bool("add_bos_token", default: false), try root.bool("add_eos_token", default: false)
                    )
                }
            }
            self = named
        }
    }

    /// A token's content: a string, or an object with it.
    private static func content(_ name: StaticString, of root: JSONPlace) throws(TokenizerError) -> [UInt8]? {
        guard let token = root[name] else { return nil }
        return token.node.kind == .object ? try token.required("content").bytes() : try token.bytes()
    }

    /// Adds the tokens of `added_tokens_decoder`, whose flags win.
    func addTokens(to tokens: inout TokenList) throws(TokenizerError) {
        guard let bytes = files.config else { return }
        var list = tokens
        try JSONPlace.withRoot(of: bytes, file: files.path(of: "tokenizer_config.json")) {
            root throws(TokenizerError) in
            guard let decoder = root["added_tokens_decoder"] else { return }
            guard decoder.node.kind == .object else { throw decoder.error("is not an object") }
            for (key, value) in decoder.node.members {
                let token = JSONPlace(node: value, file: decoder.file, place: decoder.place + "." + key.string)
                guard let id = Int32(key.string), id >= 0 else { throw token.error("is not the id of a token") }
                try list.add(token, id: Int(id))
            }
        }
        tokens = list
    }

    /// The marked ids, by the ids of contents.
    func markers(_ id: ([UInt8]) -> Int32?) -> MarkerTokens {
        MarkerTokens(
            bos: bos.flatMap(id), eos: eos.flatMap(id), unknown: unknown.flatMap(id), padding: padding.flatMap(id))
    }

    /// What the configuration puts around a text in place of the post-processor; nil if it leaves it alone.
    func frame(_ markers: MarkerTokens) throws(TokenizerError) -> PromptFrame? {
        guard let adds else { return nil }
        return PromptFrame(
            prefix: try added(markers.bos, if: adds.bos, "bos_token"),
            suffix: try added(markers.eos, if: adds.eos, "eos_token"))
    }

    private func added(_ id: Int32?, if isAdded: Bool, _ name: String) throws(TokenizerError) -> [Int32] {
        guard isAdded else { return [] }
        guard let id else {
            throw .folder(
                path: files.path(of: "tokenizer_config.json"), place: "add_" + name,
                reason: "is true, but there is no \(name) in the vocabulary")
        }
        return [id]
    }

    /// The tokens at which generation ends: those of the folder, of the markers, and those that end it in every model.
    func endOfGeneration(_ markers: MarkerTokens, _ vocabulary: Vocabulary) throws(TokenizerError) -> Set<Int32> {
        var ids = markers.endOfGeneration(vocabulary)
        for id in files.endTokens {
            guard (0..<vocabulary.count).contains(id) else {
                throw .folder(
                    path: files.path, place: "eos_token_id",
                    reason: "the token \(id) of generation_config.json or config.json is not in the vocabulary, which "
                        + "has the ids 0 to \(vocabulary.count - 1)")
            }
            ids.insert(Int32(id))
        }
        return ids
    }
}

extension HuggingFaceTokenizerFiles {
    /// The templates of tokenizer_config.json by their names; a single one is called `default`.
    func configuredChatTemplates() throws(TokenizerError) -> [String: [UInt8]] {
        guard let config else { return [:] }
        return try JSONPlace.withRoot(of: config, file: path(of: "tokenizer_config.json")) {
            root throws(TokenizerError) in
            guard let template = root["chat_template"] else { return [:] }
            guard template.node.kind == .array else { return ["default": try template.bytes()] }
            var named: [String: [UInt8]] = [:]
            try template.forEachElement { entry throws(TokenizerError) in
                named[try entry.required("name").string()] = try entry.required("template").bytes()
            }
            return named
        }
    }
}
