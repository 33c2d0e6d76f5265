// The tokens that tokenizer_config.json, special_tokens_map.json and generation_config.json name.

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
    func frame(_ markers: MarkerTokens) -> PromptFrame? {
        guard let adds else { return nil }
        return PromptFrame(
            prefix: adds.bos ? [markers.bos].compactMap(\.self) : [],
            suffix: adds.eos ? [markers.eos].compactMap(\.self) : [])
    }

    /// The `eos_token_id` of generation_config.json: a number or a list.
    func endOfGeneration(
        _ files: HuggingFaceTokenizerFiles, vocabularySize: Int
    ) throws(TokenizerError) -> Set<Int32> {
        guard let bytes = files.generationConfig else { return [] }
        var ids: Set<Int32> = []
        try JSONPlace.withRoot(of: bytes, file: files.path(of: "generation_config.json")) {
            root throws(TokenizerError) in
            guard let eos = root["eos_token_id"] else { return }
            if eos.node.kind == .array {
                try eos.forEachElement { id throws(TokenizerError) in
                    ids.insert(Int32(try id.integer(most: vocabularySize - 1)))
                }
            } else {
                ids.insert(Int32(try eos.integer(most: vocabularySize - 1)))
            }
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
